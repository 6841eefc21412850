//! Every verb that tells something tells it as JSON where it is asked to.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::{Deserializer, Value};

use crate::{
    help::listed,
    letters::{World, failed},
    run::{Ran, command, ended, ended_within, on},
    services::world,
};

/// What has nothing to tell: it draws, runs, writes scripts, or says one sentence at its end.
const WITHOUT: [&str; 4] = ["demo", "server run", "completions", "dlq import"];
/// What writes JSON without being asked.
const ALWAYS: &str = "dlq export";

const PAID: &str = "orders.payments.payment.processed";
const PROCESS: &str = "orders.payments.payment.process";
const DATA: &str = r#"{"payment_id":"p-1","amount":7}"#;
const BOUND: Duration = Duration::from_secs(120);

/// All values that were printed, on one line each or on several.
fn values(ran: &Ran) -> Vec<Value> {
    let values = Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    let values: Result<Vec<_>, _> = values.collect();
    values.unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// The verbs that do something by themselves, as they are typed.
async fn verbs() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for verb in listed(&[]).await {
        let own = listed(&[&verb]).await;
        if own.is_empty() {
            all.insert(verb);
        } else {
            all.extend(own.into_iter().map(|own| format!("{verb} {own}")));
        }
    }
    all
}

#[tokio::test]
async fn every_verb_that_tells_something_prints_json() {
    let (server, _running) = world().await;
    let letters = World::start().await;
    let mut ids = Vec::new();
    for sequence in 1..=3 {
        ids.push(letters.letter(&failed(sequence, PAID)).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let [manifest, payload] = ["manifest.json", "payload"].map(|name| folder.path().join(name));
    fs::write(&payload, "{}").unwrap();
    let ran = ended(on(&server, &["manifest", "show", "payments", "--json"])).await;
    fs::write(&manifest, &ran.stdout).unwrap();
    let [manifest, payload] = [&manifest, &payload].map(|path| path.to_str().unwrap());

    let (first, second, third) = (ids[0].as_str(), ids[1].as_str(), ids[2].as_str());
    let durable = ["shipping", "ship-on-payment"];
    // The verb, what else is typed, and how it ends.
    let rows = [
        ("server install", &[][..], 0),
        ("server path", &[], 0),
        ("publish", &[PAID, "p-1", "--data", DATA], 0),
        ("request", &[PROCESS, "p-1", "--data", DATA], 0),
        ("tail", &["orders.>", "--from-start", "--count", "1"], 0),
        ("manifest show", &[], 0),
        ("manifest show", &["payments"], 0),
        ("manifest diff", &[manifest], 0),
        ("explain", &["orders.payments.payment.processed.p-1"], 0),
        ("explain", &["metrics.cpu"], 1),
        ("lag", &["--interval", "10ms"], 0),
        ("lag", &["--watch=10ms", "--count", "2"], 0),
        ("consumers", &[], 0),
        ("consumers", &["--watch=10ms", "--count", "2"], 0),
        ("pause", &durable, 0),
        ("resume", &durable, 0),
        ("breaker", &["shipping"], 0),
        ("breaker", &["shipping", "gateway", "open"], 1),
        ("bench", &["--small", "--only", "ask-1"], 0),
        ("dlq ls", &[], 0),
        ("dlq ls", &["--letters"], 0),
        ("dlq show", &[first], 0),
        ("dlq edit", &[first, "--set", payload], 0),
        ("dlq replay", &[second, "--yes", "--timeout", "100ms"], 1),
        ("dlq discard", &[third, "--reason", "a test", "--yes"], 0),
        ("dlq export", &["--all"], 0),
    ];
    let mut left = verbs().await;
    for verb in WITHOUT {
        assert!(left.remove(verb), "{verb} is no verb");
    }
    for (verb, also, code) in rows {
        left.remove(verb);
        let server = if verb.starts_with("dlq") {
            &letters.server
        } else {
            &server
        };
        let json = if verb == ALWAYS { &[][..] } else { &["--json"] };
        let args: Vec<_> = verb.split(' ').chain(also.iter().copied()).collect();
        let args: Vec<_> = args.iter().chain(json).copied().collect();
        let ran = ended_within(BOUND, on(server, &args)).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let values = values(&ran);
        assert!(!values.is_empty(), "{ran:?}");
        assert!(values.iter().all(Value::is_object), "{ran:?}");
    }
    assert!(left.is_empty(), "no row for {left:?}");
}

/// Where nothing is to be told, there is no flag that does nothing.
#[tokio::test]
async fn a_verb_without_json_has_no_flag_for_it() {
    for verb in WITHOUT.into_iter().chain([ALWAYS]) {
        let args: Vec<_> = verb.split(' ').chain(["--help"]).collect();
        let ran = ended(command(&args)).await;
        assert!(!ran.stdout.contains("--json"), "{ran:?}");
    }
}

//! `tidewire dlq show` of a message that failed in several ways, and again after a replay.

use insta::assert_snapshot;
use serde_json::Value;
use tidewire::{Connection, Failure, OrFail, Retry, Running, prelude::*, wire};
use tidewire_server::Server;

use crate::{
    run::{Ran, run, within},
    services::{PaymentProcessed, connect, payments, processed},
};

/// What a terminal would obey.
const HOSTILE: &str = "the gateway \u{1b}[31mis away\u{202e}\nTIME  failed: forged";

async fn ship(Attempt(attempt): Attempt, Event(_): Event<PaymentProcessed>) -> Result<(), Failure> {
    match attempt {
        1 => Err(HOSTILE).or_retry(),
        2 => panic!("no such carrier"),
        3 => Err("the parcel is too large").or_reject(),
        _ => Err("the parcel is too large still").or_reject(),
    }
}

async fn shipping(nats: Connection) -> Running {
    let soon = Retry::fixed(std::time::Duration::from_millis(10)).max_attempts(5);
    let service = Service::new("shipping", "0.4.0").on(durable("ship-on-payment", ship).retry(soon));
    service.start(nats).await.unwrap()
}

async fn told(nats: &Connection, count: u64) {
    within("each attempt is told", async || {
        let stream = nats.jetstream().get_stream(wire::ERRORS_STREAM).await.unwrap();
        stream.cached_info().state.messages == count
    })
    .await;
}

/// What was printed, without what differs from run to run.
fn shown(ran: &Ran, json: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (letter, service) = (text(&json["letter"]), text(&json["history"][0]["by"]));
    let mut also = vec![(letter, "LETTER".to_owned()), (service, "SERVICE".to_owned())];
    for record in json["history"].as_array().unwrap() {
        also.push((text(&record["by"]), "SOMEBODY".to_owned()));
    }
    let also: Vec<_> = also
        .iter()
        .map(|(run, stands)| (run.as_str(), stands.as_str()))
        .collect();
    ran.shown(&also)
}

#[tokio::test]
async fn each_attempt_is_shown_with_its_error_and_so_are_those_of_a_replay() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let _shipping = shipping(connect(&server).await).await;
    payments.bus().publish(&processed("p-1")).await.unwrap();
    told(&nats, 3).await;
    let letter = within_a_letter(&server).await;
    let json = run(&server, &["dlq", "show", &letter, "--json"]).await.json();
    let ran = run(&server, &["dlq", "show", &letter]).await;
    assert_snapshot!("dlq_attempts", shown(&ran, &json));

    let ran = run(&server, &["dlq", "replay", &letter, "--yes"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    told(&nats, 4).await;
    let ran = run(&server, &["dlq", "show", &letter, "--json"]).await;
    let json = ran.json();
    assert!(
        !ran.stdout.contains('\u{1b}') && !ran.stdout.contains('\u{202e}'),
        "{ran:?}"
    );
    let tries = json["tries"].as_array().unwrap();
    let of = |name: &str| tries.iter().map(|one| one[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("attempt"), [1, 2, 3, 4]);
    assert_eq!(of("class"), ["failed", "panicked", "rejected", "rejected"]);
    assert_eq!(of("then"), ["retry", "retry", "dead_letter", "dead_letter"]);
    assert_eq!(tries[0]["error"], HOSTILE);
    let failed: Vec<_> = of("failed")
        .iter()
        .map(|time| time.as_str().unwrap().to_owned())
        .collect();
    let first = json["first_failed"].as_str().unwrap();
    assert!(failed.is_sorted() && *failed[0] >= *first, "{json}");
    let ran = run(&server, &["dlq", "show", &letter]).await;
    assert_snapshot!("dlq_attempts_after_a_replay", shown(&ran, &json));
}

async fn within_a_letter(server: &Server) -> String {
    let mut letter = String::new();
    within("there is a letter", async || {
        let listed = run(server, &["dlq", "ls", "--letters", "--json"])
            .await
            .json_lines();
        match listed.first() {
            Some(listed) => listed["letter"].as_str().unwrap().clone_into(&mut letter),
            None => return false,
        }
        true
    })
    .await;
    letter
}

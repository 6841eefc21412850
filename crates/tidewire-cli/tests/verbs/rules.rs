//! The rules and the limits of a durable, as `tidewire explain` and `tidewire manifest show` tell of them.

use std::{any::type_name, time::Duration};

use serde_json::json;
use tidewire::{Bulkhead, prelude::*};
use tidewire_server::Server;

use crate::{
    run::run,
    services::{PaymentProcessed, connect, payments},
};

#[derive(Debug, thiserror::Error)]
#[error("the gateway is busy")]
struct Busy;

#[derive(Debug, thiserror::Error)]
#[error("the account is locked")]
struct Locked;

#[derive(Debug, thiserror::Error)]
#[error("the card is stolen")]
struct Stolen;

#[derive(Debug, thiserror::Error)]
#[error("the bank is closed")]
struct Closed;

#[derive(Debug, thiserror::Error)]
#[error("the payment is of last year")]
struct Stale;

async fn charge(Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    match paid.amount {
        1 => Err(Busy.into()),
        2 => Err(Locked.into()),
        3 => Err(Stolen.into()),
        4 => Err(Closed.into()),
        5 => Err(Stale.into()),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn rules_a_rate_and_a_bulkhead_are_told_of() {
    let server = Server::start().unwrap();
    let _payments = payments().start(connect(&server).await).await.unwrap();
    let own = Retry::fixed(Duration::from_secs(2))
        .max_attempts(4)
        .max_time(Duration::from_secs(60));
    let of_all = Retry::exponential(Duration::from_secs(1), Duration::from_secs(10))
        .max_attempts(6)
        .max_time(Duration::from_secs(120));
    let durable = durable("charge", charge)
        .retry(of_all)
        .on_error::<Busy>(Then::RetryAfter(Duration::from_secs(30)))
        .on_error::<Locked>(Then::Retry(own))
        .on_error::<Stolen>(Then::DeadLetter)
        .on_error::<Closed>(Then::Pause(Duration::from_secs(45)))
        .on_error::<Stale>(Then::Discard)
        .rate_limit(20, Duration::from_secs(1))
        .bulkhead(&Bulkhead::new(3));
    let till = Service::new("till", "1.0.0").on(durable);
    let _till = till.start(connect(&server).await).await.unwrap();

    let explain = ["explain", "orders.payments.payment.processed.p-1"];
    let show = ["manifest", "show", "till"];
    // In this order: the first rule that matches wins.
    let wanted = [
        "    at least once; 6 attempts, after 1s doubled up to 10s, for 120s at most, then a dead letter; 300s each"
            .to_owned(),
        format!("    on {}: again after 30s", type_name::<Busy>()),
        format!("    on {}: 4 attempts, after 2s, for 60s at most", type_name::<Locked>()),
        format!("    on {}: a dead letter at once", type_name::<Stolen>()),
        format!("    on {}: nothing is tried for 45s", type_name::<Closed>()),
        format!("    on {}: discarded, with a record", type_name::<Stale>()),
        "    breaker charge, 20 in 1s at most, 3 at once with those that share the limit".to_owned(),
    ];
    for args in [&explain[..], &show] {
        let ran = run(&server, args).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert!(
            lines.windows(wanted.len()).any(|some| some == wanted),
            "no {wanted:#?} in {}",
            ran.stdout
        );
    }

    let rules = json!([
        {"error": type_name::<Busy>(), "then": {"retry_after": 30}},
        {"error": type_name::<Locked>(), "then": {"retry": own}},
        {"error": type_name::<Stolen>(), "then": "dead_letter"},
        {"error": type_name::<Closed>(), "then": {"pause": 45}},
        {"error": type_name::<Stale>(), "then": "discard"},
    ]);
    let explained = run(&server, &[&explain[..], &["--json"]].concat()).await.json();
    let shown = run(&server, &[&show[..], &["--json"]].concat()).await.json();
    let consumer = &explained["captured"][0]["consumers"][0];
    assert_eq!(consumer["owner"]["durable"], "charge");
    for policy in [
        &consumer["policy"],
        &shown["handlers"][0]["transport"]["durable"]["policy"],
    ] {
        assert_eq!(policy["rules"], rules, "{policy:#}");
        assert_eq!(policy["retry"], json!(of_all), "{policy:#}");
        assert_eq!(policy["retry"]["max_time"], 120, "{policy:#}");
        assert_eq!(policy["rate"], json!({"messages": 20, "per": 1}), "{policy:#}");
        assert_eq!(policy["bulkhead"], 3, "{policy:#}");
    }
}

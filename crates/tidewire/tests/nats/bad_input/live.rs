//! What is wrong with events that are heard live.

use metrics::set_default_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

use super::{
    Bad, CANARY,
    nine::{assert_metrics, by_class, good, nine, tallied},
};
use crate::support::{
    Seen, connect, eventually,
    http::{series, sum},
    log::{self, lines_of},
    server,
};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.ways.tank.seen", key = tank)]
struct SeenTank {
    tank: String,
    amount: u64,
}

async fn look(State(seen): State<Seen>, Event(tank): Event<SeenTank>) {
    seen.note(tank.amount.to_string());
}

#[tokio::test]
async fn what_is_wrong_is_counted_and_named_by_a_live_handler_and_the_next_is_heard() {
    log::begin();
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    // A recorder of this test's own: others count on it that the process has none.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorder = set_default_local_recorder(&recorder);
    let service = Service::new("tank-watch", "1.0.0")
        .state(seen.clone())
        .on(live(look));
    let running = service.start(client.clone()).await.unwrap();
    let (name, all) = ("bad.ways.tank.seen", nine("event"));
    for Bad { key, body, .. } in &all {
        for (key, body) in [(*key, body.clone()), ("good", good("event"))] {
            let subject = format!("{name}.{key}");
            client.publish(subject, body.into()).await.unwrap();
        }
    }
    let (expected, handler) = (by_class(&all), "tank-watch__live-0");
    let figures = || series(&recorder.handle().render(), "tank-watch");
    let count = f64::from(expected.values().sum::<u32>());
    // The tally counts an end a moment before the metrics do.
    eventually("each is counted by its class", async || {
        let consumed = sum(
            &figures(),
            &["messaging_client_consumed_messages_total{", handler],
        );
        running.tally().get(handler) == Some(&tallied(&expected)) && (consumed - count).abs() < 1e-6
    })
    .await;
    assert_eq!(
        seen.sorted().iter().filter(|amount| *amount == "2").count(),
        all.len()
    );
    assert_eq!(seen.len(), all.len() + 1, "and the one without metadata");
    assert_metrics(&figures(), handler, name, &expected);
    let of = |key: &str| lines_of(&format!("{name}.{key}\""));
    for Bad { key, class, said, .. } in &all {
        if *class == "handled" {
            continue;
        }
        eventually("it is in the log", async || !of(key).is_empty()).await;
        let lines = of(key);
        let [line] = &lines[..] else {
            panic!("{key}: {lines:?}");
        };
        for part in ["message=heard and not handled", &format!("code={class}"), said] {
            assert!(line.contains(part), "{key}: {line}");
        }
    }
    for key in ["good", "no-metadata"] {
        assert_eq!(of(key), [""; 0]);
    }
    assert!(!log::lines().iter().any(|line| line.contains(CANARY)));
}

//! Without a collector, and with settings that cannot be.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::{World, collector::hex};

/// Nobody listens at the address: the work is done all the same, and the end is not held up for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_harms_nothing() {
    let world = World::start().await;
    let began = Instant::now();
    let nobody = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let printed = world.role_with("foreign", &nobody).ends().await;
    assert!(
        printed.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"),
        "{printed}"
    );
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert!(world.collector.spans().is_empty());
}

/// It takes connections and answers nothing: the work is done, and the end waits as long as the page says.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_the_end_alone() {
    let world = World::start().await;
    // Whoever connects waits to be accepted.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", hanging.local_addr().unwrap());
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        // An export may take ten minutes; the end waits for five seconds.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
        ("TIDEWIRE_TEST_FLUSH", ""),
    ];
    let printed = world.role_with("foreign", &settings).ends().await;
    assert!(
        printed.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"),
        "{printed}"
    );
    let flushed = printed
        .lines()
        .find_map(|line| line.strip_prefix("flushed within "));
    let seconds: f64 = flushed.unwrap().parse().unwrap();
    assert!(seconds > 1.0 && seconds < 30.0, "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_is_an_error_that_names_it() {
    let world = World::start().await;
    let nonsense = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[nowhere")];
    let printed = world.role_with("settings", &nonsense).ends().await;
    assert!(
        printed.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && printed.contains("[nowhere"),
        "{printed}"
    );
}

/// The environment's name of the service counts, and its attributes come along.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_the_service() {
    let world = World::start().await;
    let named = [("OTEL_SERVICE_NAME", "blue")];
    assert_eq!(world.role_with("settings", &named).ends().await, "");
    assert_eq!(world.collector.one("a span").service, "blue");
    let named = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=green,zone=eu")];
    assert_eq!(world.role_with("settings", &named).ends().await, "");
    let services: Vec<_> = world
        .collector
        .named("a span")
        .into_iter()
        .map(|span| span.service)
        .collect();
    assert_eq!(services, ["blue", "green"]);
    assert_eq!(world.role_with("settings", &[]).ends().await, "");
    assert_eq!(world.collector.named("a span")[2].service, "settings");
}

/// A line that a handler logs has the ids of its message and of its span.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_handler_has_the_ids_of_message_and_span() {
    let world = World::start().await;
    let log = [("TIDEWIRE_TEST_OTHERS", "a log at INFO")];
    let printed = world.role_to_its_end_with("log", &log).await;
    let line = printed
        .lines()
        .find(|line| line.contains("shipped"))
        .unwrap_or_else(|| panic!("{printed}"));
    let run = world.collector.one("process shop.checkout.order.placed");
    for said in [
        format!("trace_id={}", hex(&run.trace)),
        format!("span_id={}", hex(&run.id)),
        format!(
            "messaging.message.id=\"{}\"",
            run.attribute("messaging.message.id").unwrap()
        ),
        "messaging.message.conversation_id=".to_owned(),
        "messaging.consumer.group.name=\"shipping__ship\"".to_owned(),
        "tidewire.attempt=1".to_owned(),
    ] {
        assert!(line.contains(&said), "{said}: {line}");
    }
}

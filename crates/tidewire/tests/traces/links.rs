//! What a replay and a batch link to, and what other programs' contexts become.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::{World, collector::hex};

/// The replay is in the trace of the message, and links to the attempt that failed last.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_in_the_trace_of_its_message_and_links_to_the_failed_attempt() {
    let world = World::start().await;
    world.role_to_its_end("replay").await;
    let sent = world.collector.one("send shop.checkout.order.placed");
    let runs = world.collector.named("process shop.checkout.order.placed");
    assert_eq!(runs.len(), 3, "two attempts and a replay: {runs:#?}");
    for run in &runs {
        assert_eq!((&run.trace, &run.parent), (&sent.trace, &sent.id), "{run:#?}");
        assert!(run.links_to(&sent, "creation"));
    }
    assert_eq!(runs[0].links.len(), 1);
    assert!(runs[1].links_to(&runs[0], "failed_attempt"), "{runs:#?}");
    assert!(runs[2].links_to(&runs[1], "failed_attempt"), "{runs:#?}");
    let attempts: Vec<_> = runs.iter().map(|run| run.attribute("tidewire.attempt")).collect();
    assert_eq!(attempts, [Some("#1"), Some("#2"), Some("#3")]);
    assert_eq!(runs[1].attribute("error.type"), Some("failed"));
    assert!(!runs[2].failed);
}

/// A batch is a span of its own, which has no parent and links to each of its messages.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_links_to_each_of_its_messages() {
    let world = World::start().await;
    world.role_to_its_end("batch").await;
    let sent = world.collector.named("send shop.checkout.order.placed");
    assert_eq!(sent.len(), 3);
    let batch = world.collector.one("process shop.checkout.order.placed");
    assert_eq!(
        (batch.kind, batch.parent.len()),
        (SpanKind::Consumer, 0),
        "{batch:#?}"
    );
    assert!(sent.iter().all(|sent| sent.trace != batch.trace));
    assert_eq!(batch.attribute("messaging.batch.message_count"), Some("#3"));
    assert_eq!(
        batch.attribute("messaging.consumer.group.name"),
        Some("shipping__ship")
    );
    assert_eq!(batch.links.len(), 3);
    for sent in sent {
        assert!(batch.links_to(&sent, "creation"), "{batch:#?}");
        let link = batch.links.iter().find(|link| link.id == sent.id).unwrap();
        let id = link.attributes.get("messaging.message.id").map(String::as_str);
        assert_eq!(id, sent.attribute("messaging.message.id"));
    }
}

/// Another program's context: the state of its vendor and its baggage go through to what follows.
#[tokio::test(flavor = "multi_thread")]
async fn the_context_of_another_program_goes_on_to_what_follows() {
    let world = World::start().await;
    let printed = world.role_to_its_end("foreign").await;
    let run = world.collector.one("process shop.checkout.order.placed");
    let sent = world.collector.one("send shop.shipping.parcel.booked");
    assert_eq!(hex(&run.trace), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&run.parent), "b7ad6b7169203331");
    assert_eq!((&sent.trace, &sent.parent), (&run.trace, &run.id));
    assert_eq!(run.state, "vendor=it");
    let expected = format!(
        "traceparent: 00-{}-{}-01\ntracestate: vendor=it\nbaggage: tenant=a%20b\n",
        hex(&sent.trace),
        hex(&sent.id)
    );
    assert_eq!(printed, expected);
}

//! What a command, a live handler, another program's message and a failure say of themselves.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::World;

/// From whoever sends it to its handler, and on to what follows from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_durable_command_is_handled_as_a_child_of_its_sender() {
    let world = World::start().await;
    world.role_to_its_end("command").await;
    let collector = &world.collector;
    let checkout = collector.one("checkout");
    let sent = collector.one("send shop.shipping.parcel.book");
    let run = collector.one("process shop.shipping.parcel.book");
    let booked = collector.one("send shop.shipping.parcel.booked");
    let walk = [
        (&sent, SpanKind::Producer, &checkout),
        (&run, SpanKind::Consumer, &sent),
        (&booked, SpanKind::Producer, &run),
    ];
    for (span, kind, parent) in walk {
        assert_eq!(
            (span.kind, &span.parent, &span.trace),
            (kind, &parent.id, &checkout.trace),
            "{span:#?}"
        );
        assert!(!span.failed, "{span:#?}");
    }
    assert!(sent.links.is_empty(), "{sent:#?}");
    assert!(
        run.links_to(&sent, "creation") && run.links.len() == 1,
        "{run:#?}"
    );
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "shop.shipping.parcel.book"),
        ("messaging.consumer.group.name", "shipping__book"),
        ("tidewire.message.key", "o.1"),
        ("tidewire.attempt", "#1"),
    ] {
        assert_eq!(run.attribute(name), Some(value), "{name}: {run:#?}");
    }
    assert_eq!(sent.attribute("messaging.operation.type"), Some("send"));
    assert_eq!(sent.attribute("messaging.consumer.group.name"), None);
    let id = "messaging.message.id";
    assert!(run.attribute(id).is_some_and(|id| id.starts_with("cmd_")));
    assert_eq!(run.attribute(id), sent.attribute(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_of_a_live_handler_is_its_queue_group_or_none() {
    let world = World::start().await;
    world.role_to_its_end("live").await;
    let sent = world.collector.one("send shop.checkout.order.placed");
    let mut runs = world.collector.named("process shop.checkout.order.placed");
    let group = "messaging.consumer.group.name";
    runs.sort_by_key(|run| run.attribute(group).map(str::to_owned));
    let groups: Vec<_> = runs.iter().map(|run| run.attribute(group)).collect();
    assert_eq!(groups, [None, Some("desk")], "{runs:#?}");
    for run in &runs {
        assert_eq!(
            (run.kind, &run.parent, &run.trace),
            (SpanKind::Consumer, &sent.id, &sent.trace),
            "{run:#?}"
        );
        assert!(
            run.links_to(&sent, "creation") && run.links.len() == 1,
            "{run:#?}"
        );
    }
}

/// A subject of another program's may end in anything, and would make as many names of spans.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_program_has_the_filter_for_its_name() {
    let world = World::start().await;
    world.role_to_its_end("template").await;
    let run = world.collector.one("process plant.>");
    assert_eq!(run.attribute("messaging.destination.template"), Some("plant.>"));
    assert_eq!(run.attribute("messaging.destination.name"), None);
    assert_eq!(run.attribute("tidewire.message.key"), None);
    assert_eq!(
        run.attribute("messaging.consumer.group.name"),
        Some("shipping__look")
    );
    // Nobody said in what it was sent.
    assert!(run.parent.is_empty() && run.links.is_empty(), "{run:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_says_its_class_and_a_decline_fails_for_who_asked_alone() {
    let world = World::start().await;
    world.role_to_its_end("failing").await;
    let error = "error.type";
    let asked = world.collector.named("request shop.checkout.order.place");
    let classes: Vec<_> = asked.iter().map(|asked| asked.attribute(error)).collect();
    assert_eq!(classes, [Some("no_responders"), Some("sold_out")], "{asked:#?}");
    assert!(asked.iter().all(|asked| asked.failed), "{asked:#?}");
    let declined = world.collector.one("process shop.checkout.order.place");
    assert_eq!((declined.failed, declined.attribute(error)), (false, None));
    assert_eq!(declined.parent, asked[1].id);
    let published = world.collector.one("send shop.checkout.order.placed");
    assert_eq!(
        (published.failed, published.attribute(error)),
        (true, Some("too_large")),
        "{published:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_panics_is_cut_off() {
    is_cut_off("panics").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_takes_too_long_is_cut_off() {
    is_cut_off("hangs").await;
}

/// The batch is cut off, and each of its orders goes through alone.
async fn is_cut_off(role: &str) {
    let world = World::start().await;
    world.role_to_its_end(role).await;
    let sent = world.collector.named("send shop.checkout.order.placed");
    let runs = world.collector.named("process shop.checkout.order.placed");
    let count = "messaging.batch.message_count";
    let (cut, alone): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.attribute(count) == Some("#2"));
    let [cut] = cut[..] else {
        panic!("one batch of two: {runs:#?}");
    };
    assert_eq!(
        (cut.failed, cut.attribute("error.type")),
        (true, Some("cut_off")),
        "{cut:#?}"
    );
    let of_batch = sent.iter().filter(|sent| cut.links_to(sent, "creation"));
    assert_eq!((of_batch.count(), cut.links.len()), (2, 2), "{cut:#?}");
    assert_eq!(alone.len(), sent.len(), "{runs:#?}");
    for run in alone {
        assert_eq!(run.attribute(count), Some("#1"));
        assert_eq!(
            (run.failed, run.attribute("error.type")),
            (false, None),
            "{run:#?}"
        );
    }
}

//! One trace, from a command to an event to its handler.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tidewire::async_nats::jetstream;

use crate::{Role, World, collector::Seen, within};

/// Three processes and a retry: who is whose parent, what links to what, and what each span says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn from_command_to_event_to_handler_over_processes_and_a_retry() {
    let world = World::start().await;
    let _running = an_order_is_placed(&world).await;
    let collector = &world.collector;
    within("all have exported", async || collector.spans().len() >= 7).await;

    let checkout = collector.one("checkout");
    let request = collector.one("request shop.checkout.order.place");
    let command = collector.one("process shop.checkout.order.place");
    let placed = collector.one("send shop.checkout.order.placed");
    let attempts = collector.named("process shop.checkout.order.placed");
    let booked = collector.one("send shop.shipping.parcel.booked");
    assert_eq!(attempts.len(), 2, "{:#?}", collector.spans());
    let (first, second) = (&attempts[0], &attempts[1]);

    let walk = [
        (&checkout, "till", SpanKind::Internal, None),
        (&request, "till", SpanKind::Client, Some(&checkout)),
        (&command, "orders", SpanKind::Server, Some(&request)),
        (&placed, "orders", SpanKind::Producer, Some(&command)),
        (first, "shipping", SpanKind::Consumer, Some(&placed)),
        (second, "shipping", SpanKind::Consumer, Some(&placed)),
        (&booked, "shipping", SpanKind::Producer, Some(second)),
    ];
    for (span, service, kind, parent) in walk {
        assert_eq!((span.service.as_str(), span.kind), (service, kind), "{span:#?}");
        assert_eq!(span.trace, checkout.trace, "one trace: {span:#?}");
        let parent = parent.map_or(&[][..], |parent: &Seen| &parent.id);
        assert_eq!(span.parent, parent, "{span:#?}");
    }
    assert_eq!(collector.spans().len(), walk.len(), "{:#?}", collector.spans());

    assert!(first.links_to(&placed, "creation") && first.links.len() == 1);
    assert!(second.links_to(&placed, "creation") && second.links_to(first, "failed_attempt"));
    assert_eq!((first.failed, second.failed), (true, false));
    assert_eq!(first.attribute("error.type"), Some("failed"));
    assert_eq!(second.attribute("error.type"), None);
    // What was logged while it ran is in the span: the failure, and what the handler itself said.
    assert!(
        first.events.iter().any(|event| event.contains("tried again")),
        "{first:#?}"
    );
    assert!(
        second.events.iter().any(|event| event == "shipped"),
        "{second:#?}"
    );

    attributes(&request, &placed, second, &booked);
    says(
        &command,
        &[
            ("messaging.system", "nats"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "shop.checkout.order.place"),
            ("tidewire.attempt", "#1"),
        ],
    );
    for name in ["messaging.message.id", "messaging.message.body.size"] {
        assert_eq!(command.attribute(name), request.attribute(name), "{name}");
        assert!(command.attribute(name).is_some(), "{name}: {command:#?}");
    }
    for span in collector.spans() {
        assert!(
            !span.name.contains("o.1") && !span.name.contains("o=2E1"),
            "no key in a name: {span:#?}"
        );
    }
}

fn attributes(request: &Seen, placed: &Seen, second: &Seen, booked: &Seen) {
    says(
        second,
        &[
            ("messaging.system", "nats"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "shop.checkout.order.placed"),
            ("messaging.consumer.group.name", "shipping__ship"),
            ("tidewire.attempt", "#2"),
            ("tidewire.message.key", "o.1"),
        ],
    );
    says(
        placed,
        &[
            ("messaging.system", "nats"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "shop.checkout.order.placed"),
        ],
    );
    says(
        request,
        &[
            ("messaging.system", "nats"),
            ("messaging.operation.name", "request"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "shop.checkout.order.place"),
        ],
    );
    for name in [
        "messaging.message.id",
        "messaging.message.body.size",
        "messaging.message.conversation_id",
    ] {
        assert_eq!(placed.attribute(name), second.attribute(name), "{name}");
        assert!(placed.attribute(name).is_some(), "{name}: {placed:#?}");
    }
    let conversation = "messaging.message.conversation_id";
    assert_eq!(
        request.attribute("messaging.message.id"),
        booked.attribute(conversation)
    );
    assert!(
        second
            .attribute("messaging.message.body.size")
            .unwrap()
            .starts_with('#')
    );
}

fn says(span: &Seen, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attribute(name), Some(*value), "{name}: {span:#?}");
    }
}

/// Somebody orders something, and exports by the flush at the end and in no other way; the others run on.
async fn an_order_is_placed(world: &World) -> [Role; 2] {
    let nats = tidewire::connect(world.server.url()).await.unwrap();
    let orders = world.role("orders");
    within("orders answers", async || {
        let client = nats.client();
        client.request("$SRV.PING.orders", "".into()).await.is_ok()
    })
    .await;
    let shipping = world.role("shipping");
    within("shipping pulls", async || {
        let js = jetstream::new(nats.client());
        let Ok(stream) = js.get_stream("SHOP__CHECKOUT").await else {
            return false;
        };
        let info = stream.consumer_info("shipping__ship").await;
        info.is_ok_and(|info| info.num_waiting > 0)
    })
    .await;
    world.role_to_its_end("till").await;
    [orders, shipping]
}

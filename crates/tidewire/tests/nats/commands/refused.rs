//! What is refused, and the line that each refusal names.

use tidewire::{PublishError, StartError, prelude::*};

use super::{BookParcel, book, carrier, note_parcel, shop};
use crate::support::{PaymentProcessed, Seen, connect, payments, server};

async fn refusal(service: Service<Seen>) -> String {
    let server = server();
    let refused = service.start(connect(&server).await).await;
    refused.unwrap_err().to_string()
}

fn bare() -> Service<Seen> {
    Service::new("carrier", "1.0.0").state(Seen::default())
}

#[tokio::test]
async fn whoever_works_a_command_declares_its_context() {
    let error = refusal(bare().on(durable("book", note_parcel))).await;
    assert!(
        error.contains("the durable `book` works the command `orders.shipping.parcel.book`")
            && error.contains(r#"add `.context(Context::new("orders.shipping"))`"#),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_is_worked_by_one_durable_of_a_service() {
    let twice = carrier(&Seen::default()).on(durable("book-too", note_parcel));
    let error = refusal(twice).await;
    assert!(
        error.contains("the durables `book`, `book-too` work the command `orders.shipping.parcel.book`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_context_without_events_and_without_commands_is_still_refused() {
    let error = refusal(
        bare()
            .context(Context::new("orders.shipping"))
            .sends::<BookParcel>(),
    )
    .await;
    assert!(
        error.contains("the context `orders.shipping` has no events"),
        "{error}"
    );
}

async fn dispatch(_: Dispatch<BookParcel>, _: Event<PaymentProcessed>) {}

#[tokio::test]
async fn a_sender_whose_receiver_never_starts_names_the_receivers_lines() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let shop = Service::new("shop", "1.0.0").on(durable("pay", dispatch));
    let error = shop.start(client).await.unwrap_err();
    assert!(matches!(error, StartError::NoQueue { .. }), "{error}");
    let text = error.to_string();
    for part in [
        "sends the durable command `orders.shipping.parcel.book`",
        "no stream ORDERS__SHIPPING__QUEUE captured `queue.orders.shipping.parcel.book.*`",
        r#"`.on(durable("name", handler))`"#,
        r#"`.context(Context::new("orders.shipping"))`"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[tokio::test]
async fn a_bus_sends_what_was_declared_and_names_the_line_to_add() {
    let server = server();
    let client = connect(&server).await;
    // To ask a command and to dispatch it is not to send it by the bus.
    let carrier = carrier(&Seen::default()).asks::<BookParcel>();
    let carrier = carrier.start(client.clone()).await.unwrap();
    let error = carrier.bus().send(&book("p")).await.unwrap_err();
    assert!(matches!(error, PublishError::UndeclaredCommand { .. }), "{error}");
    assert!(
        error.to_string().contains("add `.sends::<BookParcel>()`"),
        "{error}"
    );
    assert!(!error.is_transient());
}

/// It takes as long as a publish is tried.
#[tokio::test]
async fn a_queue_that_is_gone_is_named_with_the_service_that_makes_it() {
    let server = server();
    let client = connect(&server).await;
    let carrier = carrier(&Seen::default()).start(client.clone()).await.unwrap();
    let shop = shop(&client).await;
    carrier.stop().await.unwrap();
    let js = crate::support::jetstream(&client);
    js.delete_stream(super::QUEUE).await.unwrap();
    let error = shop.bus().send(&book("p")).await.unwrap_err();
    assert!(matches!(error, PublishError::NoQueue { .. }), "{error}");
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("no queue stored `queue.orders.shipping.parcel.book.p`")
            && text.contains(r#"`.context(Context::new("orders.shipping"))`"#),
        "{text}"
    );
}

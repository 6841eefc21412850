//! Services that must not start, and what they say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Any, StartError,
    async_nats::jetstream::{consumer, stream},
    prelude::*,
};

use crate::support::{PAYMENTS, PaymentProcessed, Seen, connect, jetstream, note, payments, server};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", key = payment_id)]
struct ProcessPayment {
    payment_id: String,
}

async fn process(Command(_): Command<ProcessPayment>) {}
async fn any(Event(_): Event<Any>) {}

#[tokio::test]
async fn a_declaration_that_contradicts_itself_is_refused_line_by_line() {
    let server = server();
    let service = Service::new("Payments", "one")
        .state(Seen::default())
        .context(Context::new("orders"))
        .context(Context::new("orders.stock"))
        .on(durable("note", note))
        .on(durable("note", note))
        .on(durable("Any", any))
        .on(live(note).filter("orders.>"))
        .command(process)
        .command(process);
    let error = service
        .start(connect(&server).await)
        .await
        .unwrap_err()
        .to_string();
    let lines = [
        "the service's name",
        "the version `one` is not MAJOR.MINOR.PATCH",
        "the durable name `note` is given to 2 handlers",
        "`orders.payments.payment.process` is answered by 2 handlers",
        "the durable name `Any`",
        "takes whatever its filter matches; say what",
        "its filter `orders.>` would hide some",
        "the context `orders`",
        "the context `orders.stock` has no events",
    ];
    for line in lines {
        assert!(error.contains(line), "{line}\n{error}");
    }
}

#[tokio::test]
async fn a_handler_that_no_stream_feeds_is_refused() {
    let server = server();
    let service = Service::new("shipping", "1.0.0")
        .state(Seen::default())
        .on(durable("note", note));
    let error = service.start(connect(&server).await).await.unwrap_err();
    assert!(matches!(error, StartError::NotFed { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("the durable `note`") && text.contains("ORDERS__PAYMENTS"),
        "{text}"
    );
}

/// Services of one system start in any order.
#[tokio::test]
async fn a_handler_waits_for_the_service_that_declares_its_event() {
    let server = server();
    let shipping = Service::new("shipping", "1.0.0")
        .state(Seen::default())
        .on(durable("note", note));
    let (shipping, payments) = tokio::join!(shipping.start(connect(&server).await), async {
        // Later than the other's first look.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        payments().start(connect(&server).await).await
    });
    shipping.unwrap().stop().await.unwrap();
    payments.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_would_answer_callers_is_refused() {
    let server = server();
    let client = connect(&server).await;
    let config = stream::Config {
        name: "ALL".into(),
        subjects: vec!["orders.>".into()],
        ..Default::default()
    };
    jetstream(&client).create_stream(config).await.unwrap();
    let error = Service::new("payments", "1.0.0")
        .command(process)
        .start(client)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the stream ALL captures `orders.payments.payment.process.*`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_consumer_of_somebody_else_is_left_alone() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let config = consumer::pull::Config {
        durable_name: Some("shipping__note".into()),
        ..Default::default()
    };
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    stream.create_consumer(config).await.unwrap();
    let before = stream.consumer_info("shipping__note").await.unwrap().config;
    let service = Service::new("shipping", "1.0.0")
        .state(Seen::default())
        .on(durable("note", note));
    let error = service.start(client.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("belongs to a program that is not Tidewire"),
        "{error}"
    );
    assert_eq!(
        stream.consumer_info("shipping__note").await.unwrap().config,
        before
    );
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.failed", key = payment_id)]
struct PaymentFailed {
    payment_id: String,
}

#[derive(EventSet)]
enum Outcome {
    Paid(PaymentProcessed),
    Failed(PaymentFailed),
}

async fn outcome(Event(outcome): Event<Outcome>) {
    match outcome {
        Outcome::Paid(paid) => drop(paid),
        Outcome::Failed(failed) => drop(failed),
    }
}

#[tokio::test]
async fn a_durable_may_hear_more_and_never_less() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments()
        .publishes::<PaymentFailed>()
        .start(client.clone())
        .await
        .unwrap();
    let shipping = || Service::new("shipping", "1.0.0").state(Seen::default());
    shipping()
        .on(durable("note", note))
        .start(client.clone())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    let more = shipping()
        .on(durable("note", outcome))
        .start(client.clone())
        .await
        .unwrap();
    more.stop().await.unwrap();
    let filters = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let filters = filters
        .consumer_info("shipping__note")
        .await
        .unwrap()
        .config
        .filter_subjects;
    assert_eq!(filters.len(), 2);
    let less = shipping()
        .on(durable("note", note))
        .start(client.clone())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        less.contains("`orders.payments.payment.failed.*` is not declared any more"),
        "{less}"
    );
    let moved = shipping()
        .on(durable("note", outcome).start(Start::Now))
        .start(client)
        .await
        .unwrap_err();
    assert!(
        moved.to_string().contains("start: New declared, All found"),
        "{moved}"
    );
}

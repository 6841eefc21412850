//! What came of what was sent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connect, Connection, prelude::*};
use tidewire_server::Server;

use super::{ANY, PROCESSED, address, is, publish};
use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, connect, connected, http::figures, payments, processed, quiet,
    server,
};

const SENT: &str = "messaging_client_sent_messages_total{";
const PAID: &str = "message=\"orders.payments.payment.pay\"";

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.pay", key = payment_id)]
struct Pay {
    payment_id: String,
    how: String,
}

fn pay(how: &str) -> Pay {
    Pay {
        payment_id: "p".into(),
        how: how.into(),
    }
}

async fn take(Command(pay): Command<Pay>) -> Result<(), Failure> {
    match pay.how.as_str() {
        "no" => Err(Failure::decline("no_money", "there is none")),
        "never" => std::future::pending().await,
        _ => Ok(()),
    }
}

#[tokio::test]
async fn requests_are_counted_as_answered_refused_or_failed_with_the_reason() {
    let server = server();
    let client = connect(&server).await;
    let asking = Service::new("asking", "1.0.0")
        .asks::<Pay>()
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    let bus = asking.bus();
    // Nobody answers yet.
    bus.ask(&pay("well")).await.unwrap_err();
    let cashier = Service::new("cashier", "1.0.0").command(take);
    let _cashier = cashier.start(client.clone()).await.unwrap();
    for _ in 0..3 {
        bus.ask(&pay("well")).await.unwrap();
    }
    for _ in 0..2 {
        bus.ask(&pay("no")).await.unwrap_err();
    }
    let late = bus.ask_within(&pay("never"), Duration::from_millis(100)).await;
    late.unwrap_err();
    bus.ask(&pay(&"x".repeat(2 << 20))).await.unwrap_err();

    let now = figures(address(&asking), "asking").await;
    is(&now, 3, &[SENT, PAID, "outcome=\"answered\""]);
    is(&now, 2, &[SENT, PAID, "outcome=\"refused\""]);
    for (class, count) in [
        ("no_responders", 1),
        ("timed_out", 1),
        ("too_large", 1),
        ("unreadable", 0),
    ] {
        let class = format!("error_class=\"{class}\"");
        is(&now, count, &[SENT, PAID, "outcome=\"failed\"", &class]);
    }
    is(&now, 8, &[SENT]);
}

async fn book(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
    let payment_id = paid.payment_id;
    booked.emit(ParcelBooked { payment_id });
}

/// The same event comes twice: what follows from it has the same id, which its stream knows.
#[tokio::test]
async fn what_its_stream_had_already_is_counted_as_a_duplicate() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let repeating = Service::new("repeating", "1.0.0")
        .context(Context::new("orders.shipping"))
        .on(durable("book", book))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    for _ in 0..3 {
        publish(&client, 1, |_| "orders.payments.payment.processed.k0".into()).await;
    }
    quiet(&client, PAYMENTS, "repeating__book").await;
    let now = figures(address(&repeating), "repeating").await;
    let booked = "message=\"orders.shipping.parcel.booked\"";
    is(&now, 1, &[SENT, booked, "outcome=\"stored\""]);
    is(&now, 2, &[SENT, booked, "outcome=\"duplicate\""]);
    is(&now, 3, &[SENT]);
}

/// A server on which a user may publish no payments.
async fn forbidding() -> (Server, Connection, Connection) {
    // Who connects has two seconds to say who it is, unless the server is told otherwise.
    let config = "authorization {
        timeout: 30
        users: [
            { user: admin, password: admin }
            { user: till, password: till, permissions: {
                publish: { deny: \"orders.payments.payment.processed.>\" } } }
        ]
    }";
    let server = Server::builder().config(config).start().unwrap();
    let connect = async |user: &str| connected(Connect::to(server.url()).user(user, user.to_owned())).await;
    let (admin, till) = (connect("admin").await, connect("till").await);
    (server, admin, till)
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.till.counted", key = till)]
struct TillCounted {
    till: String,
    #[schemars(range(min = 0))]
    cents: i64,
}

fn counted(till: impl Into<String>, cents: i64) -> TillCounted {
    TillCounted {
        till: till.into(),
        cents,
    }
}

/// What never became a message that could be sent has failed, too.
#[tokio::test]
async fn events_that_were_not_stored_are_counted_with_the_reason() {
    let (_server, admin, till) = forbidding().await;
    let _payments = payments().start(admin).await.unwrap();
    let failing = Service::new("failing-till", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
        .publishes::<TillCounted>()
        .validate_sent()
        .monitor(ANY)
        .start(till)
        .await
        .unwrap();
    let bus = failing.bus();
    bus.publish(&counted("1", 5)).await.unwrap();
    bus.publish(&counted("1", -1)).await.unwrap_err();
    bus.publish(&counted("1", -2)).await.unwrap_err();
    bus.publish(&processed("p")).await.unwrap_err();
    let large = PaymentProcessed {
        note: "x".repeat(2 << 20),
        ..processed("p")
    };
    bus.publish(&large).await.unwrap_err();

    let now = figures(address(&failing), "failing-till").await;
    let till = "message=\"orders.payments.till.counted\"";
    is(&now, 1, &[SENT, till, "outcome=\"stored\""]);
    let failed = "outcome=\"failed\"";
    is(&now, 2, &[SENT, till, failed, "error_class=\"encode\""]);
    is(
        &now,
        1,
        &[SENT, PROCESSED, failed, "error_class=\"not_permitted\""],
    );
    is(&now, 1, &[SENT, PROCESSED, failed, "error_class=\"too_large\""]);
    is(&now, 5, &[SENT]);
}

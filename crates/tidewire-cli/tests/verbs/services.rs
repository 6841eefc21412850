//! Two small services: payments, which keeps a stream and answers, and shipping, which reads and listens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connect, Connection, Failure, OrFail, Running, prelude::*};
use tidewire_server::Server;

use crate::letters::connected;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id, version = 2, patch(1 = []))]
pub(crate) struct PaymentProcessed {
    pub(crate) payment_id: String,
    pub(crate) amount: u32,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

pub(crate) fn processed(payment_id: &str) -> PaymentProcessed {
    PaymentProcessed {
        payment_id: payment_id.to_owned(),
        amount: 5,
        note: None,
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.closed")]
pub(crate) struct DayClosed {
    day: String,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", key = payment_id, reply = Receipt)]
struct ProcessPayment {
    payment_id: String,
    amount: u32,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.payments.payment.get", key = payment_id, reply = Option<Receipt>)]
struct GetPayment {
    payment_id: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Receipt {
    payment_id: String,
    amount: u32,
}

async fn process(
    processed: Emit<PaymentProcessed>,
    Command(command): Command<ProcessPayment>,
) -> Result<Receipt, Failure> {
    let ProcessPayment { payment_id, amount } = command;
    match amount {
        13 => Err("the account \u{1b}[31mis empty").or_decline("insufficient_funds")?,
        99 => Err("the bank is closed").or_retry()?,
        _ => {}
    }
    processed.emit(PaymentProcessed {
        payment_id: payment_id.clone(),
        amount,
        note: None,
    });
    Ok(Receipt { payment_id, amount })
}

async fn get(Query(query): Query<GetPayment>) -> Option<Receipt> {
    (query.payment_id == "p-1").then_some(Receipt {
        payment_id: query.payment_id,
        amount: 5,
    })
}

async fn ship(Event(_): Event<PaymentProcessed>) {}

async fn watch(Event(_): Event<Any>) {}

pub(crate) fn payments() -> Service {
    Service::new("payments", "1.2.3")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
        .publishes::<DayClosed>()
        .command(process)
        .query(get)
}

pub(crate) fn shipping() -> Service {
    Service::new("shipping", "0.4.0")
        .on(durable("ship-on-payment", ship))
        .on(live(watch).filter("orders.payments.>").queue_group("watchers"))
}

pub(crate) async fn connect(server: &Server) -> Connection {
    connected(Connect::to(server.url())).await
}

/// A server on which both run; they end with what is returned.
pub(crate) async fn world() -> (Server, [Running; 2]) {
    let server = Server::start().unwrap();
    let payments = payments().start(connect(&server).await).await.unwrap();
    let shipping = shipping().start(connect(&server).await).await.unwrap();
    (server, [payments, shipping])
}

/// Returns once the server has processed everything that was sent on this connection.
pub(crate) async fn round_trip(nats: &Connection) {
    let inbox = nats.client().new_inbox();
    let mut echo = nats.client().subscribe(inbox.clone()).await.unwrap();
    nats.client().publish(inbox, "".into()).await.unwrap();
    futures_util::StreamExt::next(&mut echo).await.unwrap();
}

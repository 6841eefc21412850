//! A server with our services on it.

use std::{error::Error, time::Duration};

use serde_json::{Value, json};
use tidewire::{
    Format, MessageId, Metadata, Running, Timestamp,
    async_nats::{self, jetstream},
    prelude::*,
};
use tidewire_server::Server;
use tokio::time::{Instant, sleep};

use crate::{
    connecting::connected,
    messages::{
        GetPayment, LIMIT, PaymentProcessed, PaymentRequested, ProcessPayment, REQUESTED, Receipt, STREAM,
        UNLUCKY,
    },
    seen::{SOON, Seen},
};

/// The version that both services say they are.
pub(crate) const VERSION: &str = "1.2.3";
/// How many instances of `payments` run.
pub(crate) const INSTANCES: usize = 2;

/// A server, two instances of `payments`, one of `shipping`, and what their handlers saw.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) payments: Vec<Running>,
    pub(crate) shipping: Option<Running>,
    pub(crate) seen: Seen,
    pub(crate) server: Server,
}

impl World {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let mut world = Self::empty()?;
        for _ in 0..INSTANCES {
            let payments = payments(&world.seen, Format::Tidewire);
            let nats = connected(&world.server.url()).await?;
            world.payments.push(payments.start(nats).await?);
        }
        world.start_shipping().await?;
        Ok(world)
    }

    /// A server, and nothing on it.
    pub(crate) fn empty() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            payments: Vec::new(),
            shipping: None,
            seen: Seen::default(),
            server: Server::start()?,
        })
    }

    pub(crate) async fn start_shipping(&mut self) -> Result<(), Box<dyn Error>> {
        let nats = connected(&self.server.url()).await?;
        let shipping = Service::new("shipping", VERSION).state(self.seen.clone());
        self.shipping = Some(shipping.on(durable("ship", ship)).start(nats).await?);
        Ok(())
    }

    /// The state of a consumer on the stream of the payments.
    pub(crate) async fn consumer(&self, name: &str) -> Result<jetstream::consumer::Info, Box<dyn Error>> {
        let client = async_nats::connect(self.server.url()).await?;
        let stream = jetstream::new(client).get_stream(STREAM).await?;
        Ok(stream.consumer_info(name).await?)
    }

    /// What waits for a consumer, once that is as `wanted` or after a while: the server counts what was stored, and what was
    /// acked, a moment after it said so.
    pub(crate) async fn waiting(&self, consumer: &str, wanted: &Value) -> Result<Value, Box<dyn Error>> {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.consumer(consumer).await?;
            let waiting = json!({ "pending": found.num_pending, "unacknowledged": found.num_ack_pending });
            if waiting == *wanted || Instant::now() > deadline {
                return Ok(waiting);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The service that foreign programs talk to.
pub(crate) fn payments(seen: &Seen, format: Format) -> Service<Seen> {
    Service::new("payments", VERSION)
        .state(seen.clone())
        .format(format)
        .context(Context::new("orders.payments"))
        .publishes::<PaymentRequested>()
        .publishes::<PaymentProcessed>()
        .on(durable("record", record))
        .on(durable("audit", audit).filter(format!("{REQUESTED}.*")))
        .on(live(watch).queue_group("watchers"))
        .command(process)
        .query(get)
}

/// What was said in the data, and beside it.
async fn record(
    State(seen): State<Seen>,
    id: MessageId,
    time: Timestamp,
    metadata: Metadata,
    Event(requested): Event<PaymentRequested>,
) {
    let note = json!({ "id": id.to_string(), "time": time, "data": requested, "metadata": metadata });
    seen.note("record", note);
}

/// What was said by the subject, and the data as it came.
async fn audit(State(seen): State<Seen>, id: MessageId, Event(any): Event<Any>) {
    let note = json!({
        "id": id.to_string(), "name": any.name, "key": any.key, "version": any.version, "data": any.data,
    });
    seen.note("audit", note);
}

/// The same, while it passes.
async fn watch(State(seen): State<Seen>, id: MessageId, Event(requested): Event<PaymentRequested>) {
    seen.note("watch", json!({ "id": id.to_string(), "data": requested }));
}

async fn process(
    processed: Emit<PaymentProcessed>,
    Command(payment): Command<ProcessPayment>,
) -> Result<Receipt, Failure> {
    let ProcessPayment { payment_id, amount } = payment;
    if amount > LIMIT {
        return Err(Failure::decline("insufficient_funds", "there is less than that"));
    }
    if amount == UNLUCKY {
        Err("the gateway is down").or_unavailable()?;
    }
    processed.emit(PaymentProcessed {
        payment_id: payment_id.clone(),
        amount,
    });
    Ok(Receipt { payment_id, amount })
}

async fn get(Query(GetPayment { payment_id }): Query<GetPayment>) -> Option<Receipt> {
    let amount = 42;
    (payment_id != "nobody's").then_some(Receipt { payment_id, amount })
}

async fn ship(
    State(seen): State<Seen>,
    attempt: Attempt,
    id: MessageId,
    Event(processed): Event<PaymentProcessed>,
) {
    let note = json!({ "id": id.to_string(), "data": processed, "attempt": attempt.0 });
    seen.note("ship", note);
}

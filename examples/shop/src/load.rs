//! The storefront: places orders at a given rate, and keeps a ledger of its own of what it was told.

mod ledger;

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tidewire::{AskError, Bus, Connection, Message, Running, StartError, StopError, prelude::*};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    messages::{
        GetOrder, ItemRejected, ItemReserved, OrderPlaced, PaymentFailed, PaymentProcessed, PlaceOrder,
    },
    orders::PRICES,
};

pub use ledger::{Answer, Entry, Figures, Ledger};

/// How long a customer asks again for an answer that got lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A small service that only asks and listens.
#[derive(Debug)]
pub struct Storefront {
    running: Running,
    ledger: Arc<Ledger>,
    /// What the ids of this storefront's orders begin with: another one on the same server has another.
    prefix: String,
}

/// Everything that happens in the shop.
#[derive(EventSet, Clone, Debug)]
enum News {
    Placed(OrderPlaced),
    Reserved(ItemReserved),
    Rejected(ItemRejected),
    Processed(PaymentProcessed),
    Failed(PaymentFailed),
}

/// Counts events and notes the ends of orders, for the display: the truth is asked for in [`Storefront::settle`].
async fn watch(State(ledger): State<Arc<Ledger>>, Event(news): Event<News>) {
    match news {
        News::Placed(event) => ledger.heard(OrderPlaced::TYPE.name, &event.order_id, false),
        News::Reserved(event) => ledger.heard(ItemReserved::TYPE.name, &event.order_id, false),
        News::Rejected(event) => ledger.heard(ItemRejected::TYPE.name, &event.order_id, true),
        News::Processed(event) => ledger.heard(PaymentProcessed::TYPE.name, &event.order_id, true),
        News::Failed(event) => ledger.heard(PaymentFailed::TYPE.name, &event.order_id, true),
    }
}

impl Storefront {
    /// Opens the storefront; the shop's services may still be starting.
    ///
    /// # Errors
    /// [`StartError`] where it cannot listen.
    pub async fn open(nats: Connection) -> Result<Self, StartError> {
        let ledger = Arc::new(Ledger::default());
        let running = Service::new("storefront", env!("CARGO_PKG_VERSION"))
            .state(ledger.clone())
            .asks::<PlaceOrder>()
            .asks::<GetOrder>()
            .on(live(watch))
            .start(nats)
            .await?;
        let prefix = std::iter::repeat_with(fastrand::lowercase).take(4).collect();
        Ok(Self {
            running,
            ledger,
            prefix,
        })
    }

    /// What it knows.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Places `rate` orders a second until `most` are placed or `end` comes, and awaits the answers.
    pub async fn place_orders(&self, rate: u32, most: Option<u64>, end: impl Future<Output = ()>) {
        let mut tick = interval(Duration::from_secs(1) / rate.max(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut asking = JoinSet::new();
        let mut end = std::pin::pin!(end);
        for number in 1..=most.unwrap_or(u64::MAX) {
            tokio::select! {
                biased;
                () = &mut end => break,
                _ = tick.tick() => {}
            }
            while asking.try_join_next().is_some() {}
            let order = an_order(format!("{}-{number}", self.prefix), number);
            asking.spawn(place(self.running.bus(), self.ledger.clone(), order));
        }
        asking.join_all().await;
    }

    /// Asks how the orders are until all of them have ended, for at most `within`; gives how many have not.
    pub async fn settle(&self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        loop {
            let open = self.count_open().await;
            if open == 0 || Instant::now() >= deadline {
                return open;
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks once after each order that has not ended; gives how many still have not.
    pub async fn count_open(&self) -> usize {
        stream::iter(self.ledger.unfinished())
            .map(|order_id| self.has_ended(order_id))
            .buffer_unordered(32)
            .filter(|ended| std::future::ready(!ended))
            .count()
            .await
    }

    async fn has_ended(&self, order_id: String) -> bool {
        let query = GetOrder { order_id };
        match self.running.bus().ask(&query).await {
            Ok(Some(order)) if order.status.is_final() => {
                self.ledger.finished(&query.order_id, order.status);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(order = query.order_id, %error, "the order could not be asked for");
                false
            }
        }
    }

    /// Closes the storefront; its ledger stays.
    ///
    /// # Errors
    /// [`StopError`] where the server does not answer any more.
    pub async fn close(self) -> Result<(), StopError> {
        self.running.stop().await
    }
}

/// Places one order, and again where the answer got lost: under the same id it is the same order.
async fn place(bus: Bus, ledger: Arc<Ledger>, order: PlaceOrder) {
    ledger.asked(&order);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = match bus.ask(&order).await {
            Ok(_) => Answer::Accepted,
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                ledger.asked_again();
                sleep(PAUSE).await;
                continue;
            }
            Err(AskError::Refused { error, .. }) if !error.retryable => Answer::Declined(error.code),
            Err(error) => Answer::Unknown(error.to_string()),
        };
        return ledger.answered(&order.order_id, answer);
    }
}

/// Order number `number`. One in thirty is for a teapot, of which there are few; one in fifty asks for what is not sold; and
/// some cards are harder than others.
fn an_order(order_id: String, number: u64) -> PlaceOrder {
    let sku = match () {
        () if number % 50 == 7 => "toaster",
        () if number % 30 == 11 => "teapot",
        () => PRICES[fastrand::usize(..3)].0,
    };
    let card = match () {
        () if number % 20 == 3 => "4000-0002", // without money
        () if number % 25 == 4 => "4242 4242", // with a blank: see `Faults::blanks`
        () if number % 40 == 16 => "G7",       // a gift card, whose numbers are short: see `Faults::short`
        () => "4242-4242",
    };
    PlaceOrder {
        order_id,
        sku: sku.into(),
        units: fastrand::u32(1..=3),
        card: card.into(),
    }
}

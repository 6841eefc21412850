//! Tells customers how their orders ended.

use serde::{Deserialize, Serialize};
use tidewire::{Connection, prelude::*};

use crate::{
    bucket::{Bucket, BucketError},
    messages::{Ending, OrderPlaced},
};

/// What was sent to customers, by order.
#[derive(Clone, Debug)]
pub struct Mailbox(Bucket<Letter>);

/// One message to a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// What it says.
    pub text: String,
}

impl Mailbox {
    /// The mailbox on this server.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection) -> Result<Self, BucketError> {
        Bucket::open(nats, "SHOP_NOTIFICATIONS").await.map(Self)
    }
}

async fn notify(State(mailbox): State<Mailbox>, Event(ending): Event<Ending>) -> Result<(), Failure> {
    // The event may come twice; the letter has the order's id and is written once.
    mailbox.0.create(ending.order_id(), &letter(&ending)).await?;
    Ok(())
}

fn letter(ending: &Ending) -> Letter {
    let text = match ending {
        Ending::Paid(event) => format!(
            "Thank you! We charged {}.{:02}.",
            event.amount / 100,
            event.amount % 100
        ),
        Ending::OutOfStock(event) => format!("We are sorry: {} is sold out.", event.sku),
        Ending::PaymentFailed(event) => format!("Your card was declined: {}.", event.reason),
    };
    Letter { text }
}

/// Hears orders as they are placed; what is missed is missed, which is good enough for a log.
async fn watch(Event(placed): Event<OrderPlaced>) {
    tracing::debug!(order = placed.order_id, sku = placed.sku, "an order is placed");
}

/// The notifications service.
pub fn service(mailbox: Mailbox) -> Service<Mailbox> {
    Service::new("notifications", env!("CARGO_PKG_VERSION"))
        .state(mailbox)
        .on(durable("notify", notify))
        .on(live(watch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::PaymentProcessed;

    #[test]
    fn a_letter_names_the_amount() {
        let paid = PaymentProcessed {
            payment_id: "pay-1".into(),
            order_id: "1".into(),
            amount: 1205,
        };
        assert_eq!(letter(&Ending::Paid(paid)).text, "Thank you! We charged 12.05.");
    }
}

//! The bank's side: a gateway with a ledger of its own.

use serde::{Deserialize, Serialize};
use tidewire::Connection;

use crate::bucket::{Bucket, BucketError};

/// A payment gateway that is down for one request in ten, as some are.
#[derive(Clone, Debug)]
pub struct Gateway {
    ledger: Bucket<Charge>,
    /// The share of requests that fail, from 0 to 1.
    failing: f64,
}

/// What the gateway writes down when it takes money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// What the money is for.
    pub order_id: String,
    /// How much.
    pub amount: u64,
}

/// What the gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The money was taken, now or before.
    Charged,
    /// The card's issuer says no.
    Declined {
        /// Why.
        reason: String,
    },
}

/// A gateway that gave no verdict. The money may have been taken all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// It did not answer.
    #[error("the payment gateway does not answer")]
    Down,
    /// Its ledger could not be written.
    #[error(transparent)]
    Ledger(#[from] BucketError),
}

impl Gateway {
    /// The gateway on this server.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection) -> Result<Self, BucketError> {
        Ok(Self {
            ledger: Bucket::open(nats, "SHOP_CHARGES").await?,
            failing: 0.1,
        })
    }

    /// The same gateway on a better day, or a worse one.
    #[cfg(test)]
    pub(super) fn failing(self, failing: f64) -> Self {
        Self { failing, ..self }
    }

    /// Takes money, once for each payment however often it is asked.
    pub(super) async fn charge(
        &self,
        payment_id: &str,
        card: &str,
        charge: Charge,
    ) -> Result<Verdict, GatewayError> {
        let fails = fastrand::f64() < self.failing;
        if fails && fastrand::bool() {
            return Err(GatewayError::Down);
        }
        if card.ends_with("0002") {
            let reason = "insufficient funds".to_owned();
            return Ok(Verdict::Declined { reason });
        }
        // Already in the ledger: this payment was made before, and its answer got lost.
        self.ledger.create(payment_id, &charge).await?;
        if fails {
            return Err(GatewayError::Down); // the nasty kind: after the money was taken
        }
        Ok(Verdict::Charged)
    }
}

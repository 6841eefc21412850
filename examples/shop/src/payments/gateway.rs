//! The bank's side, simulated: a gateway with a ledger of its own, and with [`Faults`].

use serde::{Deserialize, Serialize};
use tidewire::{BoxError, Connection};

use super::Faults;
use crate::{
    bucket::{Bucket, BucketError},
    messages::PaymentRequested,
};

/// A payment gateway, as a client sees it.
#[derive(Clone, Debug)]
pub struct Gateway {
    ledger: Bucket<Charge>,
    faults: Bucket<Faults>,
}

/// A gateway that has answered the door.
#[derive(Clone, Debug)]
pub(super) struct Line {
    ledger: Bucket<Charge>,
    faults: Faults,
}

/// What the gateway writes down when it takes money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// What the money is for.
    pub payment_id: String,
    /// What that is for.
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

/// Nobody is there: nothing was asked, so nothing was charged.
#[derive(Debug, thiserror::Error)]
#[error("the payment gateway is unreachable")]
pub struct Unreachable(#[source] BoxError);

/// A gateway that gave no verdict. The money may have been taken all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// It says that something went wrong, and not what.
    #[error("the payment gateway answers with an internal error")]
    Internal,
    /// It makes nothing of the card.
    #[error("the payment gateway does not understand the card number")]
    Card,
    /// Its ledger could not be written.
    #[error("the payment gateway cannot write its ledger")]
    Ledger(#[source] BucketError),
}

impl GatewayError {
    /// Whether it says the same however often it is asked.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Card)
    }
}

impl Gateway {
    /// The gateway on this server.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection) -> Result<Self, BucketError> {
        Ok(Self {
            ledger: Bucket::open(nats, "SHOP_CHARGES").await?,
            faults: Bucket::open(nats, "SHOP_GATEWAY").await?,
        })
    }

    /// From the next call on, the gateway has these faults, for all who call it.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn set(&self, faults: Faults) -> Result<(), BucketError> {
        self.faults.put("faults", &faults).await
    }

    /// Reaches the gateway.
    pub(super) async fn connect(&self) -> Result<Line, Unreachable> {
        let found = self.faults.get("faults").await;
        let found = found.map_err(|error| Unreachable(error.into()))?;
        let faults = found.map(|(faults, _)| faults).unwrap_or_default();
        if faults.down {
            return Err(Unreachable("connection refused".into()));
        }
        Ok(Line {
            ledger: self.ledger.clone(),
            faults,
        })
    }
}

impl Line {
    /// Takes money: once for each payment, however often it is asked.
    pub(super) async fn charge(&self, payment: &PaymentRequested) -> Result<Verdict, GatewayError> {
        let card = payment.card.as_str();
        if self.faults.blanks && card.contains(' ') {
            return Err(GatewayError::Card);
        }
        if self.faults.short {
            log_issuer(card);
        }
        let early = fastrand::bool();
        if early {
            self.faults.befall().await?;
        }
        if card.ends_with("0002") {
            let reason = "insufficient funds".to_owned();
            return Ok(Verdict::Declined { reason });
        }
        let charge = Charge {
            payment_id: payment.payment_id.clone(),
            order_id: payment.order_id.clone(),
            amount: payment.amount,
        };
        // Where the ledger has it already, this payment was made before, and the answer got lost.
        self.ledger
            .create(&payment.payment_id, &charge)
            .await
            .map_err(GatewayError::Ledger)?;
        if !early {
            self.faults.befall().await?; // the nasty kind: the money was taken, and nobody hears of it
        }
        Ok(Verdict::Charged)
    }
}

/// Whoever wrote this had not heard of gift cards.
#[expect(clippy::expect_used, reason = "the bug that `Faults::short` is about")]
fn log_issuer(card: &str) {
    let issuer = card.get(..4).expect("a card has an issuer of four digits");
    tracing::debug!(issuer, "a card is charged");
}

//! What lies on the shelves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidewire::Connection;
use tokio::sync::Mutex;

use crate::bucket::{Bucket, BucketError};

/// How many units of each item there are at first: plenty, but for one.
pub const SHELVES: [(&str, u32); 4] = [
    ("tea", 1_000_000),
    ("coffee", 1_000_000),
    ("cup", 1_000_000),
    ("teapot", 12),
];

/// The stock and who gets it.
#[derive(Clone, Debug)]
pub struct Stock {
    shelves: Bucket<Shelf>,
    decisions: Bucket<Decision>,
    /// Orders take turns: side by side they would only make each other's writes stale. Correctness is not its work,
    /// other instances do not see it.
    turn: Arc<Mutex<()>>,
}

/// What was decided about an order, once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It gets these units.
    Reserved {
        /// How many.
        units: u32,
    },
    /// There were not enough for it.
    Rejected,
}

/// The units of one item.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shelf {
    left: u32,
    /// The order that took units last, and how many: its decision may not be written down yet.
    last: Option<(String, u32)>,
}

impl Stock {
    /// The stock on this server; the shelves are filled where there are none.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection) -> Result<Self, BucketError> {
        let shelves = Bucket::open(nats, "SHOP_SHELVES").await?;
        for (sku, left) in SHELVES {
            shelves.create(sku, &Shelf { left, last: None }).await?;
        }
        let decisions = Bucket::open(nats, "SHOP_RESERVATIONS").await?;
        Ok(Self {
            shelves,
            decisions,
            turn: Arc::default(),
        })
    }

    /// Puts units aside for an order, unless that is decided already.
    ///
    /// Units leave the shelf in one write that names the order, and no later write of the shelf is made before that
    /// order's decision is written down. So whoever reads the shelf, then the decision, and then writes the shelf at
    /// the revision that was read, cannot take units for the same order twice, wherever another instance died.
    pub(super) async fn reserve(
        &self,
        item: &str,
        order_id: &str,
        units: u32,
    ) -> Result<Decision, BucketError> {
        let _turn = self.turn.lock().await;
        loop {
            let Some((found, revision)) = self.shelves.get(item).await? else {
                return self.decide(order_id, Decision::Rejected).await;
            };
            if let Some((last, units)) = &found.last
                && self.decisions.get(last).await?.is_none()
            {
                self.decide(last, Decision::Reserved { units: *units }).await?;
            }
            if let Some((decision, _)) = self.decisions.get(order_id).await? {
                return Ok(decision);
            }
            let Some(left) = found.left.checked_sub(units) else {
                return self.decide(order_id, Decision::Rejected).await;
            };
            let last = Some((order_id.to_owned(), units));
            if self.shelves.update(item, &Shelf { left, last }, revision).await? {
                return self.decide(order_id, Decision::Reserved { units }).await;
            }
        }
    }

    /// Writes a decision down; the first one stands.
    async fn decide(&self, order_id: &str, decision: Decision) -> Result<Decision, BucketError> {
        if self.decisions.create(order_id, &decision).await? {
            return Ok(decision);
        }
        let found = self.decisions.get(order_id).await?;
        Ok(found.map_or(decision, |(found, _)| found))
    }
}

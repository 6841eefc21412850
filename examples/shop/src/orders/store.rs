//! What the orders service remembers.

use serde::{Deserialize, Serialize};
use tidewire::Connection;

use crate::{
    bucket::{Bucket, BucketError},
    messages::{OrderStatus, PlaceOrder},
};

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub order_id: String,
    /// The item.
    pub sku: String,
    /// How many.
    pub units: u32,
    /// The card to charge.
    pub card: String,
    /// What it costs.
    pub total: u64,
    /// How far it is.
    pub status: OrderStatus,
}

/// All orders, by id.
#[derive(Clone, Debug)]
pub struct Orders(Bucket<Order>);

impl Order {
    /// The order that `placed` asks for.
    pub fn new(placed: PlaceOrder, total: u64) -> Self {
        Self {
            order_id: placed.order_id,
            sku: placed.sku,
            units: placed.units,
            card: placed.card,
            total,
            status: OrderStatus::Placed,
        }
    }
}

impl OrderStatus {
    /// Whether nothing more happens to the order.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::OutOfStock | Self::PaymentFailed)
    }

    /// The status after `news`, which may come twice, and late: events of two streams have no order among them.
    #[must_use]
    pub fn after(self, news: Self) -> Self {
        match (self, news) {
            (end, _) if end.is_final() => end,
            (Self::Reserved, Self::Placed) => Self::Reserved,
            (_, news) => news,
        }
    }
}

impl Orders {
    /// The orders on this server.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection) -> Result<Self, BucketError> {
        Bucket::open(nats, "SHOP_ORDERS").await.map(Self)
    }

    /// Remembers a new order; gives the one that there is already under its id, if there is one.
    pub(super) async fn add(&self, order: Order) -> Result<Order, BucketError> {
        if self.0.create(&order.order_id, &order).await? {
            return Ok(order);
        }
        let found = self.get(&order.order_id).await?;
        Ok(found.unwrap_or(order))
    }

    pub(super) async fn get(&self, order_id: &str) -> Result<Option<Order>, BucketError> {
        Ok(self.0.get(order_id).await?.map(|(order, _)| order))
    }

    /// Writes down how far an order is; reads again where another handler wrote in between.
    pub(super) async fn advance(&self, order_id: &str, news: OrderStatus) -> Result<(), BucketError> {
        while let Some((order, revision)) = self.0.get(order_id).await? {
            let status = order.status.after(news);
            let done = order.status == status
                || self
                    .0
                    .update(order_id, &Order { status, ..order }, revision)
                    .await?;
            if done {
                return Ok(());
            }
        }
        Ok(()) // an order of somebody else
    }
}

#[cfg(test)]
mod tests {
    use super::OrderStatus::{OutOfStock, Paid, PaymentFailed, Placed, Reserved};

    #[test]
    fn an_end_is_never_overwritten() {
        for end in [Paid, OutOfStock, PaymentFailed] {
            for news in [Placed, Reserved, Paid, OutOfStock, PaymentFailed] {
                assert_eq!(end.after(news), end);
            }
        }
    }

    #[test]
    fn events_may_come_in_any_order_and_twice() {
        let orders = [
            [Reserved, Paid, Reserved],
            [Paid, Reserved, Paid],
            [Reserved, Reserved, Paid],
        ];
        for news in orders {
            assert_eq!(news.into_iter().fold(Placed, super::OrderStatus::after), Paid);
        }
        assert_eq!(Reserved.after(Placed), Reserved);
    }
}

//! Takes orders and sees each of them through to one of its ends.

mod store;

use tidewire::prelude::*;

use crate::messages::{
    GetOrder, ItemRejected, ItemReserved, OrderPlaced, OrderStatus, OrderView, PaymentFailed,
    PaymentProcessed, PaymentRequested, PlaceOrder, Receipt, ReserveItem,
};

pub use store::{Order, Orders};

/// What is sold, and for how many cents.
pub const PRICES: [(&str, u64); 4] = [("tea", 450), ("coffee", 690), ("cup", 1200), ("teapot", 3900)];

/// What becomes of an order.
#[derive(EventSet, Clone, Debug)]
pub enum Progress {
    /// Its units are put aside.
    Reserved(ItemReserved),
    /// There were not enough units.
    Rejected(ItemRejected),
    /// It is paid.
    Processed(PaymentProcessed),
    /// The card was declined.
    Failed(PaymentFailed),
}

async fn place(
    State(orders): State<Orders>,
    placed: Emit<OrderPlaced>,
    Command(order): Command<PlaceOrder>,
) -> Result<Receipt, Failure> {
    let Some((_, price)) = PRICES.iter().find(|(sku, _)| *sku == order.sku) else {
        return Err(Failure::decline(
            "unknown_item",
            format!("we do not sell {}", order.sku),
        ));
    };
    let total = price * u64::from(order.units);
    let order = orders.add(Order::new(order, total)).await?;
    let receipt = Receipt {
        order_id: order.order_id.clone(),
        total: order.total,
    };
    placed.emit(OrderPlaced {
        order_id: order.order_id,
        sku: order.sku,
        units: order.units,
        total: order.total,
    });
    Ok(receipt)
}

async fn get(
    State(orders): State<Orders>,
    Query(query): Query<GetOrder>,
) -> Result<Option<OrderView>, Failure> {
    let order = orders.get(&query.order_id).await?;
    Ok(order.map(|order| OrderView {
        order_id: order.order_id,
        status: order.status,
        total: order.total,
    }))
}

async fn reserve_on_placed(
    reserve: Ask<ReserveItem>,
    Event(placed): Event<OrderPlaced>,
) -> Result<(), Failure> {
    // No answer, or "try again later", fails this attempt: the event comes back after a second, then two, four, …
    reserve
        .ask(ReserveItem {
            sku: placed.sku,
            order_id: placed.order_id,
            units: placed.units,
        })
        .await?;
    Ok(())
}

async fn pay_on_reserved(
    State(orders): State<Orders>,
    requested: Emit<PaymentRequested>,
    Event(reserved): Event<ItemReserved>,
) -> Result<(), Failure> {
    let Some(order) = orders.get(&reserved.order_id).await? else {
        return Ok(()); // reserved for somebody else
    };
    // Nobody waits for an answer: however long the money takes to come, this handler is done.
    requested.emit(PaymentRequested {
        payment_id: format!("pay-{}", order.order_id),
        order_id: order.order_id,
        amount: order.total,
        card: order.card,
    });
    Ok(())
}

async fn track(State(orders): State<Orders>, Event(progress): Event<Progress>) -> Result<(), Failure> {
    let (order_id, news) = match progress {
        Progress::Reserved(event) => (event.order_id, OrderStatus::Reserved),
        Progress::Rejected(event) => (event.order_id, OrderStatus::OutOfStock),
        Progress::Processed(event) => (event.order_id, OrderStatus::Paid),
        Progress::Failed(event) => (event.order_id, OrderStatus::PaymentFailed),
    };
    orders.advance(&order_id, news).await?;
    Ok(())
}

/// The orders service.
///
/// A declined card does not give the reserved units back: that would be one more durable handler, of
/// [`PaymentFailed`], and one more command.
pub fn service(orders: Orders) -> Service<Orders> {
    Service::new("orders", env!("CARGO_PKG_VERSION"))
        .context(Context::new("orders.checkout").replicas(crate::replicas()))
        .state(orders)
        .command(place)
        .query(get)
        .on(durable("reserve-on-placed", reserve_on_placed))
        .on(durable("pay-on-reserved", pay_on_reserved))
        .on(durable("track", track))
}

#[cfg(test)]
mod tests;

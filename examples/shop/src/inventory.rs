//! Keeps the stock and puts units aside for orders.

mod stock;

use tidewire::prelude::*;

use crate::messages::{ItemRejected, ItemReserved, ReserveItem};

pub use stock::{Decision, SHELVES, Stock};

async fn reserve(
    State(stock): State<Stock>,
    reserved: Emit<ItemReserved>,
    rejected: Emit<ItemRejected>,
    Command(command): Command<ReserveItem>,
) -> Result<(), Failure> {
    let ReserveItem { sku, order_id, units } = command;
    match stock.reserve(&sku, &order_id, units).await? {
        Decision::Reserved { units } => reserved.emit(ItemReserved { sku, order_id, units }),
        Decision::Rejected => rejected.emit(ItemRejected { sku, order_id }),
    }
    Ok(())
}

/// The inventory service.
pub fn service(stock: Stock) -> Service<Stock> {
    Service::new("inventory", env!("CARGO_PKG_VERSION"))
        .context(Context::new("inventory.stock").replicas(crate::replicas()))
        .state(stock)
        .command(reserve)
}

#[cfg(test)]
mod tests;

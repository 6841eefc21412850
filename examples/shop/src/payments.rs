//! Charges cards through a gateway that fails now and then.

mod gateway;

use tidewire::prelude::*;

use crate::messages::{PaymentFailed, PaymentProcessed, ProcessPayment};

pub use gateway::{Charge, Gateway, GatewayError, Verdict};

async fn process(
    State(gateway): State<Gateway>,
    processed: Emit<PaymentProcessed>,
    failed: Emit<PaymentFailed>,
    Command(payment): Command<ProcessPayment>,
) -> Result<(), Failure> {
    let ProcessPayment {
        payment_id,
        order_id,
        amount,
        card,
    } = payment;
    let charge = Charge {
        order_id: order_id.clone(),
        amount,
    };
    // A gateway that is down is no answer: who asks hears `retryable: true`, and nothing is emitted.
    match gateway
        .charge(&payment_id, &card, charge)
        .await
        .or_unavailable()?
    {
        Verdict::Charged => processed.emit(PaymentProcessed {
            payment_id,
            order_id,
            amount,
        }),
        // A declined card is an answer, and an event.
        Verdict::Declined { reason } => failed.emit(PaymentFailed {
            payment_id,
            order_id,
            reason,
        }),
    }
    Ok(())
}

/// The payments service.
pub fn service(gateway: Gateway) -> Service<Gateway> {
    Service::new("payments", env!("CARGO_PKG_VERSION"))
        .context(Context::new("orders.payments").replicas(crate::replicas()))
        .state(gateway)
        .command(process)
}

#[cfg(test)]
mod tests;

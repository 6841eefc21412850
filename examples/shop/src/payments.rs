//! Charges cards through a gateway that fails in every way in which gateways fail.
//!
//! | the gateway … | what follows |
//! |---|---|
//! | takes the money, or the card's issuer says no | an event; the payment is done |
//! | answers with an error | a retry, after 0.2 s, 0.4 s, 0.8 s, … |
//! | cannot write its ledger | a retry after one second, by a rule |
//! | does not answer | the handler is cut off after [`TIME_LIMIT`]; a retry |
//! | makes its client panic | a retry: a panic ends this attempt, and nothing else |
//! | does not understand the card | a dead letter at once, by a rule: no retry helps |
//! | is down | the [breaker] opens: nothing is tried, nothing is spent, and everything goes on when it is back |
//!
//! A payment whose attempts are spent is a dead letter as well, and `tidewire dlq replay` gives it back once the cause is
//! mended. Whatever happens, nobody is charged twice: the gateway is given the payment's id as a key, and takes money once
//! for each. The message's own [`IdempotencyKey`](tidewire::extract::IdempotencyKey) would not do here: a customer who
//! asks again for an answer that got lost makes two messages of one payment.

mod faults;
mod gateway;

use std::time::Duration;

use tidewire::prelude::*;

use crate::{
    BucketError,
    messages::{PaymentFailed, PaymentProcessed, PaymentRequested},
};

pub use faults::Faults;
pub use gateway::{Charge, Gateway, GatewayError, Unreachable, Verdict};

/// How long the gateway may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(2);

/// How long a payment may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until its handler is cut off.
    pub time: Duration,
    /// Until its instance is taken for dead, and another one has it.
    pub ack_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: TIME_LIMIT,
            // What an instance that is killed had in hand, its twin has after five seconds.
            ack_wait: Duration::from_secs(5),
        }
    }
}

async fn charge(
    State(gateway): State<Gateway>,
    processed: Emit<PaymentProcessed>,
    failed: Emit<PaymentFailed>,
    Event(payment): Event<PaymentRequested>,
) -> Result<(), Failure> {
    // Nobody there: no fault of this payment, which waits behind the breaker and spends no attempt.
    let line = gateway.connect().await.or_unavailable()?;
    // What follows from the gateway's errors is said once for all of them, in `service` below.
    let verdict = line.charge(&payment).await?;
    let PaymentRequested {
        payment_id,
        order_id,
        amount,
        ..
    } = payment;
    match verdict {
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

/// Guards the gateway: an open breaker asks it again after half a second, and at least every three.
pub fn breaker() -> Breaker {
    Breaker::new("gateway")
        .first_wait(Duration::from_millis(500))
        .longest_wait(Duration::from_secs(3))
}

/// The payments service.
pub fn service(gateway: Gateway, breaker: &Breaker) -> Service<Gateway> {
    service_within(gateway, breaker, Limits::default())
}

/// The payments service with other limits: a test on a busy machine wants longer ones.
pub fn service_within(gateway: Gateway, breaker: &Breaker, limits: Limits) -> Service<Gateway> {
    let retry = Retry::exponential(Duration::from_millis(200), Duration::from_secs(10)).max_attempts(5);
    let charge = durable("charge", charge)
        .retry(retry)
        .on_error_if(GatewayError::is_final, Then::DeadLetter)
        .on_error::<BucketError>(Then::RetryAfter(Duration::from_secs(1)))
        .time_limit(limits.time)
        .ack_wait(limits.ack_wait)
        .circuit_breaker(breaker)
        // A request that comes again after it was handled sends the events of the first time, and runs nothing.
        .effectively_once();
    Service::new("payments", env!("CARGO_PKG_VERSION"))
        .context(Context::new("orders.payments").replicas(crate::replicas()))
        .state(gateway)
        .on(charge)
}

#[cfg(test)]
mod tests;

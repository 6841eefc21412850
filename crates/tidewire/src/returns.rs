//! What a handler gives back.

use tidewire_core::Failure;

/// What a handler of events or of a durable command gives back: `()`, or `Result<(), Failure>`.
#[diagnostic::on_unimplemented(
    message = "a handler in `.on(…)` gives `()` or `Result<(), Failure>`, not `{Self}`",
    label = "this return value cannot settle an event or a durable command",
    note = "to send an event, take `Emit<E>` as an argument",
    note = "nobody waits for the answer to a durable command; to answer, give the handler to `.command(handler)`",
    note = "an error of another type becomes a `Failure` by `?`, or by `.or_reject()?` and its kin"
)]
pub trait Settles: Send {
    /// Whether the event was handled.
    ///
    /// # Errors
    /// The handler's failure.
    fn settle(self) -> Result<(), Failure>;
}

#[diagnostic::do_not_recommend]
impl Settles for () {
    fn settle(self) -> Result<(), Failure> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl Settles for Result<(), Failure> {
    fn settle(self) -> Result<(), Failure> {
        self
    }
}

/// What the handler of a command or query gives back: its declared reply `R`, or `Result<R, Failure>`.
#[diagnostic::on_unimplemented(
    message = "this handler must answer `{R}` or `Result<{R}, Failure>`, not `{Self}`",
    label = "wrong answer",
    note = "the answer's type is the `reply = …` of the message; without one it is `()`"
)]
pub trait Answers<R>: Send {
    /// The answer.
    ///
    /// # Errors
    /// The handler's failure.
    fn answer(self) -> Result<R, Failure>;
}

impl<R: Send> Answers<R> for R {
    fn answer(self) -> Result<R, Failure> {
        Ok(self)
    }
}

impl<R: Send> Answers<R> for Result<R, Failure> {
    fn answer(self) -> Result<R, Failure> {
        self
    }
}

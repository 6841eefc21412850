//! What the server refuses on a connection, and whose call it was.
//!
//! A permission that is missing is told to the connection and not to the call: the call hears nothing until its time is
//! over.

use std::{fmt, future::Future};

use async_nats::{ClientError, Event, ServerError};
use tokio::sync::broadcast;

/// How many refusals may wait for a slow listener.
const WAITING: usize = 64;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Sending to a subject.
    Publish,
    /// Hearing a subject.
    Subscribe,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish to",
            Self::Subscribe => "subscribe to",
        })
    }
}

/// A permission that this connection's user does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this user may not {operation} `{subject}`; grant it in the server's configuration or the account")]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused.
    pub operation: Operation,
    /// The subject.
    pub subject: String,
}

/// The refusals of one connection, as they come.
#[derive(Clone, Debug)]
pub(crate) struct Refusals(broadcast::Sender<Refusal>);

/// The refusals of one connection since somebody began to listen.
#[derive(Debug)]
pub(crate) struct Heard(broadcast::Receiver<Refusal>);

impl Default for Refusals {
    fn default() -> Self {
        Self(broadcast::channel(WAITING).0)
    }
}

impl Refusals {
    /// Takes note of what the client says of its connection, and logs it.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::ServerError(ServerError::Other(text)) => {
                if let Some(refusal) = Refusal::parse(text) {
                    tracing::warn!(error = %refusal, "the server refused");
                    // Nobody may be waiting.
                    drop(self.0.send(refusal));
                } else {
                    tracing::error!(error = %text, "the server complains");
                }
            }
            Event::ClientError(ClientError::Other(text)) if text == "authorization violation" => {
                tracing::warn!("the server refuses the credentials; trying again until it takes them");
            }
            Event::Disconnected => tracing::warn!("the connection to NATS is lost; trying to get it back"),
            Event::Connected => tracing::info!("connected to NATS"),
            Event::ServerError(_) | Event::ClientError(_) | Event::SlowConsumer(_) => {
                tracing::warn!("the connection to NATS: {event}");
            }
            _ => tracing::debug!("the connection to NATS: {event}"),
        }
    }

    /// What is refused from now on.
    pub(crate) fn heard(&self) -> Heard {
        Heard(self.0.subscribe())
    }

    /// Runs `call` until it is done or the server refuses something that `concerns` it.
    pub(crate) async fn or_refused<T>(
        &self,
        concerns: impl Fn(&Refusal) -> bool,
        call: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        let mut heard = self.heard();
        tokio::select! {
            biased;
            done = call => Ok(done),
            refusal = heard.next(concerns) => Err(refusal),
        }
    }

    /// Runs a call that publishes to `subject` until it is done or the server refuses the subject.
    pub(crate) async fn publishing<T>(
        &self,
        subject: &str,
        call: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        let concerns =
            |refusal: &Refusal| refusal.operation == Operation::Publish && refusal.subject == subject;
        self.or_refused(concerns, call).await
    }
}

impl Heard {
    /// The next one that `concerns` the listener.
    pub(crate) async fn next(&mut self, concerns: impl Fn(&Refusal) -> bool) -> Refusal {
        loop {
            match self.0.recv().await {
                Ok(refusal) if concerns(&refusal) => return refusal,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Refusal {
    /// Reads for example `Permissions Violation for Publish to "a.b"`.
    fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let at = lower.find("permissions violation for ")?;
        let operation = if lower[at..].contains("subscription to") {
            Operation::Subscribe
        } else if lower[at..].contains("publish to") {
            Operation::Publish
        } else {
            return None;
        };
        let subject = text[at..].split('"').nth(1)?;
        Some(Self {
            operation,
            subject: subject.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_understood() {
        let text = r#"Permissions Violation for Publish to "$JS.API.STREAM.INFO.X""#;
        let refusal = Refusal::parse(text).unwrap();
        assert_eq!(
            (refusal.operation, refusal.subject.as_str()),
            (Operation::Publish, "$JS.API.STREAM.INFO.X")
        );
        let text = r#"permissions violation for subscription to "orders.>" using queue "payments""#;
        let refusal = Refusal::parse(text).unwrap();
        assert_eq!(
            (refusal.operation, refusal.subject.as_str()),
            (Operation::Subscribe, "orders.>")
        );
        assert_eq!(Refusal::parse("stale connection"), None);
    }
}

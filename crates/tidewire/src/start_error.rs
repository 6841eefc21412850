//! Why a service does not start.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind},
};
use tidewire_core::BoxError;

use crate::connection::Refusal;

/// A service that cannot start as it is declared, here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The declaration contradicts itself; each line names one contradiction and what to change.
    #[error("the service `{service}` is not declared well:{}", lines(.problems))]
    Declaration {
        /// The service.
        service: String,
        /// What is wrong, a line each.
        problems: Vec<String>,
    },
    /// The server is older than Tidewire needs.
    #[error("the server is nats-server {found} and Tidewire needs {needed} or newer; upgrade the server")]
    ServerTooOld {
        /// The server's version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// A stream exists and differs from the declaration in a way that adding to it cannot mend.
    #[error(
        "the stream {stream} is not what is declared:{}\nchange the declaration, or change the stream yourself where that is meant",
        lines(.differences)
    )]
    StreamDiffers {
        /// The stream.
        stream: String,
        /// The differences, a line each.
        differences: Vec<String>,
    },
    /// The server refused to make or change a stream.
    #[error("the server refused the stream {stream}: {source}")]
    StreamRefused {
        /// The stream.
        stream: String,
        /// What the server says.
        #[source]
        source: BoxError,
    },
    /// The stream has to be made or added to, and this connection's user may not.
    #[error(
        "the stream {stream} is not what is declared, and {refusal}; or start the service once as a user who may, for \
         the stream to have the subjects {}",
        .subjects.join(", ")
    )]
    StreamNotPermitted {
        /// The stream.
        stream: String,
        /// The subjects that are declared.
        subjects: Vec<String>,
        /// What was refused.
        #[source]
        refusal: Refusal,
    },
    /// A consumer exists and differs from the declaration in a way that would skip messages.
    #[error(
        "the consumer {consumer} of the stream {stream} is not what is declared:{}\ngive the handler a new durable name, or delete the consumer where its place in the stream may be lost",
        lines(.differences)
    )]
    ConsumerDiffers {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// The differences, a line each.
        differences: Vec<String>,
    },
    /// Messages of a durable that was ordered by key are parked, and it is not ordered any more: nobody would handle them.
    #[error(
        "{messages} messages of the durable `{durable}` are parked in the stream {stream}, and a durable that is not ordered by key does not read them; declare it with `.ordered_by_key()` until none is parked"
    )]
    Parked {
        /// The service's stream.
        stream: String,
        /// The durable.
        durable: String,
        /// How many are parked.
        messages: usize,
    },
    /// A consumer of the same name belongs to somebody else.
    #[error(
        "the consumer {consumer} of the stream {stream} belongs to {owner}; rename this service or its durable `{durable}`"
    )]
    ConsumerOwned {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Whose it is.
        owner: String,
        /// The durable that would have taken it.
        durable: String,
    },
    /// No stream captures what a handler needs.
    #[error(
        "{needs} needs `{filter}`, and within {within:?} no stream {stream} captured it; start the service that declares that event, or add the event's context to this one: `.context(Context::new(…))`"
    )]
    NotFed {
        /// The handler or the declaration that needs it.
        needs: String,
        /// The subjects that are needed.
        filter: String,
        /// The stream that should have them.
        stream: String,
        /// How long was waited.
        within: Duration,
    },
    /// No stream has a subject in common with the filter of a durable.
    #[error(
        "{needs} needs `{filter}`, and no stream captures such a subject; start the services that declare the events before this one"
    )]
    NothingMatches {
        /// The handler.
        needs: String,
        /// Its filter.
        filter: String,
    },
    /// There is no queue for a durable command that the service sends.
    #[error(
        "the service sends the durable command `{command}`, and within {within:?} no stream {stream} captured `{filter}`; \
         start the service that works it, which has `.on(durable(\"name\", handler))` for this command and \
         `.context(Context::new(\"{context}\"))`"
    )]
    NoQueue {
        /// The command's name.
        command: String,
        /// Its subjects in the queue.
        filter: String,
        /// The queue's stream.
        stream: String,
        /// The command's context, which its receiver declares.
        context: String,
        /// How long was waited.
        within: Duration,
    },
    /// A stream captures the subject of a command or query, and would answer the caller with its own ack.
    #[error(
        "the stream {stream} captures `{subject}`, which is answered by request and reply: the caller would hear the stream's ack; narrow the stream's subjects"
    )]
    RequestCaptured {
        /// The stream.
        stream: String,
        /// The subject of the command or query.
        subject: String,
    },
    /// Another process holds the lease on a stream for too long.
    #[error("the lease `{name}` was not free within {within:?}; see which service is stuck at its start")]
    LeaseHeld {
        /// The lease.
        name: String,
        /// How long was waited.
        within: Duration,
    },
    /// This connection's user may not do what the service needs.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// There is no JetStream here.
    #[error("there is no JetStream for this service: {reason}")]
    NoJetStream {
        /// What is off, and where to turn it on.
        reason: String,
    },
    /// JetStream did not answer, or refused.
    #[error("JetStream: {0}; see that the server runs with JetStream on and that this user may use it")]
    JetStream(#[source] BoxError),
    /// The server was too slow, or did not answer at all.
    #[error("the service did not start within {within:?}; see that the server is well, and start again")]
    TimedOut {
        /// How long was tried.
        within: Duration,
    },
    /// The connection did not carry a request or a subscription.
    #[error("the connection to NATS failed: {0}")]
    Connection(#[source] BoxError),
    /// The address of `.monitor(…)` cannot be listened on.
    #[error(
        "the monitor cannot listen on {address}: {source}; give `.monitor(…)` an address of this machine that is free, or the \
         port 0, which takes any that is"
    )]
    Monitor {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The recorder behind `/metrics` cannot be installed, most likely because the process has another one.
    #[error(
        "the recorder of `.monitor(…)` cannot be installed: {0}. Remove the other one: what is counted through the crate \
         `metrics` is shown by `/metrics` as well. Or remove `.monitor(…)`: the other one has Tidewire's figures too, and \
         `Running::not_ready` says whether the service is well"
    )]
    Recorder(#[source] BoxError),
    /// The handlers' threads could not be started.
    #[error("the threads for handlers cannot be started: {0}")]
    Threads(#[source] std::io::Error),
}

impl StartError {
    pub(crate) fn jetstream(source: impl Into<BoxError>) -> Self {
        Self::JetStream(source.into())
    }

    /// How making or changing a stream failed. That nobody answered, or no leader was there, is no refusal: it is tried
    /// again.
    pub(crate) fn of_stream(stream: &str, error: CreateStreamError) -> Self {
        let unanswered = match error.kind() {
            CreateStreamErrorKind::TimedOut => true,
            CreateStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::CLUSTER_NOT_AVAILABLE,
            _ => false,
        };
        if unanswered {
            return Self::jetstream(format!(
                "the stream {stream} cannot be made or changed now: {error}"
            ));
        }
        Self::StreamRefused {
            stream: stream.to_owned(),
            source: error.into(),
        }
    }

    pub(crate) fn connection(source: impl Into<BoxError>) -> Self {
        Self::Connection(source.into())
    }
}

fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  - ", line]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_answers_is_not_refused() {
        let of = |kind| StartError::of_stream("ORDERS__PAYMENTS", CreateStreamError::new(kind));
        let silent = of(CreateStreamErrorKind::TimedOut);
        assert!(matches!(silent, StartError::JetStream(_)), "{silent}");
        let refused = of(CreateStreamErrorKind::InvalidStreamName);
        assert!(matches!(refused, StartError::StreamRefused { .. }), "{refused}");
    }
}

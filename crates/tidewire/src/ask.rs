//! Commands and queries that wait for their answer.

use std::{fmt, sync::Arc, time::Duration};

use tidewire_core::{EncodeError, ErrorBody, Failure, MessageManifest, ReplyError, RequestMessage};

use crate::{
    connection::Refusal,
    extract::{Delivery, FromDelivery, Sends},
    headers::InvalidHeader,
    outbox::Outbox,
};

/// How long an answer is awaited.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// An argument through which a handler asks commands or queries of type `M`, and awaits the answer for up to five
/// seconds.
///
/// A message that is handled again asks with the same ids, if it asks in the same order. In a test, [`Ask::answering`] stands for the other
/// service.
pub struct Ask<M: RequestMessage>(Target<M>);

type Stub<M> = dyn Fn(M) -> Result<<M as RequestMessage>::Reply, ErrorBody> + Send + Sync;

enum Target<M: RequestMessage> {
    Outbox(Arc<Outbox>),
    Stub(Box<Stub<M>>),
}

/// A question without a usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No running service answers this message. Nobody has seen it: asking again later is safe.
    #[error("no service answers `{subject}` now; start the one that handles it, or ask again later")]
    NoResponders {
        /// Where the message was sent.
        subject: String,
    },
    /// No answer came in time. The service may have done what was asked: ask again only what may be done twice.
    #[error(
        "`{subject}` was not answered within {within:?}; it may have been handled all the same: ask again only what may be \
         done twice"
    )]
    TimedOut {
        /// Where the message was sent.
        subject: String,
        /// How long the answer was awaited.
        within: Duration,
    },
    /// The service answered with an error; `error.retryable` says whether the same message may succeed later.
    #[error(
        "`{subject}` was refused with `{code}`: {message}; {remedy}",
        code = .error.code,
        message = .error.message,
        remedy = after_refusal(.error.retryable)
    )]
    Refused {
        /// Where the message was sent.
        subject: String,
        /// What the service said.
        error: ErrorBody,
    },
    /// The answer is not what the message's `reply = …` says.
    #[error(
        "`{subject}` was answered by something else than its declared reply: {source}; let both sides declare one reply"
    )]
    Unreadable {
        /// Where the message was sent.
        subject: String,
        /// What is wrong with the answer.
        #[source]
        source: ReplyError,
    },
    /// A stream captures the subject: it has stored the message, and its ack came before any answer. A service may have
    /// handled the message all the same.
    #[error(
        "the stream {stream} captures `{subject}`, which is answered by request and reply: it has stored this message, and \
         its ack came in place of the answer; narrow the stream's subjects"
    )]
    Captured {
        /// Where the message was sent.
        subject: String,
        /// The stream.
        stream: String,
    },
    /// The message cannot be written; nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A header cannot be written; nothing was sent.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// This connection's user may not send there, and nothing was sent; or may not hear the answer, as the text says then.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// This service did not declare that it asks this message; nothing was sent.
    #[error("`{name}` is not declared; add `.asks::<{type_name}>()` to the service")]
    Undeclared {
        /// The message's name.
        name: &'static str,
        /// Its Rust type.
        type_name: &'static str,
    },
    /// The message is larger than the server takes; nothing was sent.
    #[error(
        "`{subject}` has {size} bytes and the server takes {limit}; send less, or raise the server's max_payload"
    )]
    TooLarge {
        /// Where the message was to be sent.
        subject: String,
        /// The size of the body in bytes.
        size: usize,
        /// The largest that the server takes.
        limit: usize,
    },
    /// The client refused.
    #[error("`{subject}` could not be sent: {source}; see that the server runs, and ask again")]
    Client {
        /// Where the message was to be sent.
        subject: String,
        /// What the client says.
        #[source]
        source: async_nats::RequestError,
    },
}

/// The service's own words say what is wrong, and need not say what to do.
fn after_refusal(retryable: bool) -> &'static str {
    if retryable {
        "ask again later"
    } else {
        "ask for something else"
    }
}

impl AskError {
    /// The code of the service's refusal, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(&error.code),
            _ => None,
        }
    }

    /// What went wrong in a word, for telemetry: a refusal's own code.
    pub(crate) fn class(&self) -> &str {
        match self {
            Self::NoResponders { .. } => "no_responders",
            Self::TimedOut { .. } => "timed_out",
            Self::Refused { error, .. } => &error.code,
            Self::Unreadable { .. } => "unreadable",
            Self::Captured { .. } => "captured",
            Self::Encode(_) => "encode",
            Self::Header(_) => "header",
            Self::NotPermitted(_) => "not_permitted",
            Self::Undeclared { .. } => "undeclared",
            Self::TooLarge { .. } => "too_large",
            Self::Client { .. } => "client",
        }
    }

    /// Whether asking the same again may succeed. After [`AskError::TimedOut`] it may also be done twice.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoResponders { .. } | Self::TimedOut { .. } | Self::Client { .. } => true,
            Self::Refused { error, .. } => error.retryable,
            _ => false,
        }
    }
}

impl<M: RequestMessage> Ask<M> {
    /// An `Ask` for tests, answered by `answer`.
    pub fn answering(answer: impl Fn(M) -> Result<M::Reply, ErrorBody> + Send + Sync + 'static) -> Self {
        Self(Target::Stub(Box::new(answer)))
    }

    /// Sends `message` and awaits the answer.
    ///
    /// # Errors
    /// [`AskError`]; its [`is_transient`](AskError::is_transient) says whether to ask again.
    pub async fn ask(&self, message: M) -> Result<M::Reply, AskError> {
        match &self.0 {
            Target::Outbox(outbox) => {
                let outgoing = outbox.request(&message)?;
                outbox
                    .sender()
                    .request::<M::Reply>(&outgoing, ANSWER_WITHIN)
                    .await
            }
            Target::Stub(answer) => answer(message).map_err(|error| AskError::Refused {
                subject: M::TYPE.name.to_owned(),
                error,
            }),
        }
    }
}

impl<M: RequestMessage> fmt::Debug for Ask<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("message", &M::TYPE.name)
            .finish_non_exhaustive()
    }
}

impl<S, M: RequestMessage> FromDelivery<S> for Ask<M> {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(Target::Outbox(delivery.outbox.clone())))
    }

    fn sends() -> Sends {
        Sends {
            asks: vec![(M::TYPE, MessageManifest::request::<M>())],
            ..Sends::default()
        }
    }
}

//! Why a stream did not take an event.

use std::time::Duration;

use tidewire_core::{BoxError, EncodeError, Outgoing};

use crate::{connection::Refusal, headers::InvalidHeader};

/// An event that was not stored, as far as is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event cannot be written; nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A header cannot be written; nothing was sent.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// This connection's user may not send there, and nothing was sent; or may not hear the confirmation, as the text says
    /// then.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// This service did not declare that it publishes this event; nothing was sent.
    #[error("`{name}` is not declared; add `.publishes::<{type_name}>()` to the service")]
    Undeclared {
        /// The event's name.
        name: &'static str,
        /// Its Rust type.
        type_name: &'static str,
    },
    /// This service did not declare that it sends this durable command; nothing was sent.
    #[error("`{name}` is not declared; add `.sends::<{type_name}>()` to the service")]
    UndeclaredCommand {
        /// The command's name.
        name: &'static str,
        /// Its Rust type.
        type_name: &'static str,
    },
    /// There is no queue for a durable command.
    #[error(
        "no queue stored `{subject}` within {within:?}; start the service that works it, with \
         `.on(durable(\"name\", handler))` for this command and `.context(Context::new(\"{context}\"))`, and see that \
         JetStream is on"
    )]
    NoQueue {
        /// The command's subject in the queue.
        subject: String,
        /// The context whose queue should have it.
        context: String,
        /// How long was tried.
        within: Duration,
    },
    /// Nothing captures the subject.
    #[error(
        "no stream stored `{subject}` within {within:?}; start the service that declares \
         `.context(Context::new(\"{context}\"))`, and see that JetStream is on"
    )]
    NoStream {
        /// The event's subject.
        subject: String,
        /// The context whose stream should have it.
        context: String,
        /// How long was tried.
        within: Duration,
    },
    /// Another stream than the context's captures the subject.
    #[error(
        "`{subject}` is not captured by the stream {expected} but by another one: {reason}; narrow the subjects of that \
         stream"
    )]
    OtherStream {
        /// The event's subject.
        subject: String,
        /// The context's stream.
        expected: String,
        /// What the server says.
        reason: String,
    },
    /// The stream, the account or the server has no room.
    #[error("the stream {stream} is full ({reason}); raise its limits, or publish more slowly")]
    Full {
        /// The stream.
        stream: String,
        /// What the server says.
        reason: String,
    },
    /// The event is larger than the server or the stream allows; nothing was stored.
    #[error("`{subject}` is too large: {reason}")]
    TooLarge {
        /// The event's subject.
        subject: String,
        /// What was too large, and the limit.
        reason: String,
    },
    /// The data, which is to be an object of its own, could not be stored; nothing was sent.
    #[error(
        "the data of `{subject}` could not be stored in the bucket {bucket}: {source}; see that the bucket is there and has \
         room, and that this user may write to it"
    )]
    Data {
        /// The message's subject.
        subject: String,
        /// The bucket of the object store.
        bucket: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// The stream refused for another reason; nothing was stored.
    #[error(
        "the stream refused `{subject}` with {code}: {reason}; nothing was stored, publish it again once that is mended"
    )]
    Refused {
        /// The event's subject.
        subject: String,
        /// The server's error code.
        code: u64,
        /// What the server says.
        reason: String,
    },
    /// No confirmation came. It may have been stored: publish it again with the same id only.
    #[error(
        "`{subject}` was not confirmed within {within:?}; whether it is stored is unknown: look at its stream before it is \
         published again under another id"
    )]
    Unconfirmed {
        /// The event's subject.
        subject: String,
        /// How long was tried.
        within: Duration,
    },
}

impl PublishError {
    /// No stream has taken the message, or none would.
    pub(crate) fn no_stream(outgoing: &Outgoing, within: Duration) -> Self {
        let subject = outgoing.published_to();
        let context = outgoing.subject.name().context_name().to_string();
        if outgoing.queued {
            Self::NoQueue {
                subject,
                context,
                within,
            }
        } else {
            Self::NoStream {
                subject,
                context,
                within,
            }
        }
    }

    /// Whether the same publish may succeed later. After [`PublishError::Unconfirmed`] it may also be stored twice: a second
    /// `publish` is a second event, with an id of its own.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoStream { .. }
                | Self::NoQueue { .. }
                | Self::Full { .. }
                | Self::Unconfirmed { .. }
                | Self::Data { .. }
        )
    }

    /// What went wrong in a word, for telemetry.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Encode(_) => "encode",
            Self::Header(_) => "header",
            Self::NotPermitted(_) => "not_permitted",
            Self::Undeclared { .. } | Self::UndeclaredCommand { .. } => "undeclared",
            Self::NoQueue { .. } => "no_queue",
            Self::NoStream { .. } => "no_stream",
            Self::OtherStream { .. } => "other_stream",
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::Refused { .. } => "refused",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Data { .. } => "data",
        }
    }

    /// Whether no other stream and no other permission would help: this message cannot be sent.
    pub(crate) fn is_of_the_message(&self) -> bool {
        matches!(self, Self::Encode(_) | Self::Header(_) | Self::TooLarge { .. })
    }
}

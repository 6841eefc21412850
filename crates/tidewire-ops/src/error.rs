//! Why a question has no answer.

use std::fmt;

use tidewire::{
    AskError, BoxError, EncodeError, InvalidJson, KeyError, Kind, NameError, PublishError, Refusal,
    SubjectError,
};

use crate::{dead_letters::LetterError, schema::Problem};

/// What was asked cannot be answered or done; the text says what, where and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpsError {
    /// This connection's user may not do what the question takes.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// JetStream did not answer, or refused.
    #[error(
        "cannot {what}: {source}; see that the server runs with JetStream on and that this user may use it"
    )]
    JetStream {
        /// What was being done.
        what: String,
        /// What the client says.
        #[source]
        source: BoxError,
    },
    /// The connection did not carry a question.
    #[error("the connection to NATS failed: {0}; see that the server runs and answers, and try again")]
    Connection(#[source] BoxError),
    /// No instance of the service answers.
    #[error(
        "no instance of `{service}` with a durable answers; start one, or mind the name: `tidewire manifest show` lists them"
    )]
    NobodyRuns {
        /// The service.
        service: String,
    },
    /// The name of a message breaks the grammar.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key of a message cannot be part of a subject.
    #[error("the key cannot be part of a subject: {0}")]
    Key(#[from] KeyError),
    /// Name and key make no subject.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// A filter that the server would not take.
    #[error("{0}")]
    Filter(String),
    /// A text that was to be one subject is a filter.
    #[error("`{filter}` stands for many subjects; ask for one, with every token written out")]
    NotOneSubject {
        /// What was given.
        filter: String,
    },
    /// The data is not JSON.
    #[error("the data is not JSON: {0}; mind the quotes of the shell, as in '{{\"amount\": 7}}'")]
    Data(#[source] serde_json::Error),
    /// The text is no manifest.
    #[error("{what} is not a manifest: {source}; `tidewire manifest show SERVICE --json` writes one")]
    NotAManifest {
        /// Where the text was.
        what: String,
        /// What is wrong with it.
        #[source]
        source: InvalidJson,
    },
    /// The data does not fit the message's schema; nothing was sent.
    #[error(
        "the data does not fit `{name}` version {version} as the service `{service}` declares it:{}\nnothing was sent; mend \
         the data, or leave the check out",
        lines(.problems)
    )]
    Unfit {
        /// The message's name.
        name: String,
        /// Its version.
        version: u32,
        /// The service whose schema it is.
        service: String,
        /// What does not fit, and where.
        problems: Vec<Problem>,
    },
    /// A service declares a schema that is none.
    #[error(
        "the schema of `{name}` in the manifest of `{service}` cannot be used: {reason}; mend it in the service, and send \
         without a check by --no-check until then"
    )]
    Schema {
        /// The message's name.
        name: String,
        /// The service whose schema it is.
        service: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The message is of another kind; nothing was sent.
    #[error("`{name}` is {} by the manifest of `{service}`; {}", a(*.found), verb(*.found))]
    WrongKind {
        /// The message's name.
        name: String,
        /// What it is.
        found: Kind,
        /// The service that says so.
        service: String,
    },
    /// The message is part of an entity's history; nothing was sent.
    #[error(
        "`{name}` is part of the history of `{entity}` by the manifest of `{service}`, to which the event store alone \
         appends; send the command from which it follows"
    )]
    OfAFamily {
        /// The message's name.
        name: String,
        /// The entity.
        entity: String,
        /// The service that says so.
        service: String,
    },
    /// The message needs a key; nothing was sent.
    #[error("`{name}` has a key by the manifest of `{service}`; give the key behind the name")]
    KeyMissing {
        /// The message's name.
        name: String,
        /// The service that says so.
        service: String,
    },
    /// The message has no key; nothing was sent.
    #[error("`{name}` has no key by the manifest of `{service}`; leave `{key}` out")]
    KeyGiven {
        /// The message's name.
        name: String,
        /// The key that was given.
        key: String,
        /// The service that says so.
        service: String,
    },
    /// The message cannot be written; nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No stream has confirmed the message.
    #[error(transparent)]
    Publish(PublishError),
    /// A dead letter cannot be read, or nothing is done about it.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// There is no answer, or it is a refusal.
    #[error(transparent)]
    Ask(AskError),
}

impl OpsError {
    pub(crate) fn jetstream(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::JetStream {
            what: what.into(),
            source: source.into(),
        }
    }
}

impl From<PublishError> for OpsError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotPermitted(refusal) => Self::NotPermitted(refusal),
            PublishError::Encode(error) => Self::Encode(error),
            other => Self::Publish(other),
        }
    }
}

impl From<AskError> for OpsError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NotPermitted(refusal) => Self::NotPermitted(refusal),
            AskError::Encode(error) => Self::Encode(error),
            other => Self::Ask(other),
        }
    }
}

fn lines(lines: &[impl fmt::Display]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("\n  - {line}")).collect();
    lines.concat()
}

fn a(kind: Kind) -> String {
    let article = if kind == Kind::Event { "an" } else { "a" };
    format!("{article} {kind}")
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "publish it with `tidewire publish`",
        Kind::Command => "send it with `tidewire request`, without `--query`",
        _ => "ask it with `tidewire request`",
    }
}

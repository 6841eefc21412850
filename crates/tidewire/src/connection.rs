//! The connection to NATS that a service runs on.

mod address;
mod api;
mod connect;
mod connect_error;
mod credentials;
mod current;
mod from_env;
mod nats_context;
mod refusals;
mod replies;

use std::{sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use serde::de::DeserializeOwned;
use tidewire_core::{Format, Outgoing, SubjectFilter};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    ask::AskError,
    health::Health,
    metrics::Sends,
    packing::Sizes,
    publish_error::PublishError,
    schemas::Schemas,
    sender::{Sender, Sending, Stored},
    uncaptured::{Uncaptured, is_captured},
};

pub use api::ApiError;
pub use connect::{Connect, connect};
pub use connect_error::ConnectError;
use current::Current;
pub(crate) use current::{End, Living};
pub(crate) use refusals::{Heard as RefusalsHeard, Refusals};
pub use refusals::{Operation, Refusal};
pub(crate) use replies::{Replies, Reply, Unanswered};

/// A connection to NATS: the client, where its JetStream is, and what the server refused on it.
///
/// Made by [`connect()`] or [`Connect`]; a plain [`async_nats::Client`] becomes one too, but what the server refuses on it
/// is seen as a time-out only, and it cannot be made anew: a message whose headers kill its task ends the service.
#[derive(Clone, Debug)]
pub struct Connection {
    current: Arc<Current>,
    api_prefix: Arc<str>,
    refusals: Refusals,
}

/// How often it is looked whether a stream captures what a tool publishes.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long the answer is awaited: where it is late the server says what becomes of the message.
const LOOK: Duration = Duration::from_secs(1);

/// Where JetStream's API is unless a domain or a prefix is given.
const API_PREFIX: &str = "$JS.API";

impl Connection {
    /// The client of now, for whatever NATS can do beside; cheap, and better asked for again than kept. While a service
    /// runs, a client whose task has died on a malformed header is replaced by a new one, and the old one stays dead.
    ///
    /// To drain it ends the services on this connection.
    pub fn client(&self) -> Client {
        self.living().client
    }

    /// JetStream through this connection, in its domain.
    pub fn jetstream(&self) -> jetstream::Context {
        if &*self.api_prefix == API_PREFIX {
            jetstream::new(self.client())
        } else {
            jetstream::with_prefix(self.client(), &self.api_prefix)
        }
    }

    /// Stores a message that is already written, and returns once its context's stream has confirmed it; for tools. A
    /// service has [`Emit`](crate::Emit) and [`Bus`](crate::Bus), which send what it declared. It is not sent while that
    /// stream says that it does not capture it.
    ///
    /// # Errors
    /// [`PublishError`]; where [`is_transient`](PublishError::is_transient) says so, the same message may be sent again.
    pub async fn publish(&self, outgoing: &Outgoing, within: Duration) -> Result<Stored, PublishError> {
        let deadline = Instant::now() + within;
        let (stream, subject) = (outgoing.stream(), outgoing.published_to());
        loop {
            let looking = timeout(LOOK.min(within / 2), is_captured(self, &stream, &subject));
            if looking.await.ok().flatten() != Some(false) {
                break;
            }
            if Instant::now() + LOOK_AGAIN >= deadline {
                return Err(PublishError::no_stream(outgoing, within));
            }
            sleep(LOOK_AGAIN).await;
        }
        self.sender().publish_by(deadline, outgoing, within).await
    }

    /// Sends a command or query that is already written, and reads the answer; for tools. A service has
    /// [`Ask`](crate::Ask) and [`Bus`](crate::Bus), which ask what it declared.
    ///
    /// # Errors
    /// [`AskError`]; its [`is_transient`](AskError::is_transient) says whether to ask again.
    pub async fn ask<R: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        within: Duration,
    ) -> Result<R, AskError> {
        self.sender().request(outgoing, within).await
    }

    /// Runs a call of the client until it is done, or until the server refuses what it needs: the call itself would only
    /// run into its time limit. What is refused to other calls on this connection is theirs to hear.
    ///
    /// `subjects` are those that the call publishes to, as filters, and those that it hears, as it subscribes to them.
    /// JetStream's API begins with `$JS.API` there, whatever its domain or prefix. Inboxes need no mention.
    ///
    /// # Errors
    /// The [`Refusal`] of one of them, or of an inbox: who may not hear one inbox hears no answer.
    pub fn unless_refused<T>(
        &self,
        subjects: &[impl AsRef<str>],
        call: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T, Refusal>> {
        let concerns = |refusal: &Refusal| self.concerns(refusal, subjects);
        // Not awaited here: the client's futures are large, and each that awaits has them once more.
        self.refusals.or_refused(concerns, call)
    }

    /// Whether what was refused is one of `subjects`, or an inbox; see [`Connection::unless_refused`].
    pub(crate) fn concerns(&self, refusal: &Refusal, subjects: &[impl AsRef<str>]) -> bool {
        let mut subjects = subjects.iter().map(AsRef::as_ref);
        match (refusal.operation, self.question(refusal)) {
            (Operation::Subscribe, _) => {
                self.is_inbox(&refusal.subject) || subjects.any(|heard| heard == refusal.subject)
            }
            (Operation::Publish, Some(question)) => {
                let asked = format!("{API_PREFIX}.{question}");
                subjects.any(|filter| is_of(filter, &asked))
            }
            (Operation::Publish, None) => subjects.any(|filter| is_of(filter, &refusal.subject)),
        }
    }

    /// What was asked of JetStream's API, such as `STREAM.INFO.<stream>`, where that was refused.
    pub(crate) fn question<'a>(&self, refusal: &'a Refusal) -> Option<&'a str> {
        let below = refusal.subject.strip_prefix(&*self.api_prefix)?;
        below
            .strip_prefix('.')
            .filter(|_| refusal.operation == Operation::Publish)
    }

    /// Whether a subject is one that this client makes up to be answered on: a name that is never used twice behind its
    /// prefix, and perhaps a place for numbers.
    pub(crate) fn is_inbox(&self, subject: &str) -> bool {
        let inbox = self.client().new_inbox();
        let Some((prefix, made_up)) = inbox.rsplit_once('.') else {
            return false;
        };
        let behind = subject
            .strip_prefix(prefix)
            .and_then(|behind| behind.strip_prefix('.'));
        behind.is_some_and(|behind| {
            let name = behind.strip_suffix(".*").unwrap_or(behind);
            name.len() == made_up.len() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }

    /// What is sent through it here is written already.
    fn sender(&self) -> Sender {
        Sender::new(Sending {
            connection: self.clone(),
            service: String::new(),
            format: Format::default(),
            schemas: Schemas::default(),
            sends: Sends::default(),
            health: Health::default(),
            sizes: Sizes::default(),
            uncaptured: Uncaptured::default(),
        })
    }

    /// The prefix of JetStream's API subjects, such as `$JS.API` or `$JS.hub.API`.
    pub(crate) fn api_prefix(&self) -> &str {
        &self.api_prefix
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What the client of now is answered.
    pub(crate) fn replies(&self) -> Replies {
        self.current.replies()
    }

    /// Whether what is answered comes where everybody hears it who was not given an inbox prefix.
    pub(crate) fn has_the_common_inbox(&self) -> bool {
        self.client().new_inbox().starts_with("_INBOX.")
    }

    /// The largest message that the server takes, in bytes.
    pub(crate) fn max_payload(&self) -> usize {
        self.current.max_payload()
    }

    /// The client of now, and which one it is.
    pub(crate) fn living(&self) -> Living {
        self.current.now()
    }

    /// Waits until the client of now has ended for good; says which one it was, and how.
    pub(crate) async fn ended(&self) -> (u64, End) {
        self.current.ended().await
    }

    /// The client after that of `generation`, once there is one; at once `None` where there never will be.
    pub(crate) async fn after(&self, generation: u64) -> Option<Living> {
        self.current.after(generation).await
    }

    /// A connection of its own to the same place; the same one where how it was made is not known.
    pub(crate) async fn beside(&self) -> Result<Self, ConnectError> {
        match self.current.connect() {
            Some(connect) => connect.clone().connect().await,
            None => Ok(self.clone()),
        }
    }

    /// Puts a new client in the place of that of `generation`, which has died, unless that was done already.
    pub(crate) async fn revive(&self, generation: u64) -> Result<(), ConnectError> {
        self.current.revive(generation, &self.refusals).await
    }
}

fn is_of(filter: &str, subject: &str) -> bool {
    filter == subject || SubjectFilter::parse(filter).is_ok_and(|filter| filter.matches(subject))
}

impl From<Client> for Connection {
    fn from(client: Client) -> Self {
        let refusals = Refusals::default();
        Self {
            current: Current::new(client, None, None, &refusals),
            api_prefix: API_PREFIX.into(),
            refusals,
        }
    }
}

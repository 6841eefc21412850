//! The way out: publishes that a stream confirms, and requests.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, RequestErrorKind, StatusCode, Subject, client::PublishErrorKind};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tidewire_core::{
    EncodeError, ErrorBody, Extras, Format, Kind, Message, Outgoing, Reply as Answer, ReplyError, Stamp,
    TraceContext, wire,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use crate::{
    ask::AskError,
    clock,
    connection::{Connection, Refusal, Reply, Unanswered},
    headers::{header, header_map_of, pairs},
    health::Health,
    metrics::Sends,
    packing::Sizes,
    publish_error::PublishError,
    schemas::Schemas,
    spans,
    uncaptured::Uncaptured,
};

/// How long a publish is tried: a stream whose leader died has a new one within about seven seconds.
const STORED_WITHIN: Duration = Duration::from_secs(15);
/// How long one try waits for the stream's confirmation.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// How long a message to ourselves may be under way.
const ROUND_TRIP: Duration = Duration::from_secs(5);
/// How long the client that takes the place of a dead one is waited for.
const RENEWED_WITHIN: Duration = Duration::from_secs(5);
/// How long a permission that was missing is remembered where nobody sends again what lacked it.
const REMEMBERED: Duration = Duration::from_secs(30);
/// As long as anybody waits.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Where an event is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The stream.
    pub stream: String,
    /// The event's place in the stream.
    pub sequence: u64,
    /// Whether the stream had this id already and stored nothing now.
    pub duplicate: bool,
}

/// Sends in the name of one service.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Sending>);

/// What a service sends with: made once, for everything that sends to share.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) connection: Connection,
    pub(crate) service: String,
    /// How it writes.
    pub(crate) format: Format,
    /// What its messages are held against.
    pub(crate) schemas: Schemas,
    /// Where what it sends is counted.
    pub(crate) sends: Sends,
    /// Where it says what it may not send.
    pub(crate) health: Health,
    /// What it makes smaller, and how large what it reads may become.
    pub(crate) sizes: Sizes,
    /// What it would send in vain.
    pub(crate) uncaptured: Uncaptured,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Sender {
    pub(crate) fn new(sending: Sending) -> Self {
        Self(Arc::new(sending))
    }

    /// Writes a message, unless it breaks its schema.
    pub(crate) fn write<M: Message>(
        &self,
        message: &M,
        stamp: Stamp,
        extras: Extras,
    ) -> Result<Outgoing, EncodeError> {
        let checked = self.0.schemas.check_sent(message);
        let written = checked.and_then(|()| Outgoing::message(message, stamp, extras));
        if written.is_err() {
            self.0.sends.unwritten(M::TYPE.name);
        }
        written
    }

    /// Where what it sends is counted.
    pub(crate) fn sends(&self) -> &Sends {
        &self.0.sends
    }

    pub(crate) fn service(&self) -> &str {
        &self.0.service
    }

    pub(crate) fn schemas(&self) -> &Schemas {
        &self.0.schemas
    }

    pub(crate) fn format(&self) -> Format {
        self.0.format
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.0.sizes
    }

    /// The stamp of a message that follows from no other.
    pub(crate) fn stamp(&self, kind: Kind) -> Stamp {
        Stamp {
            id: clock::new_id(kind),
            timestamp: clock::now(),
            source: self.service().to_owned(),
            correlation_id: None,
            causation_id: None,
            trace: TraceContext::default(),
            format: self.format(),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    pub(crate) fn uncaptured(&self) -> &Uncaptured {
        &self.0.uncaptured
    }

    pub(crate) fn client(&self) -> Client {
        self.0.connection.client()
    }

    /// Publishes what nobody confirms, such as an ack. A client that has died is waited out: what ran when it died is
    /// settled through the next one.
    pub(crate) async fn tell(
        &self,
        subject: Subject,
        payload: Bytes,
    ) -> Result<(), async_nats::PublishError> {
        let living = self.0.connection.living();
        let told = living.client.publish(subject.clone(), payload.clone()).await;
        let Err(error) = told else { return Ok(()) };
        match timeout(RENEWED_WITHIN, self.0.connection.after(living.generation)).await {
            Ok(Some(next)) => next.client.publish(subject, payload).await,
            Ok(None) | Err(_) => Err(error),
        }
    }

    /// Publishes and awaits the confirmation of the context's stream; tries again with the same id until the stream
    /// has it or the time is over.
    pub(crate) async fn publish(&self, outgoing: &Outgoing) -> Result<Stored, PublishError> {
        let deadline = Instant::now() + STORED_WITHIN;
        self.publish_by(deadline, outgoing, STORED_WITHIN).await
    }

    /// The same until another time, of which an error says that it was tried for so long.
    pub(crate) async fn publish_by(
        &self,
        deadline: Instant,
        outgoing: &Outgoing,
        within: Duration,
    ) -> Result<Stored, PublishError> {
        let (span, trace) = spans::send(outgoing);
        let storing = self.store(deadline, outgoing, trace.as_ref(), within);
        let stored = storing.instrument(span.clone()).await;
        spans::ended(&span, stored.as_ref().err().map(PublishError::class));
        let name = outgoing.subject.name();
        self.0.sends.published(name.as_str(), &stored);
        match &stored {
            Ok(_) => self.permitted(name.as_str(), None),
            Err(PublishError::NotPermitted(refusal)) => self.permitted(name.as_str(), Some(refusal)),
            Err(_) => {}
        }
        stored
    }

    /// A service that may not send what it declares is not ready: until it may, or nobody tries.
    fn permitted(&self, name: &str, refusal: Option<&Refusal>) {
        let health = &self.0.health;
        if refusal.is_none() && health.is_well() {
            return;
        }
        let cause = format!("permission-{name}");
        match refusal {
            None => health.recovers(&cause),
            Some(refusal) => health.ails_for(REMEMBERED, &cause, refusal.to_string()),
        }
    }

    async fn store(
        &self,
        deadline: Instant,
        outgoing: &Outgoing,
        trace: Option<&TraceContext>,
        within: Duration,
    ) -> Result<Stored, PublishError> {
        let (subject, stream) = (outgoing.published_to(), outgoing.stream());
        let headers = || {
            let headers = spans::headers(outgoing, trace);
            header_map_of(headers.chain([(wire::EXPECTED_STREAM.into(), &*stream)]))
        };
        let wire_subject = Subject::from(&*subject);
        let mut pause = FIRST_PAUSE;
        loop {
            let uncaptured = &self.0.uncaptured;
            // Boxed: each publish would hold the room for it.
            if uncaptured.any() && !Box::pin(uncaptured.is_over_by(deadline, &stream, &subject)).await {
                return Err(PublishError::no_stream(outgoing, within));
            }
            let replies = self.0.connection.replies();
            let until = deadline.min(Instant::now() + CONFIRMED_WITHIN);
            let asking = replies.ask(
                wire_subject.clone(),
                headers()?,
                outgoing.body.clone(),
                true,
                until,
            );
            let unconfirmed = || PublishError::Unconfirmed {
                subject: subject.clone(),
                within,
            };
            let failed = match asking.await {
                Ok(Reply::Message(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                    PublishError::no_stream(outgoing, within)
                }
                Ok(Reply::Message(message)) => match stored(&message.payload, &subject, &stream) {
                    // A leader is being elected, or an earlier try with this id is still on its way to the replicas.
                    Err(
                        error @ PublishError::Refused {
                            code: 10008 | 10158 | 10167,
                            ..
                        },
                    ) => error,
                    done => return done,
                },
                Ok(Reply::Refused(refusal)) => return Err(refusal.into()),
                // The confirmation of a lost connection does not come any more; the id makes another try safe.
                Ok(Reply::Lost) => continue,
                Err(Unanswered::Unsent(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                    return Err(self.too_large(outgoing));
                }
                Ok(Reply::Late) | Err(_) => unconfirmed(),
            };
            if Instant::now() + pause >= deadline {
                return Err(failed);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request<R: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        within: Duration,
    ) -> Result<R, AskError> {
        let (span, trace) = spans::request(outgoing);
        let asking = self.ask(outgoing, trace.as_ref(), within);
        let answered = asking.instrument(span.clone()).await;
        spans::ended(&span, answered.as_ref().err().map(AskError::class));
        let name = outgoing.subject.name();
        self.0.sends.asked(name.as_str(), &answered);
        match &answered {
            Err(AskError::NotPermitted(refusal)) => self.permitted(name.as_str(), Some(refusal)),
            Ok(_) | Err(AskError::Refused { .. }) => self.permitted(name.as_str(), None),
            Err(_) => {}
        }
        answered
    }

    async fn ask<R: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        trace: Option<&TraceContext>,
        within: Duration,
    ) -> Result<R, AskError> {
        let subject = || outgoing.subject.as_str().to_owned();
        let headers = header_map_of(spans::headers(outgoing, trace))?;
        let replies = self.0.connection.replies();
        let sent = Subject::from(outgoing.subject.as_str());
        let until = Instant::now()
            .checked_add(within)
            .unwrap_or_else(|| Instant::now() + FOR_EVER);
        let asking = replies.ask(sent, headers, outgoing.body.clone(), false, until);
        let client = |kind, text: &str| AskError::Client {
            subject: subject(),
            source: async_nats::RequestError::with_source(kind, text.to_owned()),
        };
        let message = match asking.await {
            Ok(Reply::Message(message)) => message,
            Ok(Reply::Refused(refusal)) => return Err(refusal.into()),
            Err(Unanswered::Unsent(error)) => {
                return Err(match error.kind() {
                    PublishErrorKind::MaxPayloadExceeded => AskError::TooLarge {
                        subject: subject(),
                        size: outgoing.body.len(),
                        limit: self.0.connection.max_payload(),
                    },
                    _ => client(RequestErrorKind::Other, &error.to_string()),
                });
            }
            Ok(Reply::Lost) | Err(Unanswered::Ended) => {
                return Err(client(RequestErrorKind::Other, "the client has ended"));
            }
            Ok(Reply::Late) => {
                return Err(AskError::TimedOut {
                    subject: subject(),
                    within,
                });
            }
        };
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AskError::NoResponders { subject: subject() });
        }
        let read = Answer::read(pairs(message.headers.as_ref()), &message.payload, clock::now());
        let read = read.and_then(|answer| {
            if answer.is_ok() {
                self.0
                    .schemas
                    .check_answer(outgoing.subject.name().as_str(), &message)?;
            }
            Ok(answer)
        });
        match (
            read,
            message
                .headers
                .as_ref()
                .and_then(|headers| header(headers, wire::SERVICE_ERROR)),
        ) {
            (Ok(Ok(reply)), _) => Ok(reply),
            (Ok(Err(error)), _) => Err(AskError::Refused {
                subject: subject(),
                error,
            }),
            // A NATS service that is not ours refuses by headers alone.
            (Err(_), Some(text)) => {
                let code = message
                    .headers
                    .as_ref()
                    .and_then(|h| header(h, wire::SERVICE_ERROR_CODE));
                let error = ErrorBody {
                    code: code.unwrap_or("error").to_owned(),
                    message: text.to_owned(),
                    retryable: code.is_some_and(|code| code.starts_with('5')),
                    details: serde_json::Value::Null,
                };
                Err(AskError::Refused {
                    subject: subject(),
                    error,
                })
            }
            (Err(source), None) => Err(match (capturing(&message.payload), source) {
                (Some(stream), ReplyError::Malformed(_)) => AskError::Captured {
                    subject: subject(),
                    stream,
                },
                (_, source) => AskError::Unreadable {
                    subject: subject(),
                    source,
                },
            }),
        }
    }

    /// Returns once the server has processed everything that was sent before: a message to ourselves came back.
    /// (The client's `flush` only empties its own buffer.)
    pub(crate) async fn round_trip(&self) -> Result<(), async_nats::Error> {
        let there_and_back = async {
            let client = self.client();
            let inbox = client.new_inbox();
            let mut echo = client.subscribe(inbox.clone()).await?;
            client.publish(inbox, Bytes::new()).await?;
            echo.next().await.ok_or("the connection closed")?;
            Ok::<_, async_nats::Error>(())
        };
        timeout(ROUND_TRIP, there_and_back).await?
    }
}

/// The stream whose ack this is, if it is the ack of one that has stored a message.
fn capturing(payload: &[u8]) -> Option<String> {
    let ack: Ack = serde_json::from_slice(payload).ok()?;
    (ack.error.is_none() && ack.seq > 0 && !ack.stream.is_empty()).then_some(ack.stream)
}

fn stored(payload: &[u8], subject: &str, stream: &str) -> Result<Stored, PublishError> {
    let ack: Ack = serde_json::from_slice(payload).map_err(|error| PublishError::Refused {
        subject: subject.into(),
        code: 0,
        reason: format!("something other than a stream answered ({error}); is a service listening there?"),
    })?;
    let Some(error) = ack.error else {
        return Ok(Stored {
            stream: ack.stream,
            sequence: ack.seq,
            duplicate: ack.duplicate,
        });
    };
    let reason = error.description;
    Err(match error.err_code {
        10060 => PublishError::OtherStream {
            subject: subject.into(),
            expected: stream.into(),
            reason,
        },
        10077 | 10023 | 10002 => PublishError::Full {
            stream: stream.into(),
            reason,
        },
        10054 | 10097 => PublishError::TooLarge {
            subject: subject.into(),
            reason: format!("{reason}; send less, or raise the limit of the stream"),
        },
        code => PublishError::Refused {
            subject: subject.into(),
            code,
            reason,
        },
    })
}

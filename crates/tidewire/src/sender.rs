//! The way out: publishes that a stream confirms, and requests.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, RequestErrorKind, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tidewire_core::{
    EncodeError, ErrorBody, Extras, Format, Kind, Message, Outgoing, Reply, Stamp, TraceContext, wire,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument;

use crate::{
    ask::AskError,
    clock,
    connection::{Connection, Refusal},
    headers::{header, header_map, pairs},
    health::Health,
    metrics::Sends,
    packing::Sizes,
    publish_error::PublishError,
    schemas::Schemas,
    spans,
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
/// How often the count of connections is read while a confirmation is awaited; the client has nothing to await.
const LOOK: Duration = Duration::from_millis(50);
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
pub(crate) struct Sender {
    connection: Connection,
    service: Arc<str>,
    /// How it writes.
    format: Format,
    schemas: Schemas,
    sends: Sends,
    /// Where it says what it may not send.
    health: Health,
    /// What it makes smaller, and how large what it reads may become.
    sizes: Sizes,
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
    pub(crate) fn new(connection: Connection, service: &str, format: Format, sizes: Sizes) -> Self {
        Self {
            connection,
            service: service.into(),
            format,
            schemas: Schemas::default(),
            sends: Sends::default(),
            health: Health::default(),
            sizes,
        }
    }

    /// Counts what it sends from now on, and tells `health` of what it may not.
    pub(crate) fn counted(self, sends: Sends, health: Health) -> Self {
        Self {
            sends,
            health,
            ..self
        }
    }

    /// The same, which holds messages against their schemas.
    pub(crate) fn with(self, schemas: Schemas) -> Self {
        Self { schemas, ..self }
    }

    /// Writes a message, unless it breaks its schema.
    pub(crate) fn write<M: Message>(
        &self,
        message: &M,
        stamp: Stamp,
        extras: Extras,
    ) -> Result<Outgoing, EncodeError> {
        self.schemas.check_sent(message)?;
        Outgoing::message(message, stamp, extras)
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
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
        &self.connection
    }

    pub(crate) fn client(&self) -> Client {
        self.connection.client()
    }

    /// Publishes what nobody confirms, such as an ack. A client that has died is waited out: what ran when it died is
    /// settled through the next one.
    pub(crate) async fn tell(
        &self,
        subject: Subject,
        payload: Bytes,
    ) -> Result<(), async_nats::PublishError> {
        let living = self.connection.living();
        let told = living.client.publish(subject.clone(), payload.clone()).await;
        let Err(error) = told else { return Ok(()) };
        match timeout(RENEWED_WITHIN, self.connection.after(living.generation)).await {
            Ok(Some(next)) => next.client.publish(subject, payload).await,
            Ok(None) | Err(_) => Err(error),
        }
    }

    /// Publishes and awaits the confirmation of the context's stream; tries again with the same id until the stream
    /// has it or the time is over.
    pub(crate) async fn publish(&self, outgoing: &Outgoing) -> Result<Stored, PublishError> {
        self.publish_within(outgoing, STORED_WITHIN).await
    }

    /// The same within another time.
    pub(crate) async fn publish_within(
        &self,
        outgoing: &Outgoing,
        within: Duration,
    ) -> Result<Stored, PublishError> {
        let span = spans::send(outgoing);
        let trace = spans::context(&span);
        let storing = self.store(outgoing, trace.as_ref(), within);
        let stored = storing.instrument(span.clone()).await;
        spans::ended(&span, stored.as_ref().err().map(PublishError::class));
        let name = outgoing.subject.name();
        self.sends.published(name.as_str(), &stored);
        match &stored {
            Ok(_) => self.permitted(name.as_str(), None),
            Err(PublishError::NotPermitted(refusal)) => self.permitted(name.as_str(), Some(refusal)),
            Err(_) => {}
        }
        stored
    }

    /// A service that may not send what it declares is not ready: until it may, or nobody tries.
    fn permitted(&self, name: &str, refusal: Option<&Refusal>) {
        if refusal.is_none() && self.health.is_well() {
            return;
        }
        let cause = format!("permission-{name}");
        match refusal {
            None => self.health.recovers(&cause),
            Some(refusal) => self.health.ails_for(REMEMBERED, &cause, refusal.to_string()),
        }
    }

    async fn store(
        &self,
        outgoing: &Outgoing,
        trace: Option<&TraceContext>,
        within: Duration,
    ) -> Result<Stored, PublishError> {
        let name = outgoing.subject.name();
        let (subject, stream) = (&*outgoing.published_to(), outgoing.stream());
        let headers = spans::headers(outgoing, trace);
        let headers = header_map(headers.chain([(wire::EXPECTED_STREAM, stream.as_str())]))?;
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            let request = async_nats::Request::new()
                .headers(headers.clone())
                .payload(outgoing.body.clone())
                .timeout(Some(CONFIRMED_WITHIN));
            let (refusals, client) = (self.connection.refusals(), self.client());
            let sending = client.send_request(subject.to_owned(), request);
            let sent = tokio::select! {
                biased;
                sent = refusals.publishing(subject, timeout_at(deadline, sending)) => sent?,
                // The confirmation of a lost connection does not come any more; the id makes another try safe.
                () = self.reconnected() => continue,
            };
            let failed = match sent {
                Ok(Ok(message)) => match stored(&message.payload, subject, &stream) {
                    // A leader is being elected, or an earlier try with this id is still on its way to the replicas.
                    Err(
                        error @ PublishError::Refused {
                            code: 10008 | 10158 | 10167,
                            ..
                        },
                    ) => error,
                    done => return done,
                },
                Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                    return Err(PublishError::TooLarge {
                        subject: subject.into(),
                        reason: format!(
                            "{} bytes, and the server takes {}, headers included; {}",
                            outgoing.body.len(),
                            self.client().max_payload(),
                            self.sizes.remedy()
                        ),
                    });
                }
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders && outgoing.queued => {
                    PublishError::NoQueue {
                        subject: subject.into(),
                        context: name.context_name().to_string(),
                        within,
                    }
                }
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => PublishError::NoStream {
                    subject: subject.into(),
                    context: name.context_name().to_string(),
                    within,
                },
                Ok(Err(_)) | Err(_) => PublishError::Unconfirmed {
                    subject: subject.into(),
                    within,
                },
            };
            if Instant::now() + pause >= deadline {
                return Err(failed);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns when the connection is another one.
    async fn reconnected(&self) {
        let before = self.connection.living().connects();
        while self.connection.living().connects() == before {
            sleep(LOOK).await;
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request<R: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        within: Duration,
    ) -> Result<R, AskError> {
        let span = spans::request(outgoing);
        let trace = spans::context(&span);
        let asking = self.ask(outgoing, trace.as_ref(), within);
        let answered = asking.instrument(span.clone()).await;
        spans::ended(&span, answered.as_ref().err().map(AskError::class));
        let name = outgoing.subject.name();
        self.sends.asked(name.as_str(), &answered);
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
        let headers = header_map(spans::headers(outgoing, trace))?;
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(outgoing.body.clone())
            .timeout(Some(within));
        // The client's own limit starts once the request is in its queue; while it is disconnected that may be never.
        let deadline = Instant::now() + within;
        let client = self.client();
        let sending = timeout_at(deadline, client.send_request(subject(), request));
        let sent = self
            .connection
            .refusals()
            .publishing(outgoing.subject.as_str(), sending)
            .await?;
        let message = match sent {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => {
                return Err(match error.kind() {
                    RequestErrorKind::NoResponders => AskError::NoResponders { subject: subject() },
                    RequestErrorKind::MaxPayloadExceeded => AskError::TooLarge {
                        subject: subject(),
                        size: outgoing.body.len(),
                        limit: self.client().max_payload(),
                    },
                    RequestErrorKind::TimedOut => AskError::TimedOut {
                        subject: subject(),
                        within,
                    },
                    _ => AskError::Client {
                        subject: subject(),
                        source: error,
                    },
                });
            }
            Err(_) => {
                return Err(AskError::TimedOut {
                    subject: subject(),
                    within,
                });
            }
        };
        let read = Reply::read(pairs(message.headers.as_ref()), &message.payload, clock::now());
        let read = read.and_then(|answer| {
            if answer.is_ok() {
                self.schemas
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
            (Err(source), None) => Err(AskError::Unreadable {
                subject: subject(),
                source,
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
            reason,
        },
        code => PublishError::Refused {
            subject: subject.into(),
            code,
            reason,
        },
    })
}

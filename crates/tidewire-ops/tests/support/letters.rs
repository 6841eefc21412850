//! Dead letters as a service writes them, and a service that hears them again; both by hand, on a real server.

#[path = "../../../tidewire/tests/support/connecting.rs"]
mod connecting;

use bytes::Bytes;
use futures_util::StreamExt;
use tidewire::{
    Connect, Connection, Timestamp,
    async_nats::{
        HeaderMap, HeaderName, HeaderValue,
        jetstream::{consumer::pull, object_store, stream},
    },
    dead_letter::{Act, LetterId, Original, OriginalHeaders, Record, Trouble},
    wire,
};
use tidewire_server::Server;

pub(crate) use connecting::connected;

/// The service and the durable of all letters here, where a test does not say another one.
pub(crate) const SERVICE: &str = "payments";
pub(crate) const DURABLE: &str = "ship";
/// The `traceparent` of the attempt that failed last.
pub(crate) const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A server with the streams that a service makes when it starts.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) nats: Connection,
}

impl World {
    pub(crate) async fn start() -> Self {
        let world = Self::without_streams().await;
        world.stream("TIDEWIRE_DLQ", &["dlq.>"]).await;
        world
            .stream("TW_PAYMENTS", &["retry.payments.>", "park.payments.>"])
            .await;
        world
    }

    pub(crate) async fn without_streams() -> Self {
        let server = Server::start().unwrap();
        let nats = connected(Connect::to(server.url())).await;
        Self { server, nats }
    }

    pub(crate) async fn stream(&self, name: &str, subjects: &[&str]) {
        let config = stream::Config {
            name: name.into(),
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
            discard: stream::DiscardPolicy::New,
            allow_direct: true,
            allow_message_ttl: true,
            ..stream::Config::default()
        };
        self.nats.jetstream().create_stream(config).await.unwrap();
    }

    /// Stores the first record of a letter, as a service does.
    pub(crate) async fn letter(&self, failed: &Failed<'_>) -> LetterId {
        let original = failed.original();
        let id = failed.id();
        self.record(failed, &id, &failed.record(Some(original)), 0).await;
        id
    }

    /// Stores a record behind the one at `after`, as a service does.
    pub(crate) async fn record(
        &self,
        failed: &Failed<'_>,
        id: &LetterId,
        record: &Record,
        after: u64,
    ) -> u64 {
        let subject = wire::letter_subject(failed.service, failed.durable, id.as_str());
        let written = record.write(self.nats.client().max_payload());
        let mut headers = map(&written.headers);
        let expected: HeaderName = wire::EXPECTED_LAST_SUBJECT_SEQUENCE.parse().unwrap();
        headers.append(expected, after.to_string().parse::<HeaderValue>().unwrap());
        let body = if written.oversized {
            let object = format!("{id}-1");
            let config = object_store::Config {
                bucket: wire::LETTERS_BUCKET.into(),
                ..object_store::Config::default()
            };
            let store = self.nats.jetstream().create_object_store(config).await.unwrap();
            store.put(object.as_str(), &mut &written.body[..]).await.unwrap();
            headers.append(
                wire::TW_OBJECT.parse::<HeaderName>().unwrap(),
                object.parse::<HeaderValue>().unwrap(),
            );
            Bytes::new()
        } else {
            written.body
        };
        let publish = self
            .nats
            .jetstream()
            .publish_with_headers(subject, headers, body)
            .await;
        publish.unwrap().await.unwrap().sequence
    }

    /// Everything in a stream: subject, headers by name, body.
    pub(crate) async fn stored(&self, stream: &str) -> Vec<Stored> {
        let stream = self.nats.jetstream().get_stream(stream).await.unwrap();
        let mut all = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let Ok(message) = stream.get_raw_message(sequence).await else {
                continue;
            };
            all.push(Stored {
                subject: message.subject.to_string(),
                headers: message.headers,
                body: message.payload,
            });
        }
        all
    }

    /// The acts on a letter, oldest first.
    pub(crate) async fn acts(&self, id: &LetterId) -> Vec<String> {
        let all = self.stored(wire::DLQ_STREAM).await;
        let own = all.iter().filter(|stored| stored.subject.ends_with(id.as_str()));
        own.map(|stored| stored.header(wire::TW_ACT)).collect()
    }
}

/// A stored message.
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Stored {
    /// A header's value; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| value.as_str().to_owned())
            .unwrap_or_default()
    }
}

/// What a letter is of.
#[derive(Clone)]
pub(crate) struct Failed<'a> {
    pub(crate) service: &'a str,
    pub(crate) durable: &'a str,
    pub(crate) sequence: u64,
    pub(crate) subject: &'a str,
    pub(crate) headers: OriginalHeaders,
    pub(crate) payload: Bytes,
    pub(crate) class: &'a str,
    pub(crate) error: &'a str,
    pub(crate) attempts: u32,
    /// When the first attempt failed.
    pub(crate) first: &'a str,
    /// When the last attempt failed.
    pub(crate) at: &'a str,
}

/// The letter of the message at `sequence`, whose key is `p-<key>`.
pub(crate) fn failed(sequence: u64, subject: &'static str) -> Failed<'static> {
    Failed {
        service: SERVICE,
        durable: DURABLE,
        sequence,
        subject,
        headers: OriginalHeaders::Parsed(vec![("Nats-Msg-Id".into(), format!("evt_{sequence}"))]),
        payload: format!(r#"{{"number":{sequence}}}"#).into(),
        class: "exhausted",
        error: "no gateway",
        attempts: 8,
        first: "2026-03-20T10:00:01Z",
        at: "2026-03-20T10:00:08Z",
    }
}

impl Failed<'_> {
    pub(crate) fn id(&self) -> LetterId {
        let original = self.original();
        LetterId::of(&original.stream, original.created, original.sequence)
    }

    pub(crate) fn original(&self) -> Original {
        Original {
            stream: "ORDERS__PAYMENTS".into(),
            created: time("2026-03-01T00:00:00Z"),
            sequence: self.sequence,
            stored: time("2026-03-20T10:00:00Z"),
            subject: self.subject.into(),
            headers: self.headers.clone(),
            payload: self.payload.clone(),
        }
    }

    pub(crate) fn record(&self, original: Option<Original>) -> Record {
        Record {
            act: Act::Failed,
            by: format!("{} on host-1", self.service),
            reason: None,
            consumer: wire::consumer_name(self.service, self.durable),
            service_version: Some("1.2.3".into()),
            trouble: Some(Trouble {
                class: self.class.into(),
                error: self.error.into(),
                chain: vec!["connection refused".into()],
                attempts: self.attempts,
                first_failed: time(self.first),
                last_failed: time(self.at),
                traceparent: Some(TRACE.into()),
            }),
            original,
        }
    }

    /// An act of the service after a replay.
    pub(crate) fn after_replay(&self, act: Act, original: Option<Original>) -> Record {
        let failed = self.record(original);
        let trouble = failed.trouble.clone().filter(|_| act == Act::Failed);
        Record {
            act,
            trouble,
            ..failed
        }
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn map<N: AsRef<str>>(headers: &[(N, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.as_ref().parse().unwrap();
        map.append(name, value.parse::<HeaderValue>().unwrap());
    }
    map
}

/// A message that a handler hears again.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) id: LetterId,
    pub(crate) original: Original,
    pub(crate) headers: HeaderMap,
}

/// The service's ear: what comes to its handlers again, one by one.
pub(crate) struct Service {
    nats: Connection,
    messages: pull::Ordered,
}

impl Service {
    pub(crate) async fn start(world: &World) -> Self {
        let stream = world.nats.jetstream().get_stream("TW_PAYMENTS").await.unwrap();
        let config = pull::OrderedConfig {
            filter_subject: "retry.payments.>".into(),
            ..pull::OrderedConfig::default()
        };
        let messages = stream
            .create_consumer(config)
            .await
            .unwrap()
            .messages()
            .await
            .unwrap();
        Self {
            nats: world.nats.clone(),
            messages,
        }
    }

    pub(crate) async fn next(&mut self) -> Heard {
        let message = self.messages.next().await.unwrap().unwrap();
        let headers = message.headers.clone().unwrap();
        let text = |name: &str| headers.get(name).unwrap().as_str().to_owned();
        let pairs: Vec<_> = headers
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())))
            .collect();
        Heard {
            id: text(wire::TW_LETTER).parse().unwrap(),
            original: Original::unwrap(pairs.into_iter(), &message.payload).unwrap(),
            headers: headers.clone(),
        }
    }

    /// Writes what came of a message, guarded by its claim.
    pub(crate) async fn answer(&mut self, heard: &Heard, act: Act) {
        let of = failed(heard.original.sequence, "unused");
        let original = (act == Act::Failed).then(|| heard.original.clone());
        let written = of
            .after_replay(act, original)
            .write(self.nats.client().max_payload());
        let mut headers = map(&written.headers);
        let expected: HeaderName = wire::EXPECTED_LAST_SUBJECT_SEQUENCE.parse().unwrap();
        headers.append(expected, heard.headers.get(wire::TW_RECORD).unwrap().clone());
        let subject = wire::letter_subject(SERVICE, DURABLE, heard.id.as_str());
        let js = self.nats.jetstream();
        js.publish_with_headers(subject, headers, written.body)
            .await
            .unwrap()
            .await
            .unwrap();
    }

    /// Answers everything with one act, until the returned task is dropped with its runtime.
    pub(crate) fn always(mut self, act: Act) {
        tokio::spawn(async move {
            loop {
                let heard = self.next().await;
                self.answer(&heard, act).await;
            }
        });
    }
}

//! Letters read from their stream, with their messages or without.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use tidewire::{
    BoxError, Timestamp,
    async_nats::{
        datetime::DateTime,
        jetstream::{
            consumer::{AckPolicy, DeliverPolicy, pull},
            message::StreamMessage,
            stream::{LastRawMessageErrorKind, Stream},
        },
    },
    dead_letter::{Import, Letter, LetterId, Record, StoredRecord},
    read_object, wire,
};

use super::{DeadLetters, LetterError, Listed, Listing, Selection, Unreadable};
use crate::{api, error::OpsError};

/// How many heads one question asks for: some hundred bytes each.
const AT_ONCE: usize = 500;
/// How long the server may take to send the next ones.
const PATIENCE: Duration = Duration::from_secs(5);
/// After how long the server removes a consumer that nobody asks any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// A stored message without its body.
pub(super) struct Head {
    pub(super) subject: String,
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) headers: Vec<(String, String)>,
}

/// A stored message as it is, its body fetched from wherever it is.
pub(super) struct Whole {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl DeadLetters {
    /// The letters that are meant, without their messages: only headers are read.
    ///
    /// # Errors
    /// [`OpsError`] where the stream cannot be read.
    pub async fn list(&self, selection: &Selection) -> Result<Listing, OpsError> {
        let heads = self
            .heads(
                (&self.stream, wire::DLQ_STREAM),
                &selection.subjects(),
                DeliverPolicy::All,
            )
            .await?;
        let mut by_subject: HashMap<String, Vec<Head>> = HashMap::new();
        for head in heads {
            by_subject.entry(head.subject.clone()).or_default().push(head);
        }
        let mut listing = Listing::default();
        for (subject, heads) in by_subject {
            match listed(&subject, heads) {
                Ok(letter) if selection.has(&letter) => listing.letters.push(letter),
                Ok(_) => {}
                Err(unreadable) => listing.unreadable.push(unreadable),
            }
        }
        listing.letters.sort_by(|one, other| {
            let place = |letter: &Listed| (letter.sequence, letter.letter.clone());
            one.stream.cmp(&other.stream).then(place(one).cmp(&place(other)))
        });
        listing.unreadable.sort_by_key(|unreadable| unreadable.sequence);
        Ok(listing)
    }

    /// A letter with its message and all that was done about it.
    ///
    /// # Errors
    /// [`OpsError`] where the stream cannot be read, or the letter is not in it.
    pub async fn read(&self, letter: &Listed) -> Result<Letter, OpsError> {
        let mut records = Vec::new();
        let subject = letter.subject_of_records();
        for whole in self.records(&subject).await? {
            let sequence = whole.sequence;
            let unreadable = |reason: String| LetterError::Unreadable {
                subject: subject.clone(),
                sequence,
                reason,
            };
            let pairs = whole.headers.iter().map(|(name, value)| (&**name, &**value));
            let record = Record::read(&pairs, &whole.body).map_err(|error| unreadable(error.to_string()))?;
            records.push(StoredRecord {
                sequence,
                time: recorded(&whole.headers, whole.time),
                record,
                imported: Import::read(pairs, whole.time),
            });
        }
        let (id, service, durable) = (letter.letter.clone(), &letter.service, &letter.durable);
        let unknown = || LetterError::Unknown {
            what: letter.letter.to_string(),
        };
        Ok(Letter::of(id, service, durable, records).ok_or_else(unknown)?)
    }

    /// The messages on a letter's subject, oldest first, as they are now on the stream's leader.
    pub(super) async fn records(&self, subject: &str) -> Result<Vec<Whole>, OpsError> {
        let get = format!("$JS.API.STREAM.MSG.GET.{}", wire::DLQ_STREAM);
        let mut records = Vec::new();
        let mut next = 1;
        loop {
            let asked = self.stream.raw_message_builder().sequence(next);
            let asking = asked.next_by_subject(subject).send();
            match self.nats.unless_refused(&[&get], asking).await? {
                Ok(message) => {
                    next = message.sequence + 1;
                    records.push(self.whole(message).await?);
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(records),
                Err(error) => return Err(unread(wire::DLQ_STREAM, error)),
            }
        }
    }

    async fn whole(&self, message: StreamMessage) -> Result<Whole, OpsError> {
        let headers = api::pairs(Some(&message.headers));
        let object = headers.iter().find(|(name, _)| name == wire::TW_OBJECT);
        let body = match object {
            Some((_, object)) => self.object(object).await?,
            None => message.payload,
        };
        Ok(Whole {
            sequence: message.sequence,
            time: api::time(message.time),
            headers,
            body,
        })
    }

    /// What the object store holds under a name. (The futures of the client are large, so they are boxed, here and below.)
    async fn object(&self, object: &str) -> Result<Bytes, OpsError> {
        let reading = async {
            let read = read_object(&self.nats, wire::LETTERS_BUCKET, object).await?;
            read.ok_or_else(|| BoxError::from(format!("{} has no such object", wire::LETTERS_BUCKET)))
        };
        // It hears by itself what is refused.
        let read = Box::pin(reading).await;
        Ok(read.map_err(|error| LetterError::Object {
            object: object.into(),
            done: "read",
            reason: error.to_string(),
        })?)
    }

    /// The heads of all messages of a stream on these subjects, in their order.
    pub(super) async fn heads(
        &self,
        of: (&Stream<()>, &str),
        subjects: &str,
        from: DeliverPolicy,
    ) -> Result<Vec<Head>, OpsError> {
        let mut heads = Vec::new();
        let config = pull::Config {
            deliver_policy: from,
            filter_subject: subjects.to_owned(),
            headers_only: true,
            ..pull::Config::default()
        };
        let each = |head, _| {
            heads.push(head);
            ControlFlow::Continue(())
        };
        self.through(of, config, each).await?;
        Ok(heads)
    }

    /// Hands over what a stream has for `config`, head and body, in its order, until `each` has enough.
    pub(super) async fn through(
        &self,
        (stream, name): (&Stream<()>, &str),
        config: pull::Config,
        mut each: impl FnMut(Head, Bytes) -> ControlFlow<()>,
    ) -> Result<(), OpsError> {
        let config = pull::Config {
            description: Some("tidewire dlq".into()),
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..config
        };
        let making = Box::pin(stream.create_consumer(config));
        let made = format!("$JS.API.CONSUMER.CREATE.{name}");
        let made = self.nats.unless_refused(&[made], making).await?;
        let consumer = made.map_err(|error| unread(name, error))?;
        let asked = ["MSG.NEXT", "INFO", "DELETE"]
            .map(|verb| format!("$JS.API.CONSUMER.{verb}.{name}.{}", consumer.cached_info().name));
        let reading = async {
            let mut left = consumer.cached_info().num_pending;
            let mut wanted = ControlFlow::Continue(());
            while left > 0 && wanted.is_continue() {
                let count = usize::try_from(left).unwrap_or(AT_ONCE).min(AT_ONCE);
                let batch = consumer.batch().max_messages(count).expires(PATIENCE);
                let mut batch = batch.messages().await?;
                let mut came = false;
                while let Some(message) = batch.try_next().await? {
                    came = true;
                    let info = message.info()?;
                    left = info.pending;
                    let head = Head {
                        sequence: info.stream_sequence,
                        time: api::time(info.published),
                        subject: message.subject.to_string(),
                        headers: api::pairs(message.headers.as_ref()),
                    };
                    if wanted.is_continue() {
                        wanted = each(head, message.message.payload);
                    }
                }
                if !came {
                    // What was to come was removed meanwhile, or the server does not send it.
                    left = stream
                        .consumer_info(&consumer.cached_info().name)
                        .await?
                        .num_pending;
                    if left > 0 {
                        return Err(
                            format!("nothing came for {PATIENCE:?}, and {left} messages are left").into(),
                        );
                    }
                }
            }
            // The server would forget it by itself, later.
            drop(stream.delete_consumer(&consumer.cached_info().name).await);
            Ok::<_, BoxError>(())
        };
        let read = self.nats.unless_refused(&asked, Box::pin(reading)).await?;
        read.map_err(|error| unread(name, error))
    }
}

/// From what was stored at a time on, to the second before it.
pub(super) fn stored_since(time: Timestamp) -> DeliverPolicy {
    match DateTime::from_unix_timestamp(time.unix_millis().div_euclid(1000)) {
        Ok(start_time) => DeliverPolicy::ByStartTime { start_time },
        Err(_) => DeliverPolicy::All,
    }
}

impl Listed {
    /// The subject of its records.
    pub(super) fn subject_of_records(&self) -> String {
        wire::letter_subject(&self.service, &self.durable, self.letter.as_str())
    }
}

pub(super) fn unread(stream: &str, error: impl Into<BoxError>) -> OpsError {
    OpsError::jetstream(format!("read the stream {stream}"), error)
}

/// When a record was first stored: an imported one says it, for its place in the stream is a new one.
pub(super) fn recorded(headers: &[(String, String)], stored: Timestamp) -> Timestamp {
    let said = headers.iter().find(|(name, _)| name == wire::TW_RECORDED);
    said.and_then(|(_, time)| time.parse().ok()).unwrap_or(stored)
}

/// Service, durable and letter of a subject of records.
pub(super) fn address(subject: &str) -> Option<(&str, &str, LetterId)> {
    let mut tokens = subject.strip_prefix("dlq.")?.split('.');
    let address = (tokens.next()?, tokens.next()?, tokens.next()?.parse().ok()?);
    tokens.next().is_none().then_some(address)
}

fn listed(subject: &str, heads: Vec<Head>) -> Result<Listed, Unreadable> {
    let first = heads.first().map_or(0, |head| head.sequence);
    let unreadable = |sequence: u64, reason: &str| Unreadable {
        subject: subject.to_owned(),
        sequence,
        reason: reason.to_owned(),
    };
    let (service, durable, id) = address(subject)
        .ok_or_else(|| unreadable(first, "its subject is not dlq.<service>.<durable>.<letter>"))?;
    let mut records = Vec::with_capacity(heads.len());
    for head in heads {
        // Without its body a raw message has no header block to be cut off.
        let ours = head
            .headers
            .iter()
            .filter(|(name, _)| name != wire::TW_HEADER_SIZE);
        let pairs = ours.map(|(name, value)| (&**name, &**value));
        let record = Record::read(&pairs, &Bytes::new());
        let record = record.map_err(|error| unreadable(head.sequence, &error.to_string()))?;
        records.push(StoredRecord {
            sequence: head.sequence,
            time: recorded(&head.headers, head.time),
            record,
            imported: Import::read(pairs, head.time),
        });
    }
    Letter::of(id, service, durable, records)
        .and_then(|letter| Listed::of(&letter))
        .ok_or_else(|| unreadable(first, "the first record does not hold the message"))
}

//! Messages that wait in the service's stream until the first of their key is done.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    HeaderMap, Message,
    jetstream::{
        message::StreamMessage,
        stream::{LastRawMessageErrorKind, RawMessageErrorKind, Stream},
    },
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tidewire_core::{
    BoxError,
    dead_letter::{LetterId, Original},
    wire,
};
use tokio::time::{sleep, timeout};

use super::term::{Seat, Term};
use crate::{
    connection::Connection,
    consumer::{in_hand::InHand, replay, settle::Job},
    delivery::StoredAt,
    guarded::{Stored, store_once},
    headers::{header, header_map, pairs},
    letters::Letters,
    start_error::StartError,
};

/// How long an answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to take a handled message out of the stream.
const PAUSE: Duration = Duration::from_millis(500);

/// The parked messages of one durable.
#[derive(Debug)]
pub(crate) struct Parking {
    nats: Connection,
    letters: Letters,
    service: String,
    durable: String,
    stream: String,
    /// The place of the record that says that this instance's term began: whatever is parked expects it to be the last.
    fence: AtomicU64,
    /// The last message that was parked of a key, as far as it is known.
    last: Mutex<HashMap<Arc<str>, Last>>,
}

/// A message by its own stream.
#[derive(Clone, Debug)]
struct Last {
    stream: String,
    created: String,
    sequence: u64,
    /// Where it is parked.
    parked: u64,
}

/// The place of a parked message.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Parked {
    parking: Arc<Parking>,
    sequence: u64,
    /// Its body, where that is in the object store.
    object: Option<String>,
}

impl Parking {
    pub(crate) fn new(nats: &Connection, letters: &Letters, service: &str, durable: &str) -> Arc<Self> {
        Arc::new(Self {
            nats: nats.clone(),
            letters: letters.clone(),
            service: service.to_owned(),
            durable: durable.to_owned(),
            stream: wire::service_stream(service),
            fence: AtomicU64::new(0),
            last: Mutex::default(),
        })
    }

    /// How many messages of each durable of a service are parked.
    pub(crate) async fn counts(
        nats: &Connection,
        service: &str,
    ) -> Result<BTreeMap<String, usize>, StartError> {
        let js = nats.jetstream();
        let stream = js.get_stream_no_info(wire::service_stream(service)).await;
        let stream = stream.map_err(StartError::jetstream)?;
        let subjects = stream
            .info_with_subjects(wire::park_subject(service, "*", "*"))
            .await;
        let mut subjects = subjects.map_err(StartError::jetstream)?;
        let mut counts = BTreeMap::new();
        while let Some((subject, count)) = subjects.try_next().await.map_err(StartError::jetstream)? {
            if let Some(durable) = subject.split('.').nth(2) {
                *counts.entry(durable.to_owned()).or_default() += count;
            }
        }
        Ok(counts)
    }

    /// A term begins: whoever was active before parks nothing more. The keys of which messages are parked, with how
    /// many there are.
    pub(super) async fn begin(&self) -> Result<Vec<(Arc<str>, usize)>, BoxError> {
        let term = wire::term_subject(&self.service, &self.durable);
        let stream = [(wire::EXPECTED_STREAM, self.stream.as_str())];
        let Stored::New(sequence) = store_once(&self.nats, &term, stream, Bytes::new()).await? else {
            return Err("the term cannot be written down".into());
        };
        tracing::trace!(target: "tidewire::walk", "term begun");
        self.fence.store(sequence, Ordering::Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let stream = self.stream().await?;
        timeout(ANSWERED_WITHIN, stream.purge().filter(&term).keep(1)).await??;
        let prefix = wire::park_subject(&self.service, &self.durable, "");
        let found = stream.info_with_subjects(format!("{prefix}*"));
        let mut subjects = timeout(ANSWERED_WITHIN, found).await??;
        let mut lanes = Vec::new();
        while let Some((subject, count)) = timeout(ANSWERED_WITHIN, subjects.try_next()).await?? {
            if let Some(key) = subject.strip_prefix(&prefix) {
                lanes.push((key.into(), count));
            }
        }
        Ok(lanes)
    }

    /// Stores a message behind those of its key; `false` where it was there when the term began, and is counted. One that
    /// was stored in this term, and whose confirmation was lost, is not.
    pub(super) async fn store(&self, job: &Job, lane: &Arc<str>) -> Result<bool, BoxError> {
        let subject = wire::park_subject(&self.service, &self.durable, lane);
        let (id, mut headers, body, place) = self.wrap(job).await?;
        let fence = self.fence.load(Ordering::Relaxed);
        if let Some(place) = &place
            && let Some(last) = self.last_parked(lane, &subject).await?
            && place.is_not_after(&last)
        {
            // They come in order: one before the last was parked by the active instance before this one.
            return Ok(place.sequence == last.sequence && last.parked > fence);
        }
        headers.extend([
            (wire::EXPECTED_STREAM.into(), self.stream.clone()),
            (wire::EXPECTED_LAST_SUBJECT_SEQUENCE.into(), fence.to_string()),
            (
                wire::EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT.into(),
                wire::term_subject(&self.service, &self.durable),
            ),
            (wire::MSG_ID.into(), format!("{}.{id}", self.durable)),
        ]);
        let headers = headers.iter().map(|(name, value)| (&**name, value.as_str()));
        let stored = store_once(&self.nats, &subject, headers, body).await?;
        let (Stored::New(parked) | Stored::Before(parked)) = stored else {
            if let Some(seat) = &job.seat {
                seat.term.lose();
            }
            return Err("another instance is the active one".into());
        };
        if let Some(place) = place {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.insert(lane.clone(), Last { parked, ..place });
        }
        Ok(parked > fence)
    }

    /// How a message is parked; with the place where it was, unless it is a dead letter that is replayed.
    async fn wrap(&self, job: &Job) -> Result<Wrapped, BoxError> {
        let headers = job.message.headers.as_ref();
        if let Some(letter) = headers.and_then(|headers| header(headers, wire::TW_LETTER))
            && job.message.subject.starts_with("retry.")
        {
            let record = headers.and_then(|headers| header(headers, wire::TW_RECORD));
            let id = format!("{letter}-{}", record.unwrap_or_default());
            // It is wrapped already.
            let ours = pairs(headers)
                .filter(|(name, _)| !name.starts_with("Nats-"))
                .map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_owned()));
            return Ok((id, ours.collect(), job.message.payload.clone(), None));
        }
        let original = replay::original(&job.message, &job.stored, job.created);
        let id = LetterId::of(&original.stream, original.created, original.sequence).to_string();
        let mut wrapped = original.wrap(Vec::new(), "", self.nats.client().max_payload());
        if wrapped.oversized {
            let name = format!("park-{}-{id}", self.durable);
            self.letters.put_object(&name, &wrapped.body).await?;
            wrapped.headers.push((wire::TW_OBJECT.into(), name));
            wrapped.body = Bytes::new();
        }
        let place = Last {
            stream: original.stream,
            created: original.created.to_string(),
            sequence: original.sequence,
            parked: 0,
        };
        Ok((id, wrapped.headers, wrapped.body, Some(place)))
    }

    async fn last_parked(&self, lane: &Arc<str>, subject: &str) -> Result<Option<Last>, BoxError> {
        let known = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(lane)
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let stream = self.stream().await?;
        match timeout(ANSWERED_WITHIN, stream.get_last_raw_message_by_subject(subject)).await? {
            Ok(message) => Ok(Last::read(&message.headers, message.sequence)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first of a key's parked messages, as it was delivered at first.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        lane: &Arc<str>,
        term: &Arc<Term>,
        in_hand: &InHand,
    ) -> Result<Option<Job>, BoxError> {
        let subject = wire::park_subject(&self.service, &self.durable, lane);
        let stream = self.stream().await?;
        let first = stream.get_first_raw_message_by_subject(&subject, 1);
        let found = match timeout(ANSWERED_WITHIN, first).await? {
            Ok(found) => found,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        tracing::trace!(target: "tidewire::walk", "fetched");
        let sequence = found.sequence;
        let object = header(&found.headers, wire::TW_OBJECT).map(str::to_owned);
        let (message, stored, created) = self.unwrap(found, object.as_deref()).await?;
        let parked = Parked {
            parking: self.clone(),
            sequence,
            object: object.filter(|name| name.starts_with("park-")),
        };
        Ok(Some(Job {
            grip: in_hand.take_parked(message.length),
            message: Arc::new(message),
            ack: String::new().into(),
            // How often it was run is read: it may have failed before it was parked.
            delivery: 2,
            stored,
            created,
            seat: Some(Seat {
                term: term.clone(),
                lane: lane.clone(),
                parked: Some(parked),
            }),
        }))
    }

    async fn unwrap(
        &self,
        found: StreamMessage,
        object: Option<&str>,
    ) -> Result<(Message, StoredAt, tidewire_core::Timestamp), BoxError> {
        let length = found.payload.len();
        let message = |subject: &str, headers: Option<HeaderMap>, payload| Message {
            subject: subject.into(),
            reply: None,
            payload,
            headers,
            status: None,
            description: None,
            length,
        };
        let letter = header(&found.headers, wire::TW_LETTER).map(str::to_owned);
        let body = match object {
            Some(name) if letter.is_none() => self.letters.object(name).await?,
            _ => found.payload.clone(),
        };
        // Of a replay only the place is read here; the rest is read where it is run, as ever.
        let original = Original::unwrap(pairs(Some(&found.headers)), &body);
        if let Some(letter) = letter {
            let subject = wire::retry_subject(&self.service, &self.durable, &letter);
            let stored = StoredAt {
                stream: self.stream.as_str().into(),
                sequence: found.sequence,
                time: crate::clock::at(found.time.into()),
            };
            let replay = message(&subject, Some(found.headers), body);
            return Ok((replay, stored, tidewire_core::Timestamp::default()));
        }
        let original = original?;
        let headers = original.parsed_headers();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let stored = StoredAt {
            stream: original.stream.as_str().into(),
            sequence: original.sequence,
            time: original.stored,
        };
        let headers = Some(header_map(headers)?).filter(|headers| !headers.is_empty());
        let message = message(&original.subject, headers, original.payload.clone());
        Ok((message, stored, original.created))
    }

    async fn stream(&self) -> Result<Stream<()>, BoxError> {
        Ok(self.nats.jetstream().get_stream_no_info(&self.stream).await?)
    }
}

type Wrapped = (String, Vec<(Cow<'static, str>, String)>, Bytes, Option<Last>);

impl Last {
    fn read(headers: &HeaderMap, parked: u64) -> Option<Self> {
        Some(Self {
            stream: header(headers, wire::TW_STREAM)?.to_owned(),
            created: header(headers, wire::TW_STREAM_CREATED)?.to_owned(),
            sequence: header(headers, wire::TW_SEQUENCE)?.parse().ok()?,
            parked,
        })
    }

    fn is_not_after(&self, other: &Self) -> bool {
        self.stream == other.stream && self.created == other.created && self.sequence <= other.sequence
    }
}

impl Parked {
    /// Takes the message out of the stream: it is done. `false` where the term is over before that is sure.
    pub(in crate::consumer) async fn remove(&self, term: &Term) -> bool {
        while term.holds() {
            match self.try_remove().await {
                Ok(()) => {
                    tracing::trace!(target: "tidewire::walk", "taken out");
                    return true;
                }
                Err(error) => {
                    let (durable, sequence) = (&self.parking.durable, self.sequence);
                    tracing::warn!(%durable, sequence, error, "a parked message that is done cannot be taken out");
                    sleep(PAUSE).await;
                }
            }
        }
        false
    }

    async fn try_remove(&self) -> Result<(), BoxError> {
        let stream = self.parking.stream().await?;
        if let Err(error) = timeout(ANSWERED_WITHIN, stream.delete_message(self.sequence)).await? {
            // Somebody else took it out, or the answer to the last try was lost.
            let found = timeout(ANSWERED_WITHIN, stream.get_raw_message(self.sequence)).await?;
            if !found.is_err_and(|error| error.kind() == RawMessageErrorKind::NoMessageFound) {
                return Err(error.into());
            }
        }
        if let Some(name) = &self.object {
            self.parking.letters.forget_object(name).await;
        }
        Ok(())
    }
}

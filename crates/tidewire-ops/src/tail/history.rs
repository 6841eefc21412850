//! What streams still have, without a trace in them.

use std::{collections::VecDeque, time::Duration};

use futures_util::TryStreamExt;
use tidewire::{
    BoxError, Connection, SubjectFilter, Timestamp,
    async_nats::jetstream::{
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        stream::{Info, LastRawMessageErrorKind, RetentionPolicy, Stream},
    },
};
use tokio::time::timeout;

use super::{Seen, is_hidden, overlap::Overlap};
use crate::{api, error::OpsError};

/// How many messages one question asks for.
const AT_ONCE: usize = 128;
/// After how long the server removes a consumer that nobody asks any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// How long the next message of what was asked for is awaited.
const NEXT_WITHIN: Duration = Duration::from_secs(5);
/// How much further back each next look for a place goes.
const STEP: u64 = 8;

/// A stream that has subjects of the filter.
pub(super) struct Source {
    name: String,
    /// The newest message at the first look.
    last: u64,
    first: u64,
    retention: RetentionPolicy,
}

/// The messages of several streams, by the time at which they were stored.
#[derive(Debug)]
pub(super) struct Past {
    readers: Vec<Reader>,
    /// How many are passed over, so that only the newest remain.
    skip: u64,
}

/// One stream.
#[derive(Debug)]
struct Reader {
    name: String,
    stream: Stream<()>,
    /// What is stored behind this may have come live too.
    known: u64,
    remaining: u64,
    /// What was fetched, with the time at which it was stored.
    heads: VecDeque<(Timestamp, Seen)>,
    way: Way,
}

/// How a stream is read.
#[derive(Debug)]
enum Way {
    /// Through a consumer that acknowledges nothing and is gone afterwards.
    Consumer(Box<PullConsumer>),
    /// One by one: of a work queue only who takes a message may have a consumer.
    Gets { filter: String, next: u64 },
}

/// The streams that have subjects of the filter, and where they end now.
pub(super) async fn sources(nats: &Connection, filter: &SubjectFilter) -> Result<Vec<Source>, OpsError> {
    let shown = |subject: &String| {
        !is_hidden(filter, subject) && SubjectFilter::parse(subject).is_ok_and(|own| own.overlaps(filter))
    };
    let streams = api::streams(nats).await?;
    let sources = streams
        .into_iter()
        .filter(|stream| stream.config.subjects.iter().any(shown));
    Ok(sources.map(Source::from).collect())
}

impl From<Info> for Source {
    fn from(info: Info) -> Self {
        Self {
            last: info.state.last_sequence,
            first: info.state.first_sequence,
            retention: info.config.retention,
            name: info.config.name,
        }
    }
}

impl Past {
    /// Of everything that matches, the newest `count`; all where there is no such limit.
    pub(super) async fn open(
        nats: &Connection,
        sources: Vec<Source>,
        filter: &SubjectFilter,
        count: Option<u64>,
    ) -> Result<Self, OpsError> {
        let mut readers = Vec::new();
        for source in sources {
            let (name, api) = (&source.name, "$JS.API");
            let asked = [
                format!("{api}.STREAM.INFO.{name}"),
                format!("{api}.CONSUMER.CREATE.{name}"),
                // The server gives its name to each that is made.
                format!("{api}.CONSUMER.DELETE.{name}.*"),
            ];
            let opening = Reader::open(nats, source, filter.as_str(), count);
            readers.push(nats.unless_refused(&asked, opening).await??);
        }
        let all: u64 = readers.iter().map(|reader| reader.remaining).sum();
        let skip = count.map_or(0, |count| all.saturating_sub(count));
        Ok(Self { readers, skip })
    }

    /// The next message; what may have come live too is noted in `overlap`.
    pub(super) async fn next(
        &mut self,
        nats: &Connection,
        overlap: &mut Overlap,
    ) -> Result<Option<Seen>, OpsError> {
        loop {
            for reader in &mut self.readers {
                let asked = reader.asked();
                nats.unless_refused(&asked, reader.fill()).await??;
            }
            let earliest = self
                .readers
                .iter_mut()
                .filter_map(|reader| Some((reader.heads.front()?.0, reader)))
                .min_by_key(|(stored, _)| *stored);
            let Some((reader, (_, seen))) =
                earliest.and_then(|(_, reader)| reader.heads.pop_front().map(|head| (reader, head)))
            else {
                return Ok(None);
            };
            let sequence = seen.stored.as_ref().map_or(0, |(_, sequence)| *sequence);
            if sequence > reader.known {
                overlap.stored(&seen);
            }
            if self.skip == 0 {
                return Ok(Some(seen));
            }
            self.skip -= 1;
        }
    }
}

impl Reader {
    async fn open(
        nats: &Connection,
        source: Source,
        filter: &str,
        count: Option<u64>,
    ) -> Result<Self, OpsError> {
        let stream = api::handle(nats, &source.name).await?;
        let (way, remaining) = if source.retention == RetentionPolicy::WorkQueue {
            let subjects = async {
                stream
                    .info_with_subjects(filter)
                    .await?
                    .try_collect::<Vec<_>>()
                    .await
            };
            let subjects = subjects.await.map_err(|error| source.unread(error))?;
            let remaining = subjects.iter().map(|(_, count)| *count as u64).sum();
            let (filter, next) = (filter.to_owned(), source.first);
            (Way::Gets { filter, next }, remaining)
        } else {
            let consumer = source.consumer(&stream, filter, count).await?;
            let remaining = consumer.cached_info().num_pending;
            (Way::Consumer(Box::new(consumer)), remaining)
        };
        Ok(Self {
            known: source.last,
            name: source.name,
            stream,
            remaining,
            heads: VecDeque::new(),
            way,
        })
    }

    /// What [`Reader::fill`] asks.
    fn asked(&self) -> Vec<String> {
        let name = &self.name;
        match &self.way {
            Way::Consumer(consumer) => ["MSG.NEXT", "DELETE"]
                .map(|verb| format!("$JS.API.CONSUMER.{verb}.{name}.{}", consumer.cached_info().name))
                .into(),
            Way::Gets { .. } => vec![format!("$JS.API.STREAM.MSG.GET.{name}")],
        }
    }

    /// Fetches where nothing is left of what was fetched before.
    async fn fill(&mut self) -> Result<(), OpsError> {
        if !self.heads.is_empty() || self.remaining == 0 {
            return Ok(());
        }
        let failed = |error: BoxError| unread(&self.name, error);
        match &mut self.way {
            Way::Consumer(consumer) => {
                let count = usize::try_from(self.remaining).unwrap_or(AT_ONCE).min(AT_ONCE);
                let batch = consumer.fetch().max_messages(count).messages().await;
                let mut batch = batch.map_err(|error| failed(error.into()))?;
                // The client would wait for ever.
                let late = |_| failed(format!("nothing came within {NEXT_WITHIN:?}").into());
                while let Some(message) = timeout(NEXT_WITHIN, batch.try_next())
                    .await
                    .map_err(late)?
                    .map_err(failed)?
                {
                    let info = message.info().map_err(failed)?;
                    let (stored, place) = (api::time(info.published), info.stream_sequence);
                    let message = message.split().0;
                    let place = Some((self.name.clone(), place));
                    let subject = message.subject.to_string();
                    let seen = Seen::new(subject, stored, place, message.headers.as_ref(), message.payload);
                    self.heads.push_back((stored, seen));
                }
                self.remaining -= self.heads.len() as u64;
                if self.heads.is_empty() || self.remaining == 0 {
                    // The rest was removed meanwhile; the server would forget the consumer by itself, later.
                    self.remaining = 0;
                    drop(self.stream.delete_consumer(&consumer.cached_info().name).await);
                }
            }
            Way::Gets { filter, next } => {
                let found = self.stream.raw_message_builder().sequence(*next);
                match found.next_by_subject(&*filter).send().await {
                    Ok(found) => {
                        let stored = api::time(found.time);
                        let place = Some((self.name.clone(), found.sequence));
                        let subject = found.subject.to_string();
                        let seen = Seen::new(subject, stored, place, Some(&found.headers), found.payload);
                        *next = found.sequence + 1;
                        self.remaining -= 1;
                        self.heads.push_back((stored, seen));
                    }
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                        self.remaining = 0;
                    }
                    Err(error) => return Err(failed(error.into())),
                }
            }
        }
        Ok(())
    }
}

impl Source {
    /// A consumer from where at least `count` messages are left, or all: the server counts them, so that the place is
    /// found by going back in growing steps.
    async fn consumer(
        &self,
        stream: &Stream<()>,
        filter: &str,
        count: Option<u64>,
    ) -> Result<PullConsumer, OpsError> {
        let first = self.first.max(1);
        let mut back = count.unwrap_or(u64::MAX);
        loop {
            let start_sequence = (self.last + 1).saturating_sub(back).max(first);
            let config = pull::Config {
                description: Some("tidewire tail".into()),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
                ack_policy: AckPolicy::None,
                filter_subject: filter.to_owned(),
                inactive_threshold: FORGOTTEN_AFTER,
                memory_storage: true,
                num_replicas: 1,
                ..pull::Config::default()
            };
            let made = stream.create_consumer(config).await;
            let made = made.map_err(|error| self.unread(error))?;
            let info = made.cached_info();
            if start_sequence == first || count.is_some_and(|count| info.num_pending >= count) {
                return Ok(made);
            }
            drop(stream.delete_consumer(&info.name).await);
            back = back.saturating_mul(STEP);
        }
    }

    fn unread(&self, error: impl Into<BoxError>) -> OpsError {
        unread(&self.name, error)
    }
}

fn unread(stream: &str, error: impl Into<BoxError>) -> OpsError {
    OpsError::jetstream(format!("read the stream {stream}"), error)
}

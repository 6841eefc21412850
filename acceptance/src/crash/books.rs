//! The one check of all parts: once all is quiet, every message is handled, an open letter, parked or discarded, and only
//! one of these.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt::Write as _,
    path::Path,
    time::Duration,
};

use futures_util::StreamExt as _;
use serde::Deserialize;
use tidewire::{
    Connection,
    async_nats::{self, jetstream::consumer},
    dead_letter::{Act, Record},
    read_object, wire,
};

use crate::{
    jobs::{DURABLE, End, FORGETS, JOBS, JobPosted, Kind, RESULTS, SERVICE},
    ledger::{self, What},
    load::Posted,
    quiet::quiet,
};

/// How many numbers a fault shows.
const SHOWN: usize = 8;

/// What is known of one job.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// The stream said that it has it.
    confirmed: bool,
    /// Its place in the stream, which has it.
    pub(crate) sequence: Option<u64>,
    /// How many effects it had: different ones, for a receiver knows a copy by its id.
    effects: usize,
    /// How often it is parked.
    parked: usize,
    /// When its first record was stored, in microseconds since 1970.
    pub(crate) kept: Option<u64>,
    /// What its last record says, how many there are, and the class of its failure.
    letter: Option<End>,
    records: u32,
    pub(crate) class: String,
    /// How many attempts its letter tells of.
    attempts: u32,
    /// Its attempts, by worker, in the order in which they began.
    pub(crate) runs: Vec<(String, u32)>,
}

impl Entry {
    /// A job of which nothing else is known.
    pub(crate) fn posted(kind: Kind, confirmed: bool) -> Self {
        Self {
            kind,
            confirmed,
            sequence: None,
            effects: 0,
            parked: 0,
            kept: None,
            letter: None,
            records: 0,
            class: String::new(),
            attempts: 0,
            runs: Vec::new(),
        }
    }
}

/// All jobs of a world, by their numbers.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) jobs: Vec<Entry>,
    /// Why it never was quiet.
    unquiet: Option<String>,
    /// How long the stream of the effects knows an id, where each message is to have one effect.
    window: Option<Duration>,
    /// Data that an effect names, and that are not there.
    absent: Vec<String>,
}

/// The sums of the books, for the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) stored: usize,
    pub(crate) handled: usize,
    pub(crate) letters: usize,
    pub(crate) discarded: usize,
    pub(crate) parked: usize,
    pub(crate) runs: usize,
}

impl Books {
    /// Waits until all is [`quiet`], and reads the streams.
    pub(crate) async fn once_quiet(
        nats: &Connection,
        posted: &Posted,
        runs: &Path,
        within: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let unquiet = quiet(nats, within).await.err();
        let books = Self::read(nats, posted, runs).await?;
        Ok(Self { unquiet, ..books })
    }

    /// Books of these jobs, with nothing beside them.
    pub(crate) fn of(jobs: Vec<Entry>) -> Self {
        Self {
            jobs,
            unquiet: None,
            window: None,
            absent: Vec::new(),
        }
    }

    /// Reads the streams as they are.
    pub(crate) async fn read(
        nats: &Connection,
        posted: &Posted,
        runs: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let jobs = posted.all().into_iter();
        let jobs = jobs.map(|(kind, confirmed)| Entry::posted(kind, confirmed));
        let mut books = Self::of(jobs.collect());
        let mut places = HashMap::new();
        read(nats, JOBS, ALL, |message, place| {
            let body = serde_json::from_slice::<Body>(&message.payload).ok();
            if let Some((_, number)) = body.and_then(|body| Kind::of(&body.data.job))
                && let Some(entry) = books.jobs.get_mut(number)
            {
                entry.sequence.get_or_insert(place.sequence);
                places.insert(place.sequence, number);
            }
        })
        .await?;
        // Each handling writes another time into its event: equal ones are one. Where the data are stored beside it, its
        // headers have the time.
        let (mut effects, mut claims) = (HashSet::new(), Vec::<String>::new());
        read(nats, RESULTS, ALL, |message, _| {
            let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str().to_owned());
            claims.extend(header(wire::DATAREF));
            let is_new = effects.insert((message.payload.clone(), header("ce-id"), header("ce-time")));
            if let Some(entry) = books.by_subject(&message.subject) {
                entry.effects += usize::from(is_new);
            }
        })
        .await?;
        for claim in claims {
            let place = claim.strip_prefix("nats-object:");
            let place = place.and_then(|place| place.split_once('/'));
            let (bucket, object) = place.ok_or_else(|| format!("no place of data: {claim:?}"))?;
            let found = read_object(nats, bucket, object).await;
            if found.map_err(|error| error as Box<dyn Error>)?.is_none() {
                books.absent.push(claim);
            }
        }
        let letters = wire::letter_subject(SERVICE, DURABLE, "*");
        read(nats, wire::DLQ_STREAM, &letters, |message, place| {
            books.record(message, place.at, &places);
        })
        .await?;
        let park = wire::park_subject(SERVICE, DURABLE, "*");
        read(nats, &wire::service_stream(SERVICE), &park, |message, _| {
            let sequence = message
                .headers
                .as_ref()
                .and_then(|headers| headers.get(wire::TW_SEQUENCE));
            let number = sequence.and_then(|sequence| places.get(&sequence.as_str().parse().ok()?));
            if let Some(entry) = number.and_then(|number| books.jobs.get_mut(*number)) {
                entry.parked += 1;
            }
        })
        .await?;
        books.read_runs(runs)?;
        Ok(books)
    }

    /// The same where each message is to have one effect: the stream of the effects drops what has an id that it knows,
    /// and must forget it before a second effect comes.
    pub(crate) async fn with_one_effect(mut self, nats: &Connection) -> Result<Self, Box<dyn Error>> {
        let stream = nats.jetstream().get_stream(RESULTS).await?;
        self.window = Some(stream.cached_info().config.duplicate_window);
        Ok(self)
    }

    /// The job that a subject ends with.
    fn by_subject(&mut self, subject: &str) -> Option<&mut Entry> {
        let (_, job) = subject.rsplit_once('.')?;
        let (_, number) = Kind::of(job)?;
        self.jobs.get_mut(number)
    }

    /// Enters a record of a dead letter; what is none, or of no job, is `None`.
    fn record(&mut self, message: &async_nats::Message, at: u64, places: &HashMap<u64, usize>) -> Option<()> {
        let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let pairs = headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        let record = Record::read(&pairs, &message.payload).ok()?;
        let entry = self.jobs.get_mut(*places.get(&record.original?.sequence)?)?;
        entry.records += 1;
        entry.kept.get_or_insert(at);
        entry.letter = match record.act {
            Act::Discarded => Some(End::Discarded),
            Act::Handled => Some(End::Handled),
            _ => Some(End::Letter),
        };
        let trouble = record.trouble?;
        (entry.class, entry.attempts) = (trouble.class, trouble.attempts);
        Some(())
    }

    fn read_runs(&mut self, path: &Path) -> Result<(), Box<dyn Error>> {
        for line in ledger::read(path)? {
            if let What::Begins { number, attempt } = line.what
                && let Some(entry) = self.jobs.get_mut(number)
            {
                entry.runs.push((line.worker, attempt));
            }
        }
        Ok(())
    }

    pub(crate) fn sums(&self) -> Sums {
        let count = |holds: fn(&Entry) -> bool| self.jobs.iter().filter(|entry| holds(entry)).count();
        Sums {
            stored: count(|entry| entry.sequence.is_some()),
            handled: count(|entry| entry.effects > 0),
            letters: count(|entry| entry.letter == Some(End::Letter)),
            discarded: count(|entry| entry.letter == Some(End::Discarded)),
            parked: count(|entry| entry.parked > 0),
            runs: self.jobs.iter().map(|entry| entry.runs.len()).sum(),
        }
    }

    /// Every promise that is broken, each in one line that names it and the jobs.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> = self.unquiet.iter().cloned().collect();
        if self.sums().stored == 0 {
            faults.push("no message was stored: it shows nothing".to_owned());
        }
        if let Some(window) = self.window.filter(|window| *window > FORGETS) {
            faults.push(format!(
                "the stream of the effects knows an id for {window:?}: it may hide a second effect"
            ));
        }
        let absent = self.absent.iter().take(SHOWN);
        faults.extend(absent.map(|data| format!("an effect, and its data are not there: {data}")));
        let mut check = |what: &str, broken: fn(&Entry) -> bool| {
            let found = self.jobs.iter().enumerate().filter(|(_, entry)| broken(entry));
            faults.extend(named(what, found));
        };
        check("confirmed by the stream and lost by it", |entry| {
            entry.confirmed && entry.sequence.is_none()
        });
        check("neither handled nor in the dead letters nor parked", |entry| {
            entry.sequence.is_some() && entry.effects == 0 && entry.letter.is_none() && entry.parked == 0
        });
        check("parked, and handled or in the dead letters too", |entry| {
            entry.parked > 0 && (entry.effects > 0 || entry.letter.is_some())
        });
        check("parked more than once", |entry| entry.parked > 1);
        check("handled and in the dead letters too", |entry| {
            entry.effects > 0 && matches!(entry.letter, Some(End::Letter | End::Discarded))
        });
        check("more than one effect", |entry| entry.effects > 1);
        check("more than one record of its dead letter", |entry| {
            entry.records > 1
        });
        check("healthy, and in the dead letters", |entry| {
            entry.kind.end() == End::Handled && entry.letter.is_some()
        });
        check("run more often than its dead letter says", |entry| {
            let last = entry.runs.iter().map(|(_, attempt)| *attempt).max();
            entry.letter.is_some() && last > Some(entry.attempts)
        });
        check("handled, and must not be", |entry| {
            entry.kind.end() != End::Handled && entry.effects > 0
        });
        check("discarded by its rule, and an open letter", |entry| {
            entry.kind.end() == End::Discarded && entry.letter == Some(End::Letter)
        });
        check("discarded by no rule", |entry| {
            entry.kind.end() != End::Discarded && entry.letter == Some(End::Discarded)
        });
        faults
    }

    /// The fault `what`, where a job is so.
    pub(crate) fn fault(&self, what: &str, broken: impl Fn(&Entry) -> bool) -> Option<String> {
        named(
            what,
            self.jobs.iter().enumerate().filter(|(_, entry)| broken(entry)),
        )
    }
}

fn named<'a>(what: &str, found: impl Iterator<Item = (usize, &'a Entry)>) -> Option<String> {
    let found: Vec<_> = found.collect();
    let mut text = format!("{what}: {}", found.len());
    for (number, entry) in found.iter().take(SHOWN) {
        let runs: Vec<_> = entry.runs.iter().map(|(by, run)| format!("{by}#{run}")).collect();
        let (job, class) = (entry.kind.job(*number), &entry.class);
        // Writing to a string does not fail.
        let _ = write!(text, "; {job} class={class:?} runs={}", runs.join(","));
    }
    (!found.is_empty()).then_some(text)
}

/// What is read of the body of a message that posts a job.
#[derive(Deserialize)]
struct Body {
    data: JobPosted,
}

/// Every subject.
const ALL: &str = ">";

/// Where and when a stream stored a message, in microseconds since 1970.
struct Place {
    sequence: u64,
    at: u64,
}

/// Reads what a stream has on `subject`, from its first message to its last.
async fn read(
    nats: &Connection,
    stream: &str,
    subject: &str,
    mut each: impl FnMut(&async_nats::Message, Place),
) -> Result<(), Box<dyn Error>> {
    let stream = nats.jetstream().get_stream(stream).await?;
    let config = consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        filter_subject: subject.to_owned(),
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(30),
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(());
    }
    let mut messages = consumer.stream().max_messages_per_batch(1000).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let info = message.info().map_err(|error| error.to_string())?;
        let place = Place {
            sequence: info.stream_sequence,
            at: u64::try_from(info.published.unix_timestamp_nanos() / 1000)?,
        };
        let is_last = info.pending == 0;
        each(&message, place);
        if is_last {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The one check of all parts: once all is quiet, every message is handled, an open letter or discarded, and only one
//! of these.

use std::{collections::HashSet, error::Error, fmt::Write as _, path::Path, time::Duration};

use futures_util::StreamExt as _;
use tidewire::{
    Connection,
    async_nats::{
        self,
        jetstream::{
            consumer::{self, Info},
            stream::LastRawMessageErrorKind,
        },
    },
    dead_letter::{Act, Record},
    read_object, wire,
};
use tokio::time::{Instant, sleep};

use crate::{
    jobs::{CONSUMER, DURABLE, End, FORGETS, JOBS, Kind, RESULTS, SERVICE},
    load::Posted,
};

/// Between two looks at a consumer.
const LOOK: Duration = Duration::from_millis(50);
/// How many numbers a fault shows.
const SHOWN: usize = 8;

/// What is known of one job.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// The stream said that it has it.
    confirmed: bool,
    /// The stream has it.
    stored: bool,
    /// How many effects it had: different ones, for a receiver knows a copy by its id.
    effects: usize,
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
    fn posted(kind: Kind, confirmed: bool) -> Self {
        Self {
            kind,
            confirmed,
            stored: false,
            effects: 0,
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
        let jobs = posted.all().into_iter();
        let jobs = jobs.map(|(kind, confirmed)| Entry::posted(kind, confirmed));
        let mut books = Self {
            jobs: jobs.collect(),
            unquiet,
            window: None,
            absent: Vec::new(),
        };
        read(nats, JOBS, |message| {
            if let Some(entry) = books.by_subject(&message.subject) {
                entry.stored = true;
            }
        })
        .await?;
        // Each handling writes another time into its event: equal ones are one. Where the data are stored beside it, its
        // headers have the time.
        let (mut effects, mut claims) = (HashSet::new(), Vec::<String>::new());
        read(nats, RESULTS, |message| {
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
        let prefix = wire::letter_subject(SERVICE, DURABLE, "");
        read(nats, wire::DLQ_STREAM, |message| {
            if message.subject.starts_with(&prefix) {
                books.record(message);
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
    fn record(&mut self, message: &async_nats::Message) -> Option<()> {
        let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let pairs = headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        let record = Record::read(&pairs, &message.payload).ok()?;
        let subject = record.original?.subject;
        let entry = self.by_subject(&subject)?;
        entry.records += 1;
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
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let [worker, number, attempt] = words[..] else {
                return Err(format!("no run: {line:?}").into());
            };
            if let Some(entry) = self.jobs.get_mut(number.parse::<usize>()?) {
                entry.runs.push((worker.to_owned(), attempt.parse()?));
            }
        }
        Ok(())
    }

    pub(crate) fn sums(&self) -> Sums {
        let count = |holds: fn(&Entry) -> bool| self.jobs.iter().filter(|entry| holds(entry)).count();
        Sums {
            stored: count(|entry| entry.stored),
            handled: count(|entry| entry.effects > 0),
            letters: count(|entry| entry.letter == Some(End::Letter)),
            discarded: count(|entry| entry.letter == Some(End::Discarded)),
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
            entry.confirmed && !entry.stored
        });
        check("neither handled nor in the dead letters", |entry| {
            entry.stored && entry.effects == 0 && entry.letter.is_none()
        });
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

/// Waits until nothing is pending and nothing unacknowledged, for as long as what is left becomes less within that time.
pub(crate) async fn quiet(nats: &Connection, within: Duration) -> Result<(), String> {
    let (mut least, mut deadline) = (u64::MAX, Instant::now() + within);
    loop {
        let info = match nats.jetstream().get_stream_no_info(JOBS).await {
            Ok(stream) => stream
                .consumer_info(CONSUMER)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let state = match info {
            Ok(info)
                if info.num_pending == 0
                    && info.num_ack_pending == 0
                    && info.delivered.stream_sequence >= last_job(nats, &info).await =>
            {
                return Ok(());
            }
            Ok(info) => {
                let (pending, unacknowledged) = (info.num_pending, info.num_ack_pending);
                let left = pending + u64::try_from(unacknowledged).unwrap_or(u64::MAX);
                if left < least {
                    (least, deadline) = (left, Instant::now() + within);
                }
                format!("{pending} pending, {unacknowledged} unacknowledged")
            }
            // A cluster may be electing.
            Err(error) => error,
        };
        if Instant::now() > deadline {
            return Err(format!(
                "not quiet, and nothing has moved for {within:?}: {state}"
            ));
        }
        sleep(LOOK).await;
    }
}

/// The sequence of the last message that the consumer's filter matches: a message is confirmed to its publisher a moment
/// before the consumer counts it. Out of reach where it cannot be read.
async fn last_job(nats: &Connection, info: &Info) -> u64 {
    let mut last = 0;
    let config = &info.config;
    let filters = config.filter_subjects.iter().chain([&config.filter_subject]);
    for filter in filters.filter(|filter| !filter.is_empty()) {
        let Ok(stream) = nats.jetstream().get_stream_no_info(JOBS).await else {
            return u64::MAX;
        };
        last = match stream.get_last_raw_message_by_subject(filter).await {
            Ok(message) => last.max(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => last,
            Err(_) => return u64::MAX,
        };
    }
    last
}

/// Reads a stream from its first message to its last.
async fn read(
    nats: &Connection,
    stream: &str,
    mut each: impl FnMut(&async_nats::Message),
) -> Result<(), Box<dyn Error>> {
    let stream = nats.jetstream().get_stream(stream).await?;
    let state = &stream.cached_info().state;
    if state.messages == 0 {
        return Ok(());
    }
    let last = state.last_sequence;
    let config = consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(30),
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.stream().max_messages_per_batch(1000).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let sequence = message.info().map_err(|error| error.to_string())?.stream_sequence;
        each(&message);
        if sequence >= last {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

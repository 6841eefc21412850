//! The one check of all parts: once all is quiet, every sequence of the stream, and every job, is handled, an open letter,
//! parked or discarded, and only one of these.

mod places;
mod read;

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt::Write as _,
    time::Duration,
};

use serde::Deserialize;
use tidewire::{
    Connection, async_nats,
    dead_letter::{Act, Record},
    read_object, wire,
};

use crate::{
    jobs::{DURABLE, End, FORGETS, JobPosted, Kind, RESULTS, SERVICE, Source, Way},
    ledger::{Line, What},
    load::Posted,
};
use places::{Letter, Places};
use read::{filters_of, read};

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
    /// A handler came to a good end with it, by the ledger.
    handled: bool,
    /// How many effects it had: different ones, for a receiver knows a copy by its id.
    effects: usize,
    /// How often it is parked.
    parked: usize,
    /// When its first record was stored, in microseconds since 1970.
    pub(crate) kept: Option<u64>,
    /// What its last record says; how many of them say that it failed, and how many that it is replayed; and the class of
    /// its failure.
    pub(crate) letter: Option<Letter>,
    pub(crate) failed: u32,
    replayed: u32,
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
            handled: false,
            effects: 0,
            parked: 0,
            kept: None,
            letter: None,
            failed: 0,
            replayed: 0,
            class: String::new(),
            attempts: 0,
            runs: Vec::new(),
        }
    }

    /// Its letter is open, or discarded.
    fn is_kept(&self) -> bool {
        matches!(self.letter, Some(Letter::Open | Letter::Discarded))
    }

    /// Its letter was replayed, and that is its one effect.
    pub(crate) fn is_repaired(&self) -> bool {
        self.letter == Some(Letter::Handled) && self.effects == 1
    }
}

/// All jobs of a world, by their numbers.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) jobs: Vec<Entry>,
    /// The same by the sequences of each stream.
    places: Vec<Places>,
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
    /// Books of these jobs, with nothing beside them.
    pub(crate) fn of(jobs: Vec<Entry>) -> Self {
        Self {
            jobs,
            places: Vec::new(),
            unquiet: None,
            window: None,
            absent: Vec::new(),
        }
    }

    /// The same, and why it never was quiet.
    pub(crate) fn unless_quiet(self, unquiet: Option<String>) -> Self {
        Self { unquiet, ..self }
    }

    /// Reads the streams as they are, and the ledger of the workers.
    pub(crate) async fn read(
        nats: &Connection,
        way: Way,
        posted: &Posted,
        ledger: &[Line],
    ) -> Result<Self, Box<dyn Error>> {
        let jobs = posted.all().into_iter();
        let jobs = jobs.map(|(kind, confirmed)| Entry::posted(kind, confirmed));
        let mut books = Self::of(jobs.collect());
        let mut numbers = HashMap::new();
        for source in way.sources() {
            let mut places = Places::of(*source);
            let filters = filters_of(nats, *source).await?;
            read(nats, source.stream(), filters, |message, stored| {
                places.at(stored.sequence).stored = true;
                if *source == Source::Jobs
                    && let Ok(body) = serde_json::from_slice::<Body>(&message.payload)
                    && let Some((_, number)) = Kind::of(&body.data.job)
                    && let Some(entry) = books.jobs.get_mut(number)
                {
                    entry.sequence.get_or_insert(stored.sequence);
                    numbers.insert(stored.sequence, number);
                }
            })
            .await?;
            books.places.push(places);
        }
        books.read_effects(nats).await?;
        // What a letter's first record says of its place holds for the later ones.
        let mut originals = HashMap::new();
        let letters = wire::letter_subject(SERVICE, "*", "*");
        read(nats, wire::DLQ_STREAM, vec![letters], |message, stored| {
            books.record(message, stored.at, &mut originals, &numbers);
        })
        .await?;
        let park = wire::park_subject(SERVICE, DURABLE, "*");
        read(nats, &wire::service_stream(SERVICE), vec![park], |message, _| {
            let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str());
            let sequence = header(wire::TW_SEQUENCE).and_then(|sequence| sequence.parse().ok());
            let source = header(wire::TW_STREAM).and_then(Source::of);
            if let (Some(source), Some(sequence)) = (source, sequence)
                && let Some(places) = books.places_of(source)
            {
                places.at(sequence).parked += 1;
                if source == Source::Jobs
                    && let Some(entry) = numbers.get(&sequence).and_then(|job| books.jobs.get_mut(*job))
                {
                    entry.parked += 1;
                }
            }
        })
        .await?;
        books.read_ledger(ledger);
        Ok(books)
    }

    /// Each handling writes another time into its event: equal ones are one. Where the data are stored beside it, its
    /// headers have the time.
    async fn read_effects(&mut self, nats: &Connection) -> Result<(), Box<dyn Error>> {
        let (mut effects, mut claims) = (HashSet::new(), Vec::<String>::new());
        read(nats, RESULTS, vec![ALL.to_owned()], |message, _| {
            let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str().to_owned());
            claims.extend(header(wire::DATAREF));
            let is_new = effects.insert((message.payload.clone(), header("ce-id"), header("ce-time")));
            if let Some(entry) = self.by_subject(&message.subject) {
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
                self.absent.push(claim);
            }
        }
        Ok(())
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

    fn places_of(&mut self, source: Source) -> Option<&mut Places> {
        self.places.iter_mut().find(|places| places.source == source)
    }

    /// Enters a record of a dead letter; what is none, or of no stream of ours, is `None`.
    fn record(
        &mut self,
        message: &async_nats::Message,
        at: u64,
        originals: &mut HashMap<String, (Source, u64)>,
        numbers: &HashMap<u64, usize>,
    ) -> Option<()> {
        let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let pairs = headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        let record = Record::read(&pairs, &message.payload).ok()?;
        if let Some(original) = &record.original {
            let place = (Source::of(&original.stream)?, original.sequence);
            originals.entry(message.subject.to_string()).or_insert(place);
        }
        let (source, sequence) = *originals.get(message.subject.as_str())?;
        let letter = match record.act {
            Act::Discarded => Letter::Discarded,
            Act::Handled => Letter::Handled,
            _ => Letter::Open,
        };
        self.places_of(source)?.at(sequence).letter = Some(letter);
        if source != Source::Jobs {
            return Some(());
        }
        let entry = self.jobs.get_mut(*numbers.get(&sequence)?)?;
        entry.failed += u32::from(matches!(record.act, Act::Failed | Act::Discarded));
        entry.replayed += u32::from(record.act == Act::Replayed);
        entry.kept.get_or_insert(at);
        entry.letter = Some(letter);
        let trouble = record.trouble?;
        (entry.class, entry.attempts) = (trouble.class, trouble.attempts);
        Some(())
    }

    fn read_ledger(&mut self, ledger: &[Line]) {
        for line in ledger {
            match line.what {
                What::Begins { number, attempt } => {
                    if let Some(entry) = self.jobs.get_mut(number) {
                        entry.runs.push((line.worker.clone(), attempt));
                    }
                }
                What::Ends {
                    number,
                    source,
                    sequence,
                    well: true,
                } => {
                    if let Some(places) = self.places_of(source) {
                        places.at(sequence).handled = true;
                    }
                    if let Some(entry) = self.jobs.get_mut(number).filter(|_| source == Source::Jobs) {
                        entry.handled = true;
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        let count = |holds: fn(&Entry) -> bool| self.jobs.iter().filter(|entry| holds(entry)).count();
        Sums {
            stored: count(|entry| entry.sequence.is_some()),
            handled: count(|entry| entry.effects > 0),
            letters: count(|entry| entry.letter == Some(Letter::Open)),
            discarded: count(|entry| entry.letter == Some(Letter::Discarded)),
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
        faults.extend(self.places.iter().flat_map(Places::faults));
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
            entry.effects > 0 && entry.is_kept()
        });
        check("more than one effect", |entry| entry.effects > 1);
        check("handled by the ledger, and without an effect", |entry| {
            entry.handled && entry.effects == 0
        });
        check("an effect, and not handled by the ledger", |entry| {
            entry.effects > 0 && !entry.handled
        });
        check("more records of a failure than it was tried for", |entry| {
            entry.failed > 1 + entry.replayed
        });
        check("healthy, and in the dead letters", |entry| {
            entry.kind.end() == End::Handled && entry.kind != Kind::Mend && entry.letter.is_some()
        });
        check("run more often than its dead letter says", |entry| {
            let last = entry.runs.iter().map(|(_, attempt)| *attempt).max();
            entry.is_kept() && last > Some(entry.attempts)
        });
        check("handled, and must not be", |entry| {
            entry.kind.end() != End::Handled && entry.effects > 0
        });
        check("discarded by its rule, and an open letter", |entry| {
            entry.kind.end() == End::Discarded && entry.letter == Some(Letter::Open)
        });
        check("discarded by no rule", |entry| {
            entry.kind.end() != End::Discarded && entry.letter == Some(Letter::Discarded)
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

#[cfg(test)]
mod tests;

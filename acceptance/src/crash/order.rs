//! The audit of order: what the ledger of the workers says of the jobs of each key, against their order in the stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    books::{Books, Entry},
    jobs::{KEYS, key_of},
    ledger::{Line, What},
};

/// What was done so long before an instance was killed is not done again, in microseconds: 1.25 seconds are promised. The
/// instance renews its lease every quarter of a second, and nothing begins under a lease that is older than one.
const REPEATED: u64 = 1_250_000;
/// How many jobs a fault shows.
const SHOWN: usize = 8;

const NOT_ACTIVE: &str = "begun by a worker that was not the active one";
const BESIDE: &str = "begun while another one of its key was run";
const BACK: &str = "begun after a later one of its key, in one term";
const EARLY: &str = "begun before an earlier one of its key was handled or in the dead letters";
const AGAIN: &str = "run again, long after it was done or after an ordinary stop";
const LAST: &str = "its last run that ended well is behind that of a later one of its key";
const UNKNOWN: &str = "run, and not in the stream";

/// Every promise about order that is broken, each in one line that names it and the jobs.
pub(crate) fn faults(lines: &[Line], books: &Books) -> Vec<String> {
    let mut audit = Audit::begin(&books.jobs);
    for (position, line) in lines.iter().enumerate() {
        audit.hear(position, line);
    }
    audit.end();
    let found = audit.faults.iter().map(|(what, jobs)| {
        let mut text = format!("{what}: {}", jobs.len());
        for job in jobs.iter().take(SHOWN) {
            // Writing to a string does not fail.
            let _ = write!(text, "; {job}");
        }
        text
    });
    found.collect()
}

struct Audit<'a> {
    jobs: &'a [Entry],
    keys: Vec<Key>,
    /// Where each job was done, by its number.
    done: BTreeMap<usize, Done>,
    terms: Vec<Term>,
    /// Who is the active one.
    active: Option<&'a str>,
    /// What a worker ran when it was made to stand still: it may end beside the next one's run, and settles nothing.
    late: BTreeSet<(&'a str, usize)>,
    /// The keys of which a worker has run something since it goes on and is not the active one: of each it may have been
    /// just about to begin one job.
    thawed: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Who is about to be made to stand still: another one may lead before it is known that it does.
    freezing: Option<&'a str>,
    faults: BTreeMap<&'static str, Vec<String>>,
}

/// The jobs of one key.
#[derive(Default)]
struct Key {
    /// In the order of the stream.
    turns: Vec<usize>,
    /// How many of them are handled or letters, from the first one on.
    over: usize,
    /// What is run of it, and by whom.
    open: Vec<(String, usize)>,
    /// The last one that was begun in this term.
    reached: Option<usize>,
}

/// The time in which one worker is the active one.
#[derive(Default)]
struct Term {
    worker: String,
    /// When the last job was begun.
    last: u64,
    /// The worker was asked to end.
    stopped: bool,
}

/// The last run of a job that ended well.
struct Done {
    /// Which line says so.
    position: usize,
    term: usize,
    /// When a later one of its key was begun in that term: by then its stream had been told.
    told: Option<u64>,
}

impl<'a> Audit<'a> {
    fn begin(jobs: &'a [Entry]) -> Self {
        let mut keys: Vec<_> = (0..KEYS).map(|_| Key::default()).collect();
        let mut stored: Vec<_> = (0..jobs.len())
            .filter(|job| jobs[*job].sequence.is_some())
            .collect();
        stored.sort_by_key(|job| jobs[*job].sequence);
        for number in stored {
            keys[number % KEYS].turns.push(number);
        }
        Self {
            jobs,
            keys,
            done: BTreeMap::new(),
            terms: vec![Term::default()],
            active: None,
            late: BTreeSet::new(),
            thawed: BTreeMap::new(),
            freezing: None,
            faults: BTreeMap::new(),
        }
    }

    fn hear(&mut self, position: usize, line: &'a Line) {
        match line.what {
            What::Begins { number, .. } if self.was_about_to(number, &line.worker) => {
                self.late.insert((&line.worker, number));
            }
            What::Begins { number, .. } => self.begins(number, line),
            What::Ends { number, .. } if self.late.remove(&(line.worker.as_str(), number)) => {}
            What::Ends { number, well, .. } => {
                let worker = &line.worker;
                let open = &mut self.keys[number % KEYS].open;
                open.retain(|(by, job)| (by, *job) != (worker, number));
                let term = self.terms.iter().rposition(|term| term.worker == *worker);
                if let Some(term) = term.filter(|_| well) {
                    let told = None;
                    self.done.insert(number, Done { position, term, told });
                }
            }
            What::Leads => {
                if let Some(frozen) = self.freezing.filter(|frozen| *frozen != line.worker) {
                    self.freezes(frozen);
                }
                self.active = Some(&line.worker);
                self.thawed.remove(line.worker.as_str());
                let worker = line.worker.clone();
                self.terms.push(Term {
                    worker,
                    ..Term::default()
                });
                self.keys.iter_mut().for_each(|key| key.reached = None);
            }
            What::Freezing => self.freezing = Some(&line.worker),
            What::Freezes => {
                self.freezing = None;
                self.freezes(&line.worker);
            }
            What::Thaws => {
                self.thawed.insert(&line.worker, BTreeSet::new());
            }
            What::Dies => {
                for key in &mut self.keys {
                    key.open.retain(|(by, _)| *by != line.worker);
                }
            }
            What::Stops => {
                let own = self.terms.iter_mut().filter(|term| term.worker == line.worker);
                own.for_each(|term| term.stopped = true);
            }
        }
    }

    /// What a worker runs that stands still is late.
    fn freezes(&mut self, worker: &'a str) {
        for key in &mut self.keys {
            let (late, open): (Vec<_>, _) = key.open.drain(..).partition(|(by, _)| by == worker);
            key.open = open;
            self.late.extend(late.into_iter().map(|(_, job)| (worker, job)));
        }
    }

    /// Whether a worker that stood still, and was overtaken, had this run before it: one of each key at most.
    fn was_about_to(&mut self, number: usize, worker: &str) -> bool {
        let is_active = self.active == Some(worker);
        let begun = self.thawed.get_mut(worker).filter(|_| !is_active);
        begun.is_some_and(|begun| begun.insert(number % KEYS))
    }

    fn begins(&mut self, number: usize, line: &Line) {
        let place = |number: usize| self.jobs.get(number).and_then(|entry| entry.sequence);
        let Some(sequence) = place(number) else {
            return self.fault(UNKNOWN, number, line);
        };
        let key = &mut self.keys[number % KEYS];
        let mut faults = Vec::new();
        if self.active != Some(&line.worker) {
            faults.push(NOT_ACTIVE);
        }
        if !key.open.is_empty() {
            faults.push(BESIDE);
        }
        if key.reached.and_then(place) > Some(sequence) {
            faults.push(BACK);
        }
        let is_over = |number: &usize| {
            let kept = self.jobs[*number].kept;
            self.done.contains_key(number) || kept.is_some_and(|kept| kept <= line.at)
        };
        while key.turns.get(key.over).is_some_and(is_over) {
            key.over += 1;
        }
        if key.turns.get(key.over).and_then(|next| place(*next)) < Some(sequence)
            && key.turns.get(key.over).is_some()
        {
            faults.push(EARLY);
        }
        let this_term = self.terms.len() - 1;
        if let Some(done) = self.done.get(&number).filter(|done| done.term != this_term) {
            let term = &self.terms[done.term];
            let is_told = done.told.is_some_and(|told| told + REPEATED < term.last);
            if is_told || term.stopped {
                faults.push(AGAIN);
            }
        }
        if let Some(before) = key.reached.filter(|before| place(*before) < Some(sequence))
            && let Some(done) = self.done.get_mut(&before)
            && done.term == this_term
        {
            done.told.get_or_insert(line.at);
        }
        key.reached = Some(number);
        key.open.push((line.worker.clone(), number));
        self.terms[this_term].last = line.at;
        for what in faults {
            self.fault(what, number, line);
        }
    }

    /// The last runs that ended well are in the order of the stream.
    fn end(&mut self) {
        let mut late = Vec::new();
        for key in &self.keys {
            let mut first_behind = usize::MAX;
            for number in key.turns.iter().rev() {
                if let Some(done) = self.done.get(number) {
                    if done.position > first_behind {
                        late.push(*number);
                    }
                    first_behind = first_behind.min(done.position);
                }
            }
        }
        for number in late {
            let job = self.jobs[number].kind.job(number);
            self.faults.entry(LAST).or_default().push(job);
        }
    }

    fn fault(&mut self, what: &'static str, number: usize, line: &Line) {
        let kind = self.jobs.get(number).map(|entry| entry.kind.job(number));
        let (job, key, by) = (kind.unwrap_or_default(), key_of(number), &line.worker);
        let found = self.faults.entry(what).or_default();
        found.push(format!("{job} of {key} by {by} at {}", line.at));
    }
}

#[cfg(test)]
mod tests;

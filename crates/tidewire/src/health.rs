//! What keeps a running service from doing its work, and what only makes it slower.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How a service stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    state: Arc<Mutex<State>>,
    /// How many causes there are: nobody takes the lock to say that all is still well.
    ailing: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// By name; empty where all is well.
    causes: BTreeMap<String, Cause>,
    /// By name: what an operator or a breaker holds back.
    degraded: BTreeMap<String, String>,
    /// What nothing but a restart mends.
    fatal: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Running,
    Stopping,
}

#[derive(Debug)]
struct Cause {
    what: String,
    /// From then on it is forgotten, where nothing else would say that it is well.
    until: Option<Instant>,
}

/// Names, each with what it means and what to do.
pub(crate) type Causes = BTreeMap<String, String>;

/// All that is known at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Why the service does not do its work, its start and its end included.
    pub(crate) causes: Causes,
    /// What is held back.
    pub(crate) degraded: Causes,
    /// What nothing but a restart mends.
    pub(crate) fatal: Causes,
}

impl Health {
    /// Something is wrong; an error is logged when it begins.
    pub(crate) fn ails(&self, cause: &str, what: impl Into<String>) {
        self.fails(cause, &what.into(), None);
    }

    /// Something is wrong that is not looked at again: without a new word it is forgotten after `lasting`.
    pub(crate) fn ails_for(&self, lasting: Duration, cause: &str, what: impl Into<String>) {
        self.fails(cause, &what.into(), Some(Instant::now() + lasting));
    }

    /// What a start waits for is not there yet.
    pub(crate) fn awaits(&self, cause: &str, what: &str) {
        if self.begins(cause, what, None) {
            tracing::info!(cause, "waiting: {what}");
        }
    }

    fn fails(&self, cause: &str, what: &str, until: Option<Instant>) {
        if self.begins(cause, what, until) {
            tracing::error!(cause, "{what}");
        }
    }

    /// Whether the cause was not there before.
    fn begins(&self, cause: &str, what: &str, until: Option<Instant>) -> bool {
        let now = Cause {
            what: what.to_owned(),
            until,
        };
        let before = self.change(|state| state.causes.insert(cause.to_owned(), now));
        before.is_none_or(|before| before.is_over())
    }

    /// It is well again.
    pub(crate) fn recovers(&self, cause: &str) {
        if self.is_well() {
            return;
        }
        if self.change(|state| state.causes.remove(cause)).is_some() {
            tracing::info!(cause, "well again");
        }
    }

    /// Whether nothing is known to be wrong: without a lock.
    pub(crate) fn is_well(&self) -> bool {
        self.ailing.load(Ordering::Acquire) == 0
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = change(&mut state);
        self.ailing.store(state.causes.len(), Ordering::Release);
        done
    }

    /// Something is held back; who did so has logged it.
    pub(crate) fn degrades(&self, what: &str, why: impl Into<String>) {
        self.lock().degraded.insert(what.to_owned(), why.into());
    }

    /// It is held back no more.
    pub(crate) fn goes_on(&self, what: &str) {
        self.lock().degraded.remove(what);
    }

    /// Something has ended for good without which the service is of no use.
    pub(crate) fn dies(&self, cause: &str, what: impl Into<String>) {
        let what = what.into();
        self.lock().fatal.insert(cause.to_owned(), what.clone());
        self.ails(cause, what);
    }

    /// The service has started.
    pub(crate) fn starts(&self) {
        self.lock().phase = Phase::Running;
    }

    /// The service takes no more work.
    pub(crate) fn stops(&self) {
        self.lock().phase = Phase::Stopping;
    }

    /// What keeps the service from its work.
    pub(crate) fn causes(&self) -> Causes {
        self.lock().causes()
    }

    /// What is held back.
    pub(crate) fn degraded(&self) -> Causes {
        self.lock().degraded.clone()
    }

    pub(crate) fn report(&self) -> Report {
        let state = self.lock();
        let mut causes = state.causes();
        match state.phase {
            Phase::Starting => {
                let text =
                    "the service has not started yet; what it waits for is another cause or in its log";
                causes.insert("starting".into(), text.into());
            }
            Phase::Stopping => {
                let text = "the service takes no more work, and finishes what has begun";
                causes.insert("stopping".into(), text.into());
            }
            Phase::Running => {}
        }
        Report {
            causes,
            degraded: state.degraded.clone(),
            fatal: state.fatal.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn causes(&self) -> Causes {
        let current = self.causes.iter().filter(|(_, cause)| !cause.is_over());
        current
            .map(|(name, cause)| (name.clone(), cause.what.clone()))
            .collect()
    }
}

impl Cause {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_nobody_looks_at_again_is_forgotten() {
        let health = Health::default();
        health.starts();
        health.ails_for(Duration::from_secs(60), "permission-a.b.c", "may not");
        assert_eq!(health.causes().len(), 1);
        health.ails_for(Duration::ZERO, "permission-a.b.c", "may not");
        assert!(health.causes().is_empty() && health.report().causes.is_empty());
    }

    #[test]
    fn what_is_held_back_and_what_ends_are_told_apart() {
        let health = Health::default();
        assert!(health.report().causes.contains_key("starting"));
        health.starts();
        health.degrades("breaker-gateway", "open");
        let report = health.report();
        assert!(report.causes.is_empty() && report.degraded.contains_key("breaker-gateway"));
        health.goes_on("breaker-gateway");
        health.stops();
        let report = health.report();
        assert!(report.degraded.is_empty() && report.fatal.is_empty());
        assert!(report.causes.contains_key("stopping"));
        health.dies("connection", "drained");
        assert!(health.report().fatal.contains_key("connection"));
    }
}

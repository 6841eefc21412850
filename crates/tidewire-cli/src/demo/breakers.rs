//! The circuit breakers of the payments processes: each says on its standard output when it opens and closes.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    rc::Rc,
    time::{Duration, Instant},
};

use tidewire::{Breaker, CircuitState};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::ChildStdout,
    sync::mpsc,
    time::sleep,
};

const OPEN: &str = "breaker open";
const CLOSED: &str = "breaker closed";
/// How long a change may go unsaid.
const PAUSE: Duration = Duration::from_millis(20);

/// In the process: says where its breaker stands, whenever that is another place. A breaker can be asked and does not
/// tell, so it is asked often.
pub(super) async fn say_of(breaker: &Breaker) {
    let mut said = false;
    loop {
        let open = breaker.state() != CircuitState::Closed;
        if open != said {
            said = open;
            let word = if open { OPEN } else { CLOSED };
            // Where nobody listens any more, the demo is gone, and this process ends with it.
            let _ = writeln!(std::io::stdout(), "{word}");
        }
        sleep(PAUSE).await;
    }
}

/// In the demo: a breaker of a process has opened or closed.
#[derive(Debug)]
pub(super) struct News {
    pub(super) process: String,
    pub(super) open: bool,
    /// The process has ended, and has no breaker any more.
    gone: bool,
    at: Instant,
}

/// Reads what a process says until it ends.
pub(super) fn listen(process: String, stdout: ChildStdout, news: mpsc::UnboundedSender<News>) {
    tokio::spawn(async move {
        let tell = |open, gone| {
            let told = News {
                process: process.clone(),
                open,
                gone,
                at: Instant::now(),
            };
            // Nobody takes it where the demo is ending.
            let _ = news.send(told);
        };
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match line.as_str() {
                OPEN => tell(true, false),
                CLOSED => tell(false, false),
                _ => {}
            }
        }
        tell(false, true);
    });
}

/// All of them, as they said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Breakers(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Of those that were ever open.
    times: BTreeMap<String, Times>,
    /// The processes that run and have one.
    running: BTreeSet<String>,
}

/// How long one was open.
#[derive(Debug, Default)]
struct Times {
    since: Option<Instant>,
    before: Duration,
}

impl Breakers {
    /// Those of these processes.
    pub(super) fn of(processes: impl Iterator<Item = String>) -> Self {
        Self(Rc::new(RefCell::new(Known {
            times: BTreeMap::new(),
            running: processes.collect(),
        })))
    }

    /// Notes it; gives how long the breaker was open where this closed it, and `None` where it changes nothing.
    pub(super) fn note(&self, news: &News) -> Option<Duration> {
        let mut known = self.0.borrow_mut();
        if news.gone {
            known.running.remove(&news.process);
        }
        if news.open {
            let times = known.times.entry(news.process.clone()).or_default();
            times.since.get_or_insert(news.at);
            return Some(Duration::ZERO);
        }
        let times = known.times.get_mut(&news.process)?;
        let open = news.at - times.since.take()?;
        times.before += open;
        Some(open)
    }

    /// Those that are open.
    pub(super) fn open(&self) -> usize {
        self.0
            .borrow()
            .times
            .values()
            .filter(|times| times.since.is_some())
            .count()
    }

    /// Whether those of all processes are that run.
    pub(super) fn are_all_open(&self) -> bool {
        let known = self.0.borrow();
        let is_open = |process: &String| {
            known
                .times
                .get(process)
                .is_some_and(|times| times.since.is_some())
        };
        known.running.iter().all(is_open)
    }

    /// How long each was open, by process; those that never were are not there.
    pub(super) fn totals(&self) -> Vec<(String, Duration)> {
        let known = self.0.borrow();
        known
            .times
            .iter()
            .map(|(process, times)| {
                let now = times.since.map_or(Duration::ZERO, |since| since.elapsed());
                (process.clone(), times.before + now)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_in_which_it_was_open_are_added_up() {
        let (breakers, began) = (Breakers::default(), Instant::now());
        let say = |open, seconds| {
            breakers.note(&News {
                process: "payments-1".into(),
                open,
                gone: false,
                at: began + Duration::from_secs(seconds),
            })
        };
        assert_eq!(say(false, 0), None, "a process that ends with its breaker closed");
        say(true, 1);
        assert_eq!(breakers.open(), 1);
        assert_eq!(say(false, 3), Some(Duration::from_secs(2)));
        say(true, 10);
        assert_eq!(say(false, 15), Some(Duration::from_secs(5)));
        assert_eq!(breakers.open(), 0);
        assert_eq!(
            breakers.totals(),
            [("payments-1".to_owned(), Duration::from_secs(7))]
        );
    }

    #[test]
    fn all_are_open_when_those_of_the_processes_that_run_are() {
        let names = ["payments-1", "payments-2"];
        let breakers = Breakers::of(names.into_iter().map(str::to_owned));
        let say = |process: &str, open, gone| {
            breakers.note(&News {
                process: process.into(),
                open,
                gone,
                at: Instant::now(),
            });
            breakers.are_all_open()
        };
        assert!(!breakers.are_all_open());
        assert!(!say("payments-1", true, false));
        assert!(say("payments-2", true, false));
        assert!(!say("payments-1", false, false));
        assert!(say("payments-1", false, true), "the one that is left is open");
    }
}

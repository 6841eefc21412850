//! The circuit breakers of the payments processes: each says on its standard output when it opens and closes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::Write as _,
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
    at: Instant,
}

/// Reads what a process says until it ends.
pub(super) fn listen(process: String, stdout: ChildStdout, news: mpsc::UnboundedSender<News>) {
    tokio::spawn(async move {
        let tell = |open| {
            let at = Instant::now();
            let process = process.clone();
            // Nobody takes it where the demo is ending.
            let _ = news.send(News { process, open, at });
        };
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match line.as_str() {
                OPEN => tell(true),
                CLOSED => tell(false),
                _ => {}
            }
        }
        tell(false); // a process that is gone has no breaker
    });
}

/// All of them, as they said last.
#[derive(Debug, Default)]
pub(super) struct Breakers(RefCell<BTreeMap<String, Times>>);

/// How long one was open.
#[derive(Debug, Default)]
struct Times {
    since: Option<Instant>,
    before: Duration,
}

impl Breakers {
    /// Notes it; gives how long the breaker was open where this closed it, and `None` where it changes nothing.
    pub(super) fn note(&self, news: &News) -> Option<Duration> {
        let mut known = self.0.borrow_mut();
        if news.open {
            let times = known.entry(news.process.clone()).or_default();
            times.since.get_or_insert(news.at);
            return Some(Duration::ZERO);
        }
        let times = known.get_mut(&news.process)?;
        let open = news.at - times.since.take()?;
        times.before += open;
        Some(open)
    }

    /// Those that are open.
    pub(super) fn open(&self) -> usize {
        self.0
            .borrow()
            .values()
            .filter(|times| times.since.is_some())
            .count()
    }

    /// How long each was open, by process; those that never were are not there.
    pub(super) fn totals(&self) -> Vec<(String, Duration)> {
        let known = self.0.borrow();
        known
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
}

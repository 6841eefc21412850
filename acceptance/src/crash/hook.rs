//! Death at a step: the framework tells each step of a message as a `tracing` event, and here one of them kills.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::ledger::{Ledger, What};

const WALK: &str = "tidewire::walk";
/// Tells who is the active instance of a durable that is ordered by key.
const ORDERED: &str = "tidewire::consumer::ordered";
const LEADS: &str = "this instance is the active one";

/// The `count`th time that any message takes `step`, counted from 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) step: String,
    pub(crate) count: u64,
}

/// Writes warnings to standard error, notes when its process is the active one, and sends SIGKILL to its own process when
/// the step is taken.
#[derive(Debug)]
pub(crate) struct Hook {
    death: Option<Death>,
    taken: AtomicU64,
    /// The worker's name, and where it writes down what it does.
    ledger: Option<(String, Ledger)>,
}

impl Hook {
    pub(crate) fn new(death: Option<Death>, ledger: Option<(String, Ledger)>) -> Self {
        Self {
            death,
            ledger,
            taken: AtomicU64::new(0),
        }
    }

    fn step(&self, step: &str) {
        let Some(death) = self.death.as_ref().filter(|death| death.step == step) else {
            return;
        };
        if self.taken.fetch_add(1, Ordering::SeqCst) + 1 == death.count {
            // Its own process may always be killed, and nothing runs after it.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// The fields of an event as one line, the message first.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl Subscriber for Hook {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_of_order = metadata.target().starts_with(ORDERED) && *metadata.level() <= Level::INFO;
        metadata.target() == WALK || is_of_order || *metadata.level() <= Level::WARN
    }

    #[expect(clippy::print_stderr, reason = "it is the log of a worker")]
    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if event.metadata().target() == WALK {
            self.step(&line.0);
        } else {
            if line.0.starts_with(LEADS)
                && let Some((worker, ledger)) = &self.ledger
                && let Err(error) = ledger.note(worker, What::Leads)
            {
                eprintln!("ERROR the ledger cannot be written: {error}");
            }
            eprintln!("{} {}", event.metadata().level(), line.0);
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

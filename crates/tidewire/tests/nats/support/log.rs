//! What the whole process logs: a test looks for subjects of its own.

use std::{
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, OnceLock},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// From now on all lines are kept, each after its level.
pub(crate) fn begin() {
    drop(kept());
}

/// All lines so far.
pub(crate) fn lines() -> Vec<String> {
    kept().clone()
}

/// Those whose subject begins so.
pub(crate) fn lines_of(subject: &str) -> Vec<String> {
    let subject = format!("subject=\"{subject}");
    let lines = kept();
    lines
        .iter()
        .filter(|line| line.contains(&subject))
        .cloned()
        .collect()
}

fn kept() -> MutexGuard<'static, Vec<String>> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Lines).unwrap());
    LINES.lock().unwrap()
}

struct Lines;

impl Subscriber for Lines {
    /// The steps of a walk have no fields, and are as many as all messages of all tests have.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tidewire") && metadata.target() != "tidewire::walk"
    }

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        kept().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

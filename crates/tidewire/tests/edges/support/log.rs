//! What was logged on a test's own thread, where its connection and its tasks run.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

use super::within;

thread_local! {
    static LISTENING: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The lines so far, each with its target in front.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

/// Ends the listening.
pub(crate) struct Listening;

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.take();
    }
}

impl Log {
    /// Listens, at every level, until the guard is dropped.
    pub(crate) fn listen() -> (Self, Listening) {
        // One subscriber for all threads: tracing asks a subscriber of one thread for the interest of all.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(ToThread).unwrap());
        let log = Self::default();
        LISTENING.set(Some(log.clone()));
        (log, Listening)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first of our own lines with this in it.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        let lines = self.lines();
        lines
            .into_iter()
            .find(|line| line.starts_with("tidewire") && line.contains(text))
    }

    /// How many of our own lines have this in them.
    pub(crate) fn count(&self, text: &str) -> usize {
        let ours = |line: &&String| line.starts_with("tidewire") && line.contains(text);
        self.lines().iter().filter(ours).count()
    }

    pub(crate) async fn says(&self, limit: Duration, text: &str) {
        within(limit, &format!("the log says {text}"), async || {
            self.find(text).is_some()
        })
        .await;
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

fn keep(text: Text) {
    LISTENING.with_borrow(|log| {
        if let Some(log) = log {
            log.0.lock().unwrap().push(text.0);
        }
    });
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

struct ToThread;

impl Subscriber for ToThread {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        LISTENING.with_borrow(Option::is_some)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().target().to_owned());
        event.record(&mut text);
        keep(text);
    }

    /// What a span knows is on lines of its own, which are not counted among those of ours.
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let span = attributes.metadata();
        let mut text = Text(format!("span {} {}", span.target(), span.name()));
        attributes.record(&mut text);
        keep(text);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut text = Text("span".to_owned());
        values.record(&mut text);
        keep(text);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

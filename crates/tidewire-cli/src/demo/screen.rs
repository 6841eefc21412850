//! What the demo prints: lines, on a terminal with colours.

use std::{
    cell::Cell,
    env,
    fmt::Display,
    io::{IsTerminal as _, Stdout, Write as _},
    time::Duration,
};

use tidewire::Message as _;
use tidewire_shop::{
    load::Figures,
    messages::{ItemRejected, ItemReserved, OrderPlaced, PaymentFailed, PaymentProcessed},
};

use super::{
    breakers::News,
    children::{Child, Death},
    error::DemoError,
    folder::Folder,
};

/// The events of the summary, in the order of an order's life.
pub(super) const EVENTS: [&str; 5] = [
    OrderPlaced::TYPE.name,
    ItemReserved::TYPE.name,
    ItemRejected::TYPE.name,
    PaymentProcessed::TYPE.name,
    PaymentFailed::TYPE.name,
];

/// The head of the live lines, which are as wide as a terminal of 80 columns.
const HEAD: &str = "  time  placed   ended  ended/s │    p50    p99 │ retries letters │ breakers";
/// After so many lines the head is shown again.
const PAGE: u32 = 20;

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    out: Stdout,
    colours: bool,
    /// Live lines so far.
    lines: Cell<u32>,
}

/// What one second's line tells.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) elapsed: Duration,
    pub(super) figures: Figures,
    /// Attempts that failed and are tried again, so far.
    pub(super) retries: u64,
    /// Dead letters that wait.
    pub(super) letters: usize,
    pub(super) open_breakers: usize,
}

/// Prints an error as the last word.
pub(super) fn complain(error: &DemoError) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "tidewire: {error}");
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = std::io::stdout();
        Self {
            colours: out.is_terminal() && env::var_os("NO_COLOR").is_none(),
            out,
            lines: Cell::new(0),
        }
    }

    /// Prints a line; where nobody reads any more, the demo goes on in silence.
    pub(super) fn say(&self, text: impl Display) {
        let _ = writeln!(self.out.lock(), "{text}");
    }

    pub(super) fn title(&self, text: &str) {
        self.say(format_args!("\n{}", self.bold(text)));
    }

    /// The line of one second: `before` is what the last one told.
    pub(super) fn line(&self, now: &Line, before: &Figures) {
        if self.lines.get().is_multiple_of(PAGE) {
            self.say(self.bold(HEAD));
        }
        self.lines.set(self.lines.get() + 1);
        let (asked, ended) = (now.figures.asked, now.figures.finished);
        let new = ended - before.finished;
        let time = format!("{:.0} s", now.elapsed.as_secs_f64());
        let [p50, p99] = [0.5, 0.99].map(|share| took(now.figures.percentile(share)));
        let (retries, letters) = (now.retries, now.letters);
        let breakers = match now.open_breakers {
            0 => "closed".into(),
            open => self.red(&format!("{open} open")),
        };
        self.say(format_args!(
            "{time:>6} {asked:>7} {ended:>7} {new:>8} │ {p50:>6} {p99:>6} │ {retries:>7} {letters:>7} │ {breakers}"
        ));
    }

    /// A breaker has opened, or closed after a while.
    pub(super) fn breaker(&self, news: &News, open_for: Duration) {
        let process = &news.process;
        if news.open {
            let opens = self.red(&format!("{process}: the breaker opens."));
            self.say(format_args!("{opens} Nothing is tried, and no attempt spent."));
        } else {
            let closes = self.green(&format!("{process}: the breaker closes"));
            self.say(format_args!("{closes} after {}.", took(Some(open_for))));
        }
    }

    pub(super) fn killed<'a>(&self, death: &Death, others: impl Iterator<Item = &'a Child>) {
        let others: Vec<_> = others.map(|child| child.name.as_str()).collect();
        let what = format!("{} (process {}) was killed", death.child.name, death.child.pid);
        self.say(format_args!(
            "{}: {} takes over.\nWhat it had in hand is delivered again within five seconds.",
            self.red(&what),
            others.join(" and ")
        ));
    }

    pub(super) fn kept(&self, folder: &Folder, data: bool) {
        self.say(format_args!(
            "\nThe services' logs are kept in {}",
            folder.path().display()
        ));
        if data {
            let store = folder.store();
            self.say(format_args!(
                "So are the server's data: nats-server -js -sd {}\n\
                 and then, in another terminal, the letters and what became of them:\n  \
                 tidewire dlq ls --all -s nats://localhost:4222",
                store.display()
            ));
        }
    }

    pub(super) fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    pub(super) fn red(&self, text: &str) -> String {
        self.styled("1;31", text)
    }

    pub(super) fn green(&self, text: &str) -> String {
        self.styled("32", text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A duration in few letters.
pub(super) fn took(duration: Option<Duration>) -> String {
    match duration {
        None => "-".into(),
        Some(short) if short < Duration::from_secs(1) => format!("{} ms", short.as_millis()),
        Some(long) => format!("{:.1} s", long.as_secs_f64()),
    }
}

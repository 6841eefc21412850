//! The file in which workers write down what they do: one line for each thing, whole, and there even if the process is
//! killed right after. Its lines are in the order in which they were written, over all processes.

use std::{
    error::Error,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::jobs::Source;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The handler was given a job.
    Begins { number: usize, attempt: u32 },
    /// A handler is done with the message at this place of its stream, `well` or not.
    Ends {
        number: usize,
        source: Source,
        sequence: u64,
        well: bool,
    },
    /// The worker is the active one from now on.
    Leads,
    /// The worker is about to be made to stand still.
    Freezing,
    /// The worker stands still.
    Freezes,
    /// It goes on.
    Thaws,
    /// The worker is about to be killed, or is gone.
    Dies,
    /// The worker was asked to end, and has.
    Stops,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Microseconds since 1970.
    pub(crate) at: u64,
    pub(crate) worker: String,
    pub(crate) what: What,
}

/// The end of the file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<File>);

impl Ledger {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    /// One write at the end of the file.
    pub(crate) fn note(&self, worker: &str, what: What) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_err(io::Error::other)?.as_micros();
        (&*self.0).write_all(format!("{at} {worker} {what}\n").as_bytes())
    }
}

/// The lines so far; none where there is no file yet.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    // The last one may be about to be written.
    let text = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line| Line::read(line).ok_or_else(|| format!("no line of a ledger: {line:?}").into());
    text.lines().map(line).collect()
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let (at, worker) = (words.first()?.parse().ok()?, (*words.get(1)?).to_owned());
        let what = match words.get(2..)? {
            ["begins", number, attempt] => What::Begins {
                number: number.parse().ok()?,
                attempt: attempt.parse().ok()?,
            },
            ["ends", number, stream, sequence, well] => What::Ends {
                number: number.parse().ok()?,
                source: Source::of(stream)?,
                sequence: sequence.parse().ok()?,
                well: well.parse().ok()?,
            },
            ["leads"] => What::Leads,
            ["freezing"] => What::Freezing,
            ["freezes"] => What::Freezes,
            ["thaws"] => What::Thaws,
            ["dies"] => What::Dies,
            ["stops"] => What::Stops,
            _ => return None,
        };
        Some(Self { at, worker, what })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins { number, attempt } => write!(f, "begins {number} {attempt}"),
            Self::Ends {
                number,
                source,
                sequence,
                well,
            } => write!(f, "ends {number} {} {sequence} {well}", source.stream()),
            Self::Leads => f.write_str("leads"),
            Self::Freezing => f.write_str("freezing"),
            Self::Freezes => f.write_str("freezes"),
            Self::Thaws => f.write_str("thaws"),
            Self::Dies => f.write_str("dies"),
            Self::Stops => f.write_str("stops"),
        }
    }
}

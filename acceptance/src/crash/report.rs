//! A table with one row for each scenario, and below it what was broken.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use crate::books::{Books, Sums};

/// How a part ended: well, or before all of it was seen.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// The rows and faults so far.
#[derive(Debug)]
pub(crate) struct Report {
    began: Instant,
    row_began: Instant,
    rows: usize,
    faults: Vec<String>,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is what it prints"
)]
impl Report {
    /// Begins the table.
    pub(crate) fn begin() -> Self {
        println!(
            "| {:<9} | {:<72} | {:>8} | {:>8} | {:>7} | {:>9} | {:>8} | {:>7} | {:<6} |",
            "part", "what was done", "messages", "handled", "letters", "discarded", "runs", "seconds", ""
        );
        let line = |width| "-".repeat(width);
        println!(
            "|{}|{}|{}|{}|{}|{}|{}|{}|{}|",
            line(11),
            line(74),
            format_args!("{}:", line(9)),
            format_args!("{}:", line(9)),
            format_args!("{}:", line(8)),
            format_args!("{}:", line(10)),
            format_args!("{}:", line(9)),
            format_args!("{}:", line(8)),
            line(8)
        );
        let now = Instant::now();
        Self {
            began: now,
            row_began: now,
            rows: 0,
            faults: Vec::new(),
        }
    }

    /// A row, with what its books and its part find broken.
    pub(crate) fn row(
        &mut self,
        part: &str,
        what: &str,
        books: &Books,
        more: impl IntoIterator<Item = String>,
    ) {
        let faults = books.faults().into_iter().chain(more).collect();
        self.print(part, what, books.sums(), faults);
    }

    /// A part that broke off is a broken promise: the rest of it was never seen.
    pub(crate) fn ended(&mut self, part: &str, outcome: Outcome) {
        if let Err(error) = outcome {
            let fault = format!("it broke off: {error}");
            self.print(part, "not to its end", Sums::default(), vec![fault]);
        }
    }

    fn print(&mut self, part: &str, what: &str, sums: Sums, faults: Vec<String>) {
        let seconds = self.row_began.elapsed().as_secs_f64();
        let verdict = if faults.is_empty() { "ok" } else { "BROKEN" };
        println!(
            "| {part:<9} | {what:<72} | {:>8} | {:>8} | {:>7} | {:>9} | {:>8} | {seconds:>7.1} | {verdict:<6} |",
            sums.stored, sums.handled, sums.letters, sums.discarded, sums.runs
        );
        for fault in faults {
            let named = format!("BROKEN {part}, {what}: {fault}");
            // At the end of the table once more: who waits for that may wait for an hour.
            eprintln!("{named}");
            self.faults.push(named);
        }
        self.rows += 1;
        self.row_began = Instant::now();
    }

    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty() && self.rows > 0
    }

    pub(crate) fn print_end(&self) {
        println!();
        for fault in &self.faults {
            println!("{fault}");
        }
        println!(
            "{} scenarios, {} promises broken, {:.0} s",
            self.rows,
            self.faults.len(),
            Duration::as_secs_f64(&self.began.elapsed())
        );
    }
}

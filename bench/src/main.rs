//! Tidewire beside hand-written async-nats: the same messages on the same server, in interleaved rounds.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

mod figures;
mod goal;
mod page;
mod raw;
mod rounds;
mod row;
mod side;
mod traces;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tidewire::BoxError;

use crate::{rounds::RunArgs, side::SideArgs};

/// Where the rows of the last full run are, from the root of the repository.
const RESULTS: &str = "bench/results/latest.jsonl";
/// Where the rows of further runs are, if there were any: on a thread for each processor, and with traces.
const FURTHER: [&str; 2] = ["bench/results/threads.jsonl", "bench/results/traces.jsonl"];

/// Measures Tidewire and async-nats, and keeps the book's figures true.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the workloads, write a row for each run, and print the table: missed goals first
    Run(RunArgs),
    /// Write the table of the rows into the book's page
    Page {
        /// The rows
        #[arg(long, default_value = RESULTS)]
        rows: PathBuf,
    },
    /// Fail where the book's page shows other figures than the rows
    Check {
        /// The rows
        #[arg(long, default_value = RESULTS)]
        rows: PathBuf,
    },
    /// Print the table of rows
    Table {
        /// The rows
        #[arg(long, default_value = RESULTS)]
        rows: PathBuf,
    },
    /// Run one workload on one side; what `run` starts
    #[command(hide = true)]
    Side(SideArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(args) => rounds::run(&args),
        Verb::Page { rows } => page::write(&rows, &FURTHER),
        Verb::Check { rows } => page::check(&rows, &FURTHER),
        Verb::Table { rows } => row::read(&rows).map(|run| print!("{}", figures::table(&run))),
        Verb::Side(args) => side::run(&args),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "that is where errors go")]
fn failed(error: &BoxError) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

//! The `tidewire` command.

mod cli;
#[cfg(feature = "demo")]
mod demo;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}

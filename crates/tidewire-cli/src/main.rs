//! The `tidewire` command.

mod cli;
mod completions;
mod connect;
#[cfg(feature = "demo")]
mod demo;
mod draft;
mod error;
mod escape;
mod explain;
mod manifest;
mod output;
mod pretty;
mod publish;
mod request;
mod server;
mod shorten;
mod span;
mod tail;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}

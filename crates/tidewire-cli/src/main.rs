//! The `tidewire` command.

mod actor;
mod ask;
mod bench;
mod cli;
mod completions;
mod connect;
mod consumers;
#[cfg(feature = "demo")]
mod demo;
mod dlq;
mod draft;
mod error;
mod escape;
mod explain;
mod figures;
mod lag;
mod manifest;
mod operate;
mod output;
mod policy;
mod pretty;
mod publish;
#[cfg(test)]
mod remedies;
mod request;
mod send;
mod server;
mod shorten;
mod signals;
mod span;
mod table;
mod tail;
mod watch;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}

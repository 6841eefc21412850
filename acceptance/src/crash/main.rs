//! Kills workers and servers under load, and audits what became of every message.
//!
//! Workers are processes of their own: this program again, with a hidden command. What a handler did is read from the
//! stream of its effects, what it could not do from the dead letters, and each run from a file.

#[cfg(unix)]
mod books;
#[cfg(unix)]
#[path = "../connecting.rs"]
mod connecting;
#[cfg(unix)]
mod hook;
#[cfg(unix)]
mod jobs;
#[cfg(unix)]
mod ledger;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod order;
#[cfg(unix)]
mod parts;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod quiet;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod watch;
#[cfg(unix)]
mod worker;
#[cfg(unix)]
mod world;

use std::process::ExitCode;

#[cfg(unix)]
#[tokio::main]
async fn main() -> ExitCode {
    run::run().await
}

#[cfg(not(unix))]
#[expect(clippy::print_stderr, reason = "a program's errors go there")]
fn main() -> ExitCode {
    eprintln!("error: this program sends signals to processes, and needs Unix");
    ExitCode::from(2)
}

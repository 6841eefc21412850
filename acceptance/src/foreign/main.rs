//! Runs small programs in Python and JavaScript against Tidewire services, and compares what both sides saw.
//!
//! The programs are in `acceptance/foreign`. They know the wire contract and nothing of Tidewire, and they judge nothing:
//! each does one thing and says what it saw. What is right is decided here, where both sides are known.

mod checks;
mod compare;
mod messages;
mod program;
mod report;
mod seen;
mod tools;
mod world;

use std::{error::Error, process::ExitCode, time::Duration};

use report::Report;
use world::World;

/// The end of a run that hangs where no nearer limit ends it. A first run takes half a minute, most of it to build.
const OVERALL: Duration = Duration::from_secs(900);

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program's errors go there")]
async fn main() -> ExitCode {
    let report = match tokio::time::timeout(OVERALL, run()).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
        Err(_) => {
            eprintln!("error: not done after {} s", OVERALL.as_secs());
            return ExitCode::from(2);
        }
    };
    report.print_sum();
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run() -> Result<Report, Box<dyn Error>> {
    let tools = tools::prepare().await?;
    let mut report = Report::default();
    for foreign in &tools.clients {
        let mut world = World::start().await?;
        let client = foreign.client;
        let outcome = checks::publish::check(&mut report, foreign, &world).await;
        report.scenario(&format!("{client} publishes"), outcome);
        let outcome = checks::request::check(&mut report, foreign, &world).await;
        report.scenario(&format!("{client} requests"), outcome);
        let outcome = checks::discover::check(&mut report, foreign, &world).await;
        report.scenario(&format!("{client} lists services"), outcome);
        let outcome = checks::read::check(&mut report, foreign, &world).await;
        report.scenario(&format!("{client} reads events"), outcome);
        let outcome = checks::consume::check(&mut report, foreign, &mut world).await;
        report.scenario(&format!("{client} takes over a durable"), outcome);
    }
    let outcome = checks::cloud_events::check(&mut report, &tools.cloud_events).await;
    report.scenario("the CloudEvents SDK reads and writes", outcome);
    Ok(report)
}

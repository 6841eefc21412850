//! Runs programs of other people against Tidewire services, and compares what both sides saw: small ones in Python and
//! JavaScript with their NATS clients, a Prometheus that reads the metrics of the shop, and nats-servers that are too old.
//!
//! The small programs are in `acceptance/foreign`. They know the wire contract and nothing of Tidewire, and they judge nothing:
//! each does one thing and says what it saw. What is right is decided here, where both sides are known.

mod checks;
mod compare;
#[path = "../connecting.rs"]
mod connecting;
mod messages;
mod old_server;
mod program;
mod prometheus;
mod report;
mod seen;
mod shop;
mod tools;
mod world;

use std::{error::Error, process::ExitCode, time::Duration};

use report::{Outcome, Report};
use world::World;

/// The end of a run that hangs where no nearer limit ends it. A first run takes half a minute, most of it to build.
const OVERALL: Duration = Duration::from_secs(1800);

/// What can be run by itself, by its name.
const PARTS: [&str; 3] = ["clients", "metrics", "old-servers"];
/// Servers without atomic batches and schedules, which store the parts of a batch one by one; and the last that is too old.
const OLD_SERVERS: [&str; 2] = ["2.10.26", "2.14.3"];

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program's errors go there")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [shop, service] = arguments.as_slice()
        && shop == "shop"
    {
        return match Box::pin(shop::serve(service)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {service}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let report = match tokio::time::timeout(OVERALL, run(&arguments)).await {
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

/// Runs what is named, or all of it.
async fn run(parts: &[String]) -> Result<Report, Box<dyn Error>> {
    if let Some(other) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("there is no part `{other}`; there are: {}", PARTS.join(", ")).into());
    }
    let is_meant = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let mut report = Report::default();
    if is_meant("clients") {
        clients(&mut report).await?;
    }
    if is_meant("metrics") {
        let prometheus = tools::prometheus().await?;
        let outcome = checks::metrics::check(&mut report, &prometheus).await;
        report.scenario("Prometheus scrapes the shop", outcome);
    }
    if is_meant("old-servers") {
        for version in OLD_SERVERS {
            let old = tools::old_server(version).await?;
            let outcome = checks::old_servers::check(&mut report, &old).await;
            report.scenario(&format!("nats-server {version} is too old"), outcome);
        }
    }
    Ok(report)
}

async fn clients(report: &mut Report) -> Outcome {
    let tools = tools::prepare().await?;
    for foreign in &tools.clients {
        let mut world = World::start().await?;
        let client = foreign.client;
        let outcome = checks::publish::check(report, foreign, &world).await;
        report.scenario(&format!("{client} publishes"), outcome);
        let outcome = checks::request::check(report, foreign, &world).await;
        report.scenario(&format!("{client} requests"), outcome);
        let outcome = checks::discover::check(report, foreign, &world).await;
        report.scenario(&format!("{client} lists services"), outcome);
        let outcome = checks::read::check(report, foreign, &world).await;
        report.scenario(&format!("{client} reads events"), outcome);
        let outcome = checks::consume::check(report, foreign, &mut world).await;
        report.scenario(&format!("{client} takes over a durable"), outcome);
    }
    let outcome = checks::cloud_events::check(report, &tools.cloud_events).await;
    report.scenario("the CloudEvents SDK reads and writes", outcome);
    Ok(())
}

//! `tidewire bench`.

use std::{net::IpAddr, process::ExitCode};

use clap::Args;
use serde::Serialize;
use tidewire::Connection;
use tidewire_ops::bench::{self, BenchError, Measured, Telemetry, Usage, Workload};

use crate::{
    ask::{AskArgs, may_go_on},
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
    table::table,
};

/// Measure what a service does in a second, on this machine and against this server
///
/// It stores events in a stream of its own, TIDEWIRE-BENCH__ORDERS, and removes it at the end, after Ctrl-C too. Against a
/// server that is not on this machine it asks first. Beside the rate stand what this process takes of the processors for
/// a million messages, in seconds, and the most memory that it has, where the system tells.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// These workloads alone: live, ask-64, ask-1, publish, consume-1, consume-64, latency
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<Workload>,
    /// A twentieth of the messages
    #[arg(long)]
    small: bool,
    #[command(flatten)]
    ask: AskArgs,
    /// Print a line of JSON for each workload
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A workload as `--json` shows it.
#[derive(Serialize)]
struct Line {
    workload: Workload,
    #[serde(flatten)]
    measured: Measured,
    /// Messages a second.
    rate: f64,
    #[serde(flatten)]
    usage: Option<Usage>,
}

pub(crate) async fn bench(args: BenchArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let client = nats.client().server_info();
    let is_near = client
        .client_ip
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    if !is_near {
        note(format!(
            "the server {} sees this machine as {}: it is another one, and this puts load on it",
            client.server_name, client.client_ip
        ));
    }
    // Near, only to show what would be done stops it.
    if !may_go_on(if is_near { args.ask.agreed() } else { args.ask })? {
        return Ok(ExitCode::SUCCESS);
    }
    let measured = tokio::select! {
        measured = Box::pin(measure(&nats, &args, &out)) => measured,
        _ = tokio::signal::ctrl_c() => Err(CliError::Fault("interrupted, and what was made is removed; run it again to its end".into())),
    };
    let removed = bench::remove(&nats).await.map_err(failed);
    let rows = measured?;
    removed?;
    if !args.json {
        for line in table(&rows) {
            out.line(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(nats: &Connection, args: &BenchArgs, out: &Output) -> Result<Vec<Vec<String>>, CliError> {
    let mut rows = vec![
        [
            "WORKLOAD", "WHAT", "A SECOND", "P50 µs", "P99 µs", "CPU s/M", "PEAK MB",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for workload in Workload::ALL {
        if !args.only.is_empty() && !args.only.contains(&workload) {
            continue;
        }
        if !args.json {
            note(format!("{}…", workload.title()));
        }
        bench::remove(nats).await.map_err(failed)?;
        let messages = workload.messages() / if args.small { 20 } else { 1 };
        bench::prepare(nats, workload, messages).await.map_err(failed)?;
        Usage::forget_peak();
        let before = Usage::so_far();
        let measured = bench::run(nats, workload, messages, Telemetry::On)
            .await
            .map_err(failed)?;
        let usage = before.and_then(|before| Some(Usage::so_far()?.since(before)));
        let rate = measured.rate();
        if args.json {
            out.json_line(&Line {
                workload,
                measured,
                rate,
                usage,
            })?;
        }
        let micros = |micros: Option<f64>| micros.map_or_else(String::new, |micros| format!("{micros:.0}"));
        rows.push(vec![
            workload.name().to_owned(),
            workload.title().to_owned(),
            format!("{rate:.0}"),
            micros(measured.p50),
            micros(measured.p99),
            usage.map_or_else(String::new, |usage| {
                format!("{:.1}", usage.cpu_for_a_million(measured.messages))
            }),
            usage.map_or_else(String::new, |usage| format!("{:.1}", usage.peak_megabytes())),
        ]);
    }
    Ok(rows)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn failed(error: BenchError) -> CliError {
    CliError::Fault(error.to_string())
}

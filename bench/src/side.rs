//! One workload on one side, in a process of its own.

use clap::Args;
use serde::{Deserialize, Serialize};
use tidewire::BoxError;
use tidewire_ops::bench::{self, Measured, Telemetry, Usage, Workload};
use tokio::runtime::Builder;

use crate::{
    raw,
    row::{Flavor, Side},
    traces,
};

#[derive(Debug, Args)]
pub(crate) struct SideArgs {
    side: Side,
    workload: Workload,
    #[arg(long)]
    url: String,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    runtime: Flavor,
}

/// What it prints, on one line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) measured: Measured,
    pub(crate) usage: Usage,
}

pub(crate) fn run(args: &SideArgs) -> Result<(), BoxError> {
    let mut builder = match args.runtime {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread => Builder::new_multi_thread(),
    };
    let export = args.side.sampler().map(|_| traces::export()).transpose()?;
    let measured = builder.enable_all().build()?.block_on(Box::pin(async {
        let telemetry = match args.side {
            Side::Tidewire | Side::Traced | Side::Sampled => Telemetry::On,
            Side::Silent => Telemetry::Off,
            Side::Logged => {
                // It goes nowhere: what a terminal takes is not measured.
                tracing_subscriber::fmt().with_writer(std::io::sink).init();
                Telemetry::Off
            }
            Side::Raw => return raw::run(&args.url, args.workload, args.messages).await,
        };
        let nats = tidewire::connect(&args.url).await?;
        Ok(bench::run(&nats, args.workload, args.messages, telemetry).await?)
    })
        as std::pin::Pin<Box<dyn Future<Output = Result<Measured, BoxError>>>>)?;
    // What is left is exported, too.
    drop(export);
    let usage =
        Usage::so_far().ok_or("what a process uses is not known here; the benchmarks run on Linux")?;
    let said = Said { measured, usage };
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

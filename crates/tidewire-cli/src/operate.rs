//! `tidewire pause`, `tidewire resume` and `tidewire breaker`.

use std::{process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use tidewire::operation::{BreakerSetting, Done, Operated};

use crate::{
    connect::ConnectArgs,
    error::CliError,
    escape::line as escaped,
    output::{Output, note},
    span::span,
};

/// Give a durable no messages, in all instances of its service
///
/// What is in hand is finished. Messages wait in their stream and spend no attempt. The server remembers it: instances
/// that start later are given nothing either.
#[derive(Clone, Debug, Args)]
pub(crate) struct PauseArgs {
    /// The service
    service: String,
    /// The durable
    durable: String,
    /// For how long, such as 10m; until it is resumed without this flag
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Option<Duration>,
    /// Print what each instance says as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Give a paused durable messages again
#[derive(Clone, Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The service
    service: String,
    /// The durable
    durable: String,
    /// Print what each instance says as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Show the circuit breakers of a service, or set one in all of its instances
///
/// A breaker that is set by hand stays so in every running instance until it is set to `auto`; an instance that starts
/// later decides for itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct BreakerArgs {
    /// The service
    service: String,
    /// The breaker
    #[arg(requires = "to")]
    breaker: Option<String>,
    /// How it is to stand
    to: Option<To>,
    /// Print what each instance says as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    /// Nothing is tried
    Open,
    /// All is tried
    Closed,
    /// It decides for itself
    Auto,
}

pub(crate) async fn pause(args: PauseArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let said = tidewire_ops::pause(&nats, &args.service, &args.durable, args.time).await?;
    show(&said, args.json, &out)
}

pub(crate) async fn resume(args: ResumeArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let said = tidewire_ops::resume(&nats, &args.service, &args.durable).await?;
    show(&said, args.json, &out)
}

pub(crate) async fn breaker(args: BreakerArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let to = args.to.map(|to| match to {
        To::Open => BreakerSetting::Open,
        To::Closed => BreakerSetting::Closed,
        To::Auto => BreakerSetting::Auto,
    });
    let set = args.breaker.as_deref().zip(to);
    let said = tidewire_ops::breakers(&nats, &args.service, set).await?;
    show(&said, args.json, &out)
}

/// What each instance says; a refusal of one is a fault.
fn show(said: &[Operated], json: bool, out: &Output) -> Result<ExitCode, CliError> {
    let mut refused = false;
    for Operated { instance, done } in said {
        refused |= matches!(done, Done::Refused(_));
        if json {
            out.json_line(&Operated {
                instance: instance.clone(),
                done: done.clone(),
            })?;
            continue;
        }
        let instance = escaped(instance);
        match done {
            Done::Paused(consumers) => out.line(format_args!(
                "{instance}  paused {}",
                escaped(&consumers.join(", "))
            ))?,
            Done::Resumed(consumers) => out.line(format_args!(
                "{instance}  resumed {}",
                escaped(&consumers.join(", "))
            ))?,
            Done::Breakers(breakers) => {
                for breaker in breakers {
                    let (name, durables) = (escaped(&breaker.name), escaped(&breaker.durables.join(", ")));
                    out.line(format_args!(
                        "{instance}  {name}  {}  stops {durables}",
                        breaker.state
                    ))?;
                }
            }
            // `tidewire dlq show` asks for it.
            Done::Decoded(_) => {}
            Done::Refused(reason) => note(format!("{instance} refused: {}", escaped(reason))),
        }
    }
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

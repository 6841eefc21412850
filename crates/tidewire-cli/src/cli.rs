//! The verbs and their flags; a verb is absent until it works.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench::{self, BenchArgs},
    completions::{self, CompletionsArgs},
    dlq::{self, DlqArgs},
    error::CliError,
    explain::{self, ExplainArgs},
    manifest::{self, ManifestArgs},
    operate::{self, BreakerArgs, PauseArgs, ResumeArgs},
    output::Output,
    publish::{self, PublishArgs},
    request::{self, RequestArgs},
    server::{self, ServerArgs},
    tail::{self, TailArgs},
};

/// Event-driven services on NATS and JetStream.
///
/// Exit status: 0 all is well, 1 a fault was found, 2 wrong usage, no server, or no permission.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a shop of four services on a nats-server of its own, under load
    #[cfg(feature = "demo")]
    Demo(crate::demo::DemoArgs),
    /// Run one service of the shop; what `demo` starts
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    ShopService(crate::demo::ShopServiceArgs),
    Server(ServerArgs),
    Manifest(ManifestArgs),
    Explain(ExplainArgs),
    Publish(PublishArgs),
    Request(RequestArgs),
    Tail(TailArgs),
    Dlq(DlqArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Breaker(BreakerArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let out = Output::new();
        match self.verb {
            #[cfg(feature = "demo")]
            Verb::Demo(args) => crate::demo::demo(&args),
            #[cfg(feature = "demo")]
            Verb::ShopService(args) => crate::demo::shop_service(&args),
            Verb::Server(args) => in_runtime(server::server(args, out)),
            Verb::Manifest(args) => in_runtime(manifest::manifest(args, out)),
            Verb::Explain(args) => in_runtime(explain::explain(args, out)),
            Verb::Publish(args) => in_runtime(publish::publish(args, out)),
            Verb::Request(args) => in_runtime(request::request(args, out)),
            Verb::Tail(args) => in_runtime(tail::tail(args, out)),
            Verb::Dlq(args) => in_runtime(dlq::dlq(args, out)),
            Verb::Pause(args) => in_runtime(operate::pause(args, out)),
            Verb::Resume(args) => in_runtime(operate::resume(args, out)),
            Verb::Breaker(args) => in_runtime(operate::breaker(args, out)),
            Verb::Bench(args) => in_runtime(bench::bench(args, out)),
            Verb::Completions(args) => ended(completions::completions(&args, &out)),
        }
    }
}

fn in_runtime(verb: impl Future<Output = Result<ExitCode, CliError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    ended(match runtime {
        // Boxed: the futures of the client are large.
        Ok(runtime) => runtime.block_on(Box::pin(verb)),
        Err(source) => Err(CliError::System {
            what: "start the runtime",
            source,
        }),
    })
}

fn ended(verb: Result<ExitCode, CliError>) -> ExitCode {
    verb.unwrap_or_else(|error| error.report())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}

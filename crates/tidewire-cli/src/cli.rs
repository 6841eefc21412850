//! The verbs and their flags; a verb is absent until it works.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench::{self, BenchArgs},
    completions::{self, CompletionsArgs},
    consumers::{self, ConsumersArgs},
    dlq::{self, DlqArgs},
    error::{CliError, SHORT},
    explain::{self, ExplainArgs},
    lag::{self, LagArgs},
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
    Lag(LagArgs),
    Consumers(ConsumersArgs),
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
            Verb::Lag(args) => in_runtime(lag::lag(args, out)),
            Verb::Consumers(args) => in_runtime(consumers::consumers(args, out)),
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
            remedy: SHORT,
        }),
    })
}

fn ended(verb: Result<ExitCode, CliError>) -> ExitCode {
    verb.unwrap_or_else(|error| error.report())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::{CommandFactory, error::ErrorKind};
    use tidewire_book::Page;

    use super::Cli;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    /// Those in blocks parse; those that a sentence quotes may lack what their verb requires.
    #[test]
    fn every_command_in_the_book_and_the_readmes_is_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut documents = Page::all().unwrap();
        for name in ["README.md", "crates/tidewire-cli/README.md"] {
            let text = fs::read_to_string(root.join(name)).unwrap();
            documents.push(Page {
                name: name.into(),
                text,
            });
        }
        let mut parsed = 0;
        for document in documents {
            let (name, blocks) = (&document.name, document.blocks());
            for block in &blocks {
                let commands = block.lines.iter().filter_map(|line| match &*block.language {
                    "sh" => Some(line.as_str()),
                    _ => line.strip_prefix("$ "),
                });
                for command in commands.filter(|line| line.starts_with("tidewire ")) {
                    let error = parse(command).err().filter(clap::Error::use_stderr);
                    assert!(error.is_none(), "{name}: `{command}` is no command: {error:?}");
                    parsed += 1;
                }
            }
            let in_blocks: Vec<_> = blocks.iter().flat_map(|block| &block.lines).collect();
            let prose = document
                .text
                .lines()
                .filter(|line| !in_blocks.iter().any(|other| other == line));
            let quoted = prose.flat_map(|line| line.split('`').skip(1).step_by(2));
            for command in quoted.filter(|text| text.starts_with("tidewire ")) {
                let complete = command.trim_end_matches('…');
                let missing = |error: &clap::Error| {
                    matches!(
                        error.kind(),
                        ErrorKind::MissingRequiredArgument
                            | ErrorKind::MissingSubcommand
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    )
                };
                let error = parse(complete).err().filter(|error| !missing(error));
                assert!(error.is_none(), "{name}: `{command}` is no command: {error:?}");
                parsed += 1;
            }
        }
        assert!(parsed > 30, "{parsed}");
    }

    fn parse(command: &str) -> Result<clap::ArgMatches, clap::Error> {
        Cli::command().try_get_matches_from(shlex::split(command).unwrap())
    }
}

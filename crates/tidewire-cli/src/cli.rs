//! The verbs and their flags; a verb is absent until it works.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Event-driven services on NATS and JetStream.
///
/// Exit status: 0 all is well, 1 a fault was found, 2 wrong usage or no server.
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
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        match self.verb {
            #[cfg(feature = "demo")]
            Verb::Demo(args) => crate::demo::demo(&args),
            #[cfg(feature = "demo")]
            Verb::ShopService(args) => crate::demo::shop_service(&args),
        }
    }
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

//! `tidewire completions`.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{cli::Cli, error::CliError, output::Output};

/// Write completions for a shell
///
/// For example `tidewire completions bash > /etc/bash_completion.d/tidewire`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn completions(args: &CompletionsArgs, out: &Output) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    generate(args.shell, &mut listed(), "tidewire", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// The command with the verbs that its help lists: the scripts would offer hidden ones too.
fn listed() -> Command {
    let whole = Cli::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new("tidewire")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(verbs.cloned())
}

//! Asking before something is done that cannot be taken back.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;

use crate::error::CliError;

// The flags of a verb that asks first; no doc comment, for clap would show it in place of the verb's own.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AskArgs {
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl AskArgs {
    /// The same where nobody has to be asked.
    pub(crate) fn agreed(self) -> Self {
        Self { yes: true, ..self }
    }
}

/// Whether to go on: told by a flag, or by somebody at a terminal.
pub(crate) fn may_go_on(args: AskArgs) -> Result<bool, CliError> {
    if args.dry_run || args.yes {
        return Ok(!args.dry_run);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "this is asked about first, and standard input is no terminal; nothing was done, say --yes to go on".into(),
        ));
    }
    let ended = |source| CliError::System {
        what: "ask at the terminal",
        source,
        remedy: "say --yes to go on without a question",
    };
    write!(io::stderr(), "Go on? [y/N] ").map_err(ended)?;
    io::stderr().flush().map_err(ended)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(ended)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

//! Asking before something is done that cannot be taken back.

use std::io::{self, IsTerminal as _, Write as _};

use crate::error::CliError;

/// Whether to go on: told by a flag, or by somebody at a terminal.
pub(crate) fn may_go_on(yes: bool) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "this is asked about first, and standard input is no terminal; nothing was done, say --yes to go on".into(),
        ));
    }
    let ended = |source| CliError::System {
        what: "ask at the terminal",
        source,
    };
    write!(io::stderr(), "Go on? [y/N] ").map_err(ended)?;
    io::stderr().flush().map_err(ended)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(ended)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

//! Where to connect to.

use clap::Args;
use tidewire::{Connect, Connection};

use crate::error::CliError;

// The flags of every verb that asks a server; no doc comment, for clap would show it in place of the verb's own. Without
// them the variables NATS_… say where and as whom, else the context that `nats context select` chose, else the server is
// nats://localhost:4222.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The server's address, or several with commas between them; over `$NATS_URL`
    #[arg(long, short, value_name = "URL", conflicts_with = "context")]
    server: Option<String>,
    /// A context of the NATS tools, by its name or its file; over `$NATS_CONTEXT`
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ConnectArgs {
    pub(crate) async fn connect(&self) -> Result<Connection, CliError> {
        let connect = match (&self.server, &self.context) {
            (Some(address), _) => Connect::from_env_to(address)?,
            (None, Some(context)) => Connect::context(context)?,
            (None, None) => Connect::from_env()?,
        };
        Ok(connect.connect().await?)
    }
}

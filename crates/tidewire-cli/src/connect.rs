//! Where to connect to.

use clap::Args;
use tidewire::{Connect, Connection};

use crate::error::CliError;

/// The flags of every verb that asks a server. Without them the NATS_* variables say where and as whom, else the context
/// that `nats context select` chose, else nats://localhost:4222.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The server's address, or several with commas between them [variable: NATS_URL]
    #[arg(long, short, value_name = "URL", conflicts_with = "context")]
    server: Option<String>,
    /// A context of the NATS tools, by its name or its file [variable: NATS_CONTEXT]
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

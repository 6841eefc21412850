//! The flags of a verb that sends a message.

use std::time::Duration;

use clap::Args;
use tidewire::Connection;
use tidewire_ops::{Draft, Manifests};

use crate::{connect::ConnectArgs, draft::DraftArgs, error::CliError, span::span};

// The message, and how it is sent; no doc comment, for clap would show it in place of the verb's own.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    draft: DraftArgs,
    /// How long the answer is awaited, of the stream or of who is asked, such as 500ms or 2m
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl SendArgs {
    /// The message, where it goes, and what it is checked against, if it is.
    pub(crate) async fn ready(&self) -> Result<(Draft, Connection, Option<Manifests>), CliError> {
        let draft = self.draft.draft()?;
        let nats = self.connect.connect().await?;
        let manifests = self.draft.manifests(&nats).await?;
        Ok((draft, nats, manifests))
    }
}

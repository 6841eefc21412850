//! The flags of a message that is sent.

use std::{
    fs,
    io::{self, Read as _},
};

use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use tidewire::{Connection, Format, MessageName};
use tidewire_ops::{Draft, Manifests, OpsError};

use crate::{error::CliError, output::note};

// The message that is sent; no doc comment, for clap would show it in place of the verb's own.
#[derive(Clone, Debug, Args)]
pub(crate) struct DraftArgs {
    /// The message's name, such as orders.payments.payment.processed
    name: String,
    /// The key's text, where the message has one; it is escaped here
    key: Option<String>,
    /// The data: JSON, @FILE for what a file holds, or - for standard input
    #[arg(long, short, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    data: String,
    /// A header of your own; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// How the message is written
    #[arg(long, value_name = "FORMAT", default_value = "tidewire")]
    format: FormatArg,
    /// Send without asking any service's manifest whether name, key and data are right
    #[arg(long)]
    no_check: bool,
}

/// The formats by the names that the command has for them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// Tidewire's envelope
    Tidewire,
    /// CloudEvents 1.0, the attributes in headers
    CloudeventsBinary,
    /// CloudEvents 1.0, one JSON object
    CloudeventsStructured,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Tidewire => Self::Tidewire,
            FormatArg::CloudeventsBinary => Self::CloudEventsBinary,
            FormatArg::CloudeventsStructured => Self::CloudEventsStructured,
        }
    }
}

impl DraftArgs {
    /// Reads the data from wherever it is.
    pub(crate) fn draft(&self) -> Result<Draft, CliError> {
        MessageName::parse(&self.name).map_err(OpsError::Name)?;
        let text = match self.data.strip_prefix('@') {
            Some(path) => fs::read(path).map_err(|source| CliError::File {
                path: path.into(),
                source,
            })?,
            None if self.data == "-" => {
                let mut text = Vec::new();
                io::stdin()
                    .read_to_end(&mut text)
                    .map_err(|source| CliError::File {
                        path: "standard input".into(),
                        source,
                    })?;
                text
            }
            None => self.data.clone().into_bytes(),
        };
        let data: Box<RawValue> = serde_json::from_slice(&text).map_err(OpsError::Data)?;
        Ok(Draft {
            name: self.name.clone(),
            key: self.key.clone(),
            data,
            headers: self.headers.clone(),
            format: self.format.into(),
            source: "tidewire-cli".into(),
        })
    }

    /// What the message is checked against; `None` where that is not wanted.
    pub(crate) async fn manifests(&self, nats: &Connection) -> Result<Option<Manifests>, CliError> {
        if self.no_check {
            return Ok(None);
        }
        let manifests = Manifests::read(nats).await.map_err(|error| match error {
            OpsError::NotPermitted(_) => {
                CliError::Usage(format!("{error}, or send without a check by --no-check"))
            }
            other => other.into(),
        })?;
        if manifests.message(&self.name).is_empty() {
            note(format!(
                "no service's manifest knows `{}`, so nothing was checked",
                self.name
            ));
        }
        Ok(Some(manifests))
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write for example x-tenant:acme")?;
    Ok((name.trim().to_owned(), value.trim_start().to_owned()))
}

//! `tidewire request`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tidewire::{AskError, Kind};
use tidewire_ops::OpsError;

use crate::{
    error::CliError,
    output::{Output, note},
    send::SendArgs,
};

/// Send a command or query and print the answer
///
/// Where a service has declared the message, it says which of the two it is, and key and data are checked first. A refusal
/// is printed with its code and exits with 1.
#[derive(Clone, Debug, Args)]
pub(crate) struct RequestArgs {
    /// It is a query; without this flag a message that no manifest knows is sent as a command
    #[arg(long)]
    query: bool,
    /// Print the answer or the refusal as one line of JSON, with subject and id
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    send: SendArgs,
}

pub(crate) async fn request(args: RequestArgs, out: Output) -> Result<ExitCode, CliError> {
    let (draft, nats, manifests) = args.send.ready().await?;
    let kind = args.query.then_some(Kind::Query);
    match tidewire_ops::request(&nats, manifests.as_ref(), draft, kind, args.send.timeout).await {
        Ok(answer) if args.json => out.json_line(&answer)?,
        Ok(answer) => out.json(&answer.data)?,
        Err(OpsError::Ask(
            ref refused @ AskError::Refused {
                ref subject,
                ref error,
            },
        )) => {
            if args.json {
                out.json_line(&json!({ "subject": subject, "error": error }))?;
            } else {
                note(refused);
                if !error.details.is_null() {
                    out.json(&error.details)?;
                }
            }
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

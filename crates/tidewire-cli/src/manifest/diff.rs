//! Two manifests side by side.

use std::{fs, path::Path, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};
use tidewire::Manifest;
use tidewire_ops::{Change, Difference, FieldChange, Manifests, OpsError, Section, read_manifest};

use super::unknown;
use crate::{connect::ConnectArgs, error::CliError, output::Output};

/// How much of a value a line shows.
const SHOWN: usize = 100;

/// Compare the manifest in a file with what runs, or any two
///
/// A FILE alone is compared with what the service that it names has written here. Exits with 1 where they differ.
/// `tidewire manifest show SERVICE --json` writes such a file.
#[derive(Clone, Debug, Args)]
pub(super) struct DiffArgs {
    /// A manifest in a file, or the service whose manifest it is
    #[arg(value_name = "FILE|SERVICE")]
    before: String,
    /// The other one
    #[arg(value_name = "FILE|SERVICE")]
    after: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A manifest, and what it is called in the report.
struct Side {
    title: String,
    manifest: Manifest,
}

pub(super) async fn diff(args: DiffArgs, out: Output) -> Result<ExitCode, CliError> {
    let (before, after) = match &args.after {
        Some(after) => (side(&args, &args.before).await?, side(&args, after).await?),
        None if is_file(&args.before) => {
            let before = file(&args.before)?;
            let service = before.manifest.service.clone();
            (before, running(&args, &service).await?)
        }
        None => {
            return Err(CliError::Usage(format!(
                "`{0}` is no file, and what a service runs is compared with nothing; write `tidewire manifest diff FILE`, \
                 or `tidewire manifest diff FILE {0}`",
                args.before
            )));
        }
    };
    let differences = tidewire_ops::diff(&before.manifest, &after.manifest);
    if args.json {
        out.json(&json!({ "before": before.title, "after": after.title, "differences": differences }))?;
    } else {
        report(&before, &after, &differences, &out)?;
    }
    Ok(if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn side(args: &DiffArgs, what: &str) -> Result<Side, CliError> {
    if is_file(what) {
        file(what)
    } else {
        running(args, what).await
    }
}

/// A service's name has neither.
fn is_file(what: &str) -> bool {
    what.contains(['.', '/', '\\']) || Path::new(what).is_file()
}

fn file(path: &str) -> Result<Side, CliError> {
    let text = fs::read(path).map_err(|source| CliError::File {
        path: path.into(),
        source,
    })?;
    Ok(Side {
        title: path.to_owned(),
        manifest: read_manifest(path, &text)?,
    })
}

async fn running(args: &DiffArgs, service: &str) -> Result<Side, CliError> {
    let nats = args.connect.connect().await?;
    let manifests = Manifests::read(&nats).await?;
    let written = manifests.get(service).ok_or_else(|| unknown(service))?;
    let title = format!("the service {service}, started {}", written.at);
    match &written.manifest {
        Ok(manifest) => Ok(Side {
            title,
            manifest: manifest.clone(),
        }),
        Err(source) => Err(OpsError::NotAManifest {
            what: title,
            source: source.clone(),
        }
        .into()),
    }
}

fn report(before: &Side, after: &Side, differences: &[Difference], out: &Output) -> Result<(), CliError> {
    if differences.is_empty() {
        return out.line(format_args!(
            "no difference between {} and {}",
            before.title, after.title
        ));
    }
    out.line(format_args!("--- {}", before.title))?;
    out.line(format_args!("+++ {}", after.title))?;
    for Difference {
        section,
        name,
        change,
        ..
    } in differences
    {
        let section = match section {
            Section::Service => "service",
            Section::Context => "context",
            Section::Handler => "handler",
            Section::Message => "message",
        };
        match change {
            Change::Added => out.line(format_args!("+ {section} {name}"))?,
            Change::Removed => out.line(format_args!("- {section} {name}"))?,
            Change::Changed { fields } => {
                out.line(format_args!("~ {section} {name}"))?;
                for field in fields {
                    out.line(format_args!("    {}", field_line(field)))?;
                }
            }
        }
    }
    Ok(())
}

fn field_line(field: &FieldChange) -> String {
    let path = &field.path;
    match (&field.before, &field.after) {
        (None, Some(after)) => format!("+ {path}: {}", short(after)),
        (Some(before), None) => format!("- {path}: {}", short(before)),
        (before, after) => {
            let [before, after] = [before, after].map(|value| value.as_ref().map(short).unwrap_or_default());
            format!("~ {path}: {before} -> {after}")
        }
    }
}

fn short(value: &Value) -> String {
    crate::shorten::shorten(&value.to_string(), SHOWN)
}

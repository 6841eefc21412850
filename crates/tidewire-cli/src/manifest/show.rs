//! One manifest in full, or all of them in a line each.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde_json::Value;
use tidewire::{HandlerManifest, Manifest, Start, Timestamp, Transport};
use tidewire_ops::Manifests;

use super::unknown;
use crate::{
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
};

/// Show what a service declares, or which services there are
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// The service; without it all are listed
    service: Option<String>,
    /// Print JSON, which for a service is its whole manifest, schemas included
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn show(args: ShowArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let manifests = Manifests::read(&nats).await?;
    let Some(service) = &args.service else {
        return list(&manifests, args.json, &out);
    };
    let written = manifests.get(service).ok_or_else(|| unknown(service))?;
    if args.json {
        out.json(&written.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let manifest = written.manifest.as_ref().map_err(|error| {
        CliError::Fault(format!(
            "the manifest of `{service}` is not understood: {error}; upgrade this command, or see it by --json"
        ))
    })?;
    whole(manifest, written.at, &out)?;
    Ok(ExitCode::SUCCESS)
}

fn list(manifests: &Manifests, json: bool, out: &Output) -> Result<ExitCode, CliError> {
    if json {
        let all: BTreeMap<&str, &Value> = manifests
            .iter()
            .map(|(service, written)| (service, &written.json))
            .collect();
        out.json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (service, written) in manifests.iter() {
        match &written.manifest {
            Ok(manifest) => out.line(format_args!(
                "{service} {}  written {}  handlers {}, messages {}",
                manifest.version,
                written.at,
                manifest.handlers.len(),
                manifest.messages.len()
            ))?,
            Err(error) => out.line(format_args!(
                "{service}  written {}  not understood: {error}",
                written.at
            ))?,
        }
    }
    if manifests.iter().next().is_none() {
        note("no service has written its manifest here; each does when it starts, if it has JetStream");
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(manifest: &Manifest, at: Timestamp, out: &Output) -> Result<(), CliError> {
    let Manifest {
        service,
        version,
        contract,
        ..
    } = manifest;
    out.line(format_args!(
        "{service} {version}, wire contract {contract}, written {at}"
    ))?;
    for (what, holds) in [
        ("sends", manifest.validates_sent),
        ("receives", manifest.validates_received),
    ] {
        if holds {
            out.line(format_args!("what it {what} is held against its schema"))?;
        }
    }
    section("sizes, in bytes", !manifest.sizes.is_empty(), out)?;
    for (name, size) in &manifest.sizes {
        out.line(format_args!("  {name} {size}"))?;
    }
    section("contexts", !manifest.contexts.is_empty(), out)?;
    for context in &manifest.contexts {
        out.line(format_args!("  {}  stream {}", context.name, context.stream))?;
        for (name, value) in &context.settings {
            out.line(format_args!("    {name} {value}"))?;
        }
        for subject in context.subjects.iter().chain(&context.queue) {
            out.line(format_args!("    {subject}"))?;
        }
    }
    section("handlers", !manifest.handlers.is_empty(), out)?;
    for handler in &manifest.handlers {
        show_handler(handler, out)?;
    }
    for (what, names) in [
        ("publishes", &manifest.publishes),
        ("asks", &manifest.asks),
        ("sends", &manifest.sends),
    ] {
        section(what, !names.is_empty(), out)?;
        for name in names {
            out.line(format_args!("  {name}"))?;
        }
    }
    section("messages", !manifest.messages.is_empty(), out)?;
    for (name, message) in &manifest.messages {
        let key = if message.keyed { ", with a key" } else { "" };
        out.line(format_args!(
            "  {:<8} {name}  {}{key}",
            message.kind.as_str(),
            versions(&message.versions())
        ))?;
    }
    Ok(())
}

/// The last one is what is sent.
fn versions(all: &[u32]) -> String {
    match all.split_last() {
        Some((newest, older)) if !older.is_empty() => {
            let older: Vec<_> = older.iter().map(ToString::to_string).collect();
            format!("version {newest}, also read in {}", older.join(", "))
        }
        Some((newest, _)) => format!("version {newest}"),
        None => String::new(),
    }
}

fn section(name: &str, is_there: bool, out: &Output) -> Result<(), CliError> {
    if is_there {
        out.line("")?;
        out.line(name)?;
    }
    Ok(())
}

fn show_handler(handler: &HandlerManifest, out: &Output) -> Result<(), CliError> {
    let name = &handler.name;
    match &handler.transport {
        Transport::Durable {
            consumer,
            filters,
            start,
            concurrency,
            policy,
        } => {
            out.line(format_args!(
                "  durable  {name}  consumer {consumer}, {}, {concurrency} at once",
                begins(*start)
            ))?;
            subjects(filters, out)?;
            for line in crate::policy::lines(policy) {
                out.line(format_args!("    {line}"))?;
            }
        }
        Transport::Live { filters, queue_group } => {
            let group = queue_group.as_ref().map(|group| format!(", queue group {group}"));
            out.line(format_args!("  live     {name}{}", group.unwrap_or_default()))?;
            subjects(filters, out)?;
        }
        Transport::Request { kind, subject } => {
            out.line(format_args!("  {:<8} {name}", kind.as_str()))?;
            subjects(std::slice::from_ref(subject), out)?;
        }
        _ => out.line(format_args!("  {name}"))?,
    }
    for (what, names) in [
        ("emits", &handler.emits),
        ("asks", &handler.asks),
        ("sends", &handler.sends),
        ("layers", &handler.layers),
    ] {
        if !names.is_empty() {
            out.line(format_args!("    {what} {}", names.join(", ")))?;
        }
    }
    Ok(())
}

fn subjects(filters: &[String], out: &Output) -> Result<(), CliError> {
    for filter in filters {
        out.line(format_args!("    reads {filter}"))?;
    }
    Ok(())
}

fn begins(start: Start) -> String {
    match start {
        Start::Beginning => "from the beginning".into(),
        Start::Now => "from when it was made".into(),
        Start::Sequence(sequence) => format!("from sequence {sequence}"),
        Start::Time(time) => format!("from {time}"),
        _ => "from a place that this command does not know".into(),
    }
}

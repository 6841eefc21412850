//! `tidewire explain`.

use std::process::ExitCode;

use clap::Args;
use tidewire_ops::{Captured, ConsumerView, Endpoint, Explanation, Fault, Grammar, Listener, Manifests};

use crate::{connect::ConnectArgs, error::CliError, output::Output};

/// Say who gets what is published to a subject, and how
///
/// Through which stream and consumer, with which policy, and which services hear or answer it. Exits with 1 where nobody
/// does, where nobody answers a command or query, and where a stream captures one. A plain subscription of a program that is no service cannot be seen: the server tells of it to nobody.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArgs {
    /// One subject, such as orders.payments.payment.processed.p-42
    subject: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn explain(args: ExplainArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let manifests = Manifests::read(&nats).await?;
    let found = tidewire_ops::explain(&nats, &manifests, &args.subject).await?;
    if args.json {
        out.json(&found)?;
    } else {
        for line in lines(&found) {
            out.line(line)?;
        }
    }
    Ok(if found.fault.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn lines(found: &Explanation) -> Vec<String> {
    let mut lines = vec![found.subject.clone()];
    lines.extend(grammar(&found.grammar));
    if !found.senders.is_empty() {
        lines.push(format!("  sent by  {}", found.senders.join(", ")));
    }
    if !found.jetstream {
        lines.extend([
            String::new(),
            "there is no JetStream here, so nothing is stored".into(),
        ]);
    }
    for stream in &found.captured {
        lines.push(String::new());
        lines.extend(captured("stored", stream));
    }
    for queue in &found.queued {
        lines.push(String::new());
        lines.extend(captured("as a durable command stored", queue));
    }
    for reader in &found.missing {
        lines.push(String::new());
        lines.push(format!(
            "the durable `{}` of the service {} is declared for it and has no consumer that reads it; start that service",
            reader.durable, reader.service
        ));
    }
    for copy in &found.copied {
        let other = if copy.transformed {
            " under other subjects"
        } else {
            ""
        };
        lines.push(format!(
            "the stream {} takes copies from {}{other}",
            copy.stream, copy.from
        ));
    }
    if !found.listeners.is_empty() {
        lines.extend([String::new(), "heard live, at most once".into()]);
        lines.extend(found.listeners.iter().map(listener));
    }
    if !found.endpoints.is_empty() {
        lines.extend([String::new(), "answered".into()]);
        lines.extend(found.endpoints.iter().map(endpoint));
    }
    if let Some(word) = last_word(found) {
        lines.extend([String::new(), word]);
    }
    lines
}

/// What the reader should not miss.
fn last_word(found: &Explanation) -> Option<String> {
    Some(match (found.fault, found.captured.first()) {
        (Some(Fault::Nobody), _) => nobody(found),
        (Some(Fault::Captured), Some(stream)) => format!(
            "The stream {} captures what is answered by request and reply: the caller may hear the stream's ack. Narrow the \
             stream's subjects.",
            stream.stream
        ),
        (Some(_), _) => {
            "Nobody answers it: whoever asks is told so at once. Start the service that handles it.".into()
        }
        (None, None) if !found.queued.is_empty() && found.endpoints.is_empty() => {
            "Nobody answers it: it is sent as a durable command.".into()
        }
        (None, None) if !found.is_answered() => {
            "No stream stores it: who is not there when it is sent does not get it.".into()
        }
        (None, _) => return None,
    })
}

fn grammar(grammar: &Grammar) -> Vec<String> {
    let Grammar::Message {
        name,
        key,
        major,
        context,
        stream,
        kind,
        version,
        keyed,
        ..
    } = grammar
    else {
        let Grammar::Foreign { reason, .. } = grammar else {
            return Vec::new();
        };
        return vec![format!("  no message of Tidewire: {reason}")];
    };
    let mut lines = vec![format!("  name     {name}")];
    lines.extend(key.as_ref().map(|key| format!("  key      {key}")));
    lines.extend(major.map(|major| format!("  major    {major}")));
    lines.push(format!(
        "  context  {context}, whose events are in the stream {stream}"
    ));
    match (kind, version) {
        (Some(kind), Some(version)) => lines.push(format!("  message  {kind}, version {version}")),
        _ => lines.push("  message  no manifest here knows it".into()),
    }
    if grammar.contradicts_its_key() {
        lines.push(match keyed {
            Some(true) => format!("  its messages have a key, so they are on {name}.<key> and never here"),
            _ => format!("  its messages have no key, so they are on {name} and never here"),
        });
    }
    lines
}

fn captured(how: &str, found: &Captured) -> Vec<String> {
    let mut lines = vec![format!(
        "{how} in the stream {} by its subject {} ({} messages in all)",
        found.stream, found.by, found.messages
    )];
    if found.consumers.is_empty() {
        lines.push("  no consumer reads it there".into());
    }
    lines.extend(found.consumers.iter().flat_map(consumer));
    lines
}

fn consumer(found: &ConsumerView) -> Vec<String> {
    let owner = found.owner.as_ref().map_or("not Tidewire's".into(), |owner| {
        format!("the durable `{}` of the service {}", owner.durable, owner.service)
    });
    let way = if found.push { "pushed" } else { "pulled" };
    let ack = match found.ack {
        "none" => "no acks: at most once".to_owned(),
        ack => format!("ack {ack} within {} s, else again", found.ack_wait_seconds),
    };
    let limit = found.max_deliver.map(|count| format!(", {count} times at most"));
    let paused = if found.paused { ", PAUSED" } else { "" };
    let mut lines = vec![
        format!("  consumer {}, {owner}{paused}", found.name),
        format!(
            "    reads {}, {way}, from {}",
            found.filter.as_deref().unwrap_or("the whole stream"),
            found.start
        ),
        format!("    {ack}{}", limit.unwrap_or_default()),
        format!(
            "    {} waiting, {} not acknowledged yet",
            found.pending, found.unacknowledged
        ),
    ];
    let policy = found.policy.iter().flat_map(crate::policy::lines);
    lines.extend(policy.map(|line| format!("    {line}")));
    lines
}

fn listener(found: &Listener) -> String {
    let group = match &found.queue_group {
        Some(group) => format!("one of queue group {group}"),
        None => "each instance".into(),
    };
    format!(
        "  {} by its handler {} on {}: {group}, {}",
        found.service,
        found.handler,
        found.filter,
        running(found.instances)
    )
}

fn endpoint(found: &Endpoint) -> String {
    let kind = found.kind.as_deref().unwrap_or("endpoint, not Tidewire's");
    format!(
        "  {} by its {kind} {}: one of queue group {}, {}",
        found.service,
        found.subject,
        found.queue_group,
        running(found.instances)
    )
}

fn running(instances: usize) -> String {
    match instances {
        0 => "and no instance runs".into(),
        1 => "1 instance runs".into(),
        count => format!("{count} instances run"),
    }
}

fn nobody(found: &Explanation) -> String {
    let remedy = match &found.grammar {
        Grammar::Message { context, .. } if found.subject.starts_with("queue.") => {
            format!(
                "start the service that works the command: it has `.context(Context::new(\"{context}\"))`"
            )
        }
        Grammar::Message { context, .. } if found.listeners.is_empty() && found.endpoints.is_empty() => {
            format!(
                "start the service that declares it, or add `.context(Context::new(\"{context}\"))` to one that sends it"
            )
        }
        Grammar::Message { .. } => "start the service above".into(),
        _ => "make a stream for it, or subscribe".into(),
    };
    format!(
        "Nobody gets it: no stream stores it, and no service that runs hears it. To change that, {remedy}."
    )
}

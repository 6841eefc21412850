//! Durable commands in a declaration: which are worked, which are sent, and where their queues are.

use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::{ContextName, Manifest, MessageName, MessageType, SubjectFilter, wire};

use super::{Service, check::filter_of};
use crate::{
    connection::Connection, health::Health, route::Route, start_error::StartError, stream::wait_for_subject,
};

/// The filter of all messages of a command in its queue.
pub(super) fn queue_filter_of(command: MessageType) -> Option<SubjectFilter> {
    SubjectFilter::parse(&wire::queue_subject(filter_of(command)?.as_str())).ok()
}

/// Where a handler finds the messages that it takes: for each type their context's stream or queue, and the filter there.
pub(super) fn sources_of(route: &Route) -> impl Iterator<Item = (String, SubjectFilter)> {
    let takes = route.takes.iter();
    takes.filter_map(|(contract, _)| source_of(route, *contract))
}

fn source_of(route: &Route, contract: MessageType) -> Option<(String, SubjectFilter)> {
    let context = MessageName::parse(contract.name).ok()?.context_name();
    if route.works_a_queue() {
        Some((context.queue_stream_name(), queue_filter_of(contract)?))
    } else {
        Some((context.stream_name(), filter_of(contract)?))
    }
}

/// The subjects that a context's queue needs for the durable commands that the service works.
pub(super) fn subjects<S>(service: &Service<S>, context: &ContextName) -> Vec<String> {
    let filters: BTreeSet<_> = worked(service)
        .filter(|(_, command)| MessageName::parse(command.name).is_ok_and(|name| context.contains(&name)))
        .filter_map(|(_, command)| queue_filter_of(command))
        .map(|filter| filter.to_string())
        .collect();
    filters.into_iter().collect()
}

/// What contradicts itself, a line each.
pub(super) fn problems<S>(service: &Service<S>) -> Vec<String> {
    let mut durables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (durable, command) in worked(service) {
        durables.entry(command.name).or_default().push(durable);
    }
    let mut problems = Vec::new();
    for (command, durables) in durables {
        let names = format!("`{}`", durables.join("`, `"));
        if durables.len() > 1 {
            problems.push(format!(
                "the durables {names} work the command `{command}`, and each would do what it asks; remove all but one"
            ));
        }
        let Ok(name) = MessageName::parse(command) else {
            continue;
        };
        let context = name.context_name();
        if !service.contexts.iter().any(|kept| kept.name == context.as_str()) {
            problems.push(format!(
                "the durable {names} works the command `{command}`, and whoever works it keeps its queue; add \
                 `.context(Context::new(\"{context}\"))`"
            ));
        }
    }
    problems
}

/// Waits until every queue is there that the service sends to: its receiver makes it, and may start later.
pub(super) async fn are_kept<S>(
    service: &Service<S>,
    nats: &Connection,
    health: &Health,
    manifest: &Manifest,
) -> Result<(), StartError> {
    let kept: BTreeSet<_> = manifest
        .contexts
        .iter()
        .flat_map(|context| &context.queue)
        .collect();
    for command in sent(service) {
        let (Ok(name), Some(filter)) = (MessageName::parse(command.name), queue_filter_of(command)) else {
            continue;
        };
        if kept.contains(&filter.to_string()) {
            continue;
        }
        let context = name.context_name();
        let needs = format!("the durable command `{name}`, which the service sends,");
        wait_for_subject(nats, health, &context.queue_stream_name(), &filter, &needs)
            .await
            .map_err(|error| match error {
                StartError::NotFed {
                    filter,
                    stream,
                    within,
                    ..
                } => StartError::NoQueue {
                    command: name.to_string(),
                    filter,
                    stream,
                    context: context.to_string(),
                    within,
                },
                error => error,
            })?;
    }
    Ok(())
}

/// The queues that the service works.
pub(super) fn streams<S>(service: &Service<S>) -> impl Iterator<Item = String> {
    worked(service).filter_map(|(_, command)| stream_of(command))
}

/// The queues that the service sends to, each with what it sends.
pub(super) fn sent_to<S>(service: &Service<S>) -> impl Iterator<Item = (String, SubjectFilter)> {
    sent(service).filter_map(|command| Some((stream_of(command)?, queue_filter_of(command)?)))
}

fn stream_of(command: MessageType) -> Option<String> {
    let name = MessageName::parse(command.name).ok()?;
    Some(name.context_name().queue_stream_name())
}

/// The durable commands that handlers dispatch and that the bus sends.
pub(super) fn sent<S>(service: &Service<S>) -> impl Iterator<Item = MessageType> {
    let dispatched = service.routes.iter().flat_map(|route| &route.sends.commands);
    dispatched.chain(&service.sends).map(|(contract, _)| *contract)
}

/// The durables that work a command, each with its command.
fn worked<S>(service: &Service<S>) -> impl Iterator<Item = (&str, MessageType)> {
    let durables = service.routes.iter().filter(|route| route.works_a_queue());
    durables.flat_map(|route| route.takes.iter().map(|(contract, _)| (&*route.name, *contract)))
}

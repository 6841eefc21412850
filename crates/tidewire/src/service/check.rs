//! What can be known of a declaration without a server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidewire_core::{
    ContextManifest, ContextName, HandlerManifest, Manifest, MessageManifest, MessageName, MessageType,
    Quality, SubjectFilter, Transport, wire,
};
use tidewire_subject::check_word;

use super::{Service, queue};
use crate::{
    batch::sends_nothing,
    inbox::REMEMBERED,
    route::{Carrier, Route},
    start_error::StartError,
};

/// The manifest of a declaration that does not contradict itself.
pub(super) fn manifest<S>(service: &Service<S>) -> Result<Manifest, StartError> {
    let mut problems = Vec::new();
    if let Err(error) = check_word(&service.name) {
        problems.push(format!("the service's name: {error}"));
    }
    if !is_semantic_version(&service.version) {
        let version = &service.version;
        problems.push(format!(
            "the version `{version}` is not MAJOR.MINOR.PATCH; write `env!(\"CARGO_PKG_VERSION\")`"
        ));
    }
    let names = names(service, &mut problems);
    names_are_unique(service, &mut problems);
    let handlers: Vec<_> = service
        .routes
        .iter()
        .map(|route| handler(service, route, &mut problems))
        .collect();
    let contexts = contexts(service, &names, &mut problems);
    problems.extend(queue::problems(service));
    if !problems.is_empty() {
        return Err(StartError::Declaration {
            service: service.name.clone(),
            problems,
        });
    }
    Ok(Manifest {
        service: service.name.clone(),
        version: service.version.clone(),
        contract: wire::CONTRACT.to_owned(),
        sizes: service.sizes.declared(),
        contexts,
        handlers,
        publishes: texts(&service.publishes),
        asks: texts(&service.asks),
        sends: texts(&service.sends),
        validates_sent: service.validates_sent,
        validates_received: service.validates_received,
        messages: messages(service),
    })
}

/// The filter of all messages of a type.
pub(super) fn filter_of(message: MessageType) -> Option<SubjectFilter> {
    let name = MessageName::parse(message.name).ok()?;
    Some(SubjectFilter::of_message(&name, message.keyed))
}

/// Every message that the service sends as an event: emitted by handlers, or published by its bus.
pub(super) fn sent_events<S>(service: &Service<S>) -> impl Iterator<Item = MessageType> {
    let emitted = service.routes.iter().flat_map(|route| &route.sends.emits);
    emitted.chain(&service.publishes).map(|(contract, _)| *contract)
}

/// The contexts of all events and durable commands that the service sends, and the streams that keep these.
pub(super) fn sent_to<S>(service: &Service<S>) -> BTreeMap<String, ContextName> {
    let named = |contract: MessageType| Some(MessageName::parse(contract.name).ok()?.context_name());
    let events = sent_events(service).filter_map(named);
    let commands = queue::sent(service).filter_map(named);
    let events = events.map(|context| (context.stream_name(), context));
    let commands = commands.map(|context| (context.queue_stream_name(), context));
    events.chain(commands).collect()
}

pub(super) fn all<S>(service: &Service<S>) -> impl Iterator<Item = &(MessageType, MessageManifest)> {
    let handled = service.routes.iter().flat_map(|route| {
        route
            .takes
            .iter()
            .chain(&route.sends.emits)
            .chain(&route.sends.asks)
            .chain(&route.sends.commands)
    });
    handled
        .chain(&service.publishes)
        .chain(&service.asks)
        .chain(&service.sends)
}

fn names<S>(service: &Service<S>, problems: &mut Vec<String>) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for (contract, _) in all(service) {
        if names.insert(contract.name)
            && let Err(error) = MessageName::parse(contract.name)
        {
            problems.push(format!("the message `{}`: {error}", contract.name));
        }
    }
    names
}

fn names_are_unique<S>(service: &Service<S>, problems: &mut Vec<String>) {
    let mut seen: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for route in &service.routes {
        let durable = match route.carrier {
            Carrier::Durable(_) => true,
            Carrier::Request { .. } => false,
            Carrier::Live { .. } => continue,
        };
        *seen.entry((durable, &route.name)).or_default() += 1;
    }
    for ((durable, name), count) in seen.into_iter().filter(|(_, count)| *count > 1) {
        problems.push(if durable {
            format!("the durable name `{name}` is given to {count} handlers; a durable has one handler: rename the others")
        } else {
            format!("`{name}` is answered by {count} handlers; a command or query has one: remove the others")
        });
    }
}

fn handler<S>(service: &Service<S>, route: &Route, problems: &mut Vec<String>) -> HandlerManifest {
    let filters = filters(route, problems);
    let transport = match &route.carrier {
        Carrier::Durable(terms) => {
            if let Err(error) = check_word(&route.name) {
                problems.push(format!("the durable name `{}`: {error}", route.name));
            }
            if route.batches && !sends_nothing(&route.sends) {
                problems.push(format!(
                    "the durable `{}` takes batches and sends: it would not be known of which event; take single events, or \
                     let another durable send",
                    route.name
                ));
            }
            let retry = terms.retry.unwrap_or(service.retry);
            if route.batches && retry.is_over(1, Duration::ZERO) {
                problems.push(format!(
                    "the durable `{}` takes batches and has one attempt: one bad event would make dead letters of its \
                     neighbours; give it two at least, the second of which is alone",
                    route.name
                ));
            }
            if terms.quality == Quality::EffectivelyOnce && retry.horizon() >= REMEMBERED {
                problems.push(format!(
                    "the durable `{}` is tried again for {:?}, and what was handled is remembered for {REMEMBERED:?}: give \
                     its `.retry(…)` fewer attempts or a shorter `.max_time(…)`",
                    route.name,
                    retry.horizon()
                ));
            }
            Transport::Durable {
                consumer: wire::consumer_name(&service.name, &route.name),
                filters,
                start: terms.start,
                concurrency: route.concurrency,
                policy: Box::new(terms.manifest(service.retry)),
            }
        }
        Carrier::Live { queue_group } => Transport::Live {
            filters,
            queue_group: queue_group.clone(),
        },
        Carrier::Request { kind } => Transport::Request {
            kind: *kind,
            subject: filters.into_iter().next().unwrap_or_default(),
        },
    };
    let mut layers = route.layers.clone();
    layers.extend(&service.layers);
    HandlerManifest {
        name: route.name.to_string(),
        takes: texts(&route.takes),
        versions: route
            .takes
            .iter()
            .map(|(contract, message)| (contract.name.to_owned(), message.versions()))
            .filter(|(_, versions)| versions.len() > 1)
            .collect(),
        emits: texts(&route.sends.emits),
        asks: texts(&route.sends.asks),
        sends: texts(&route.sends.commands),
        layers: layers.names().map(str::to_owned).collect(),
        transport,
    }
}

fn filters(route: &Route, problems: &mut Vec<String>) -> Vec<String> {
    let name = &route.name;
    match (&route.filter, route.takes.is_empty()) {
        (None, false) => queue::sources_of(route)
            .map(|(_, filter)| filter.to_string())
            .collect(),
        (Some(filter), true) => {
            if let Err(error) = SubjectFilter::parse(filter) {
                problems.push(format!("the filter `{filter}`: {error}"));
            }
            vec![filter.clone()]
        }
        (None, true) => {
            problems.push(format!(
                "the handler `{name}` takes whatever its filter matches; say what: `.filter(\"orders.>\")`"
            ));
            Vec::new()
        }
        (Some(filter), false) => {
            problems.push(format!(
                "the handler `{name}` takes events by type, and its filter `{filter}` would hide some; remove the filter, or take `Event<Any>`, or `Raw` or `Json<T>` for messages that are not Tidewire's"
            ));
            Vec::new()
        }
    }
}

fn contexts<S>(
    service: &Service<S>,
    names: &BTreeSet<&'static str>,
    problems: &mut Vec<String>,
) -> Vec<ContextManifest> {
    let mut contexts: Vec<ContextManifest> = Vec::new();
    for context in &service.contexts {
        let name = match ContextName::parse(&context.name) {
            Ok(name) => name,
            Err(error) => {
                problems.push(format!("the context `{}`: {error}", context.name));
                continue;
            }
        };
        if contexts.iter().any(|other| other.name == context.name) {
            problems.push(format!(
                "the context `{name}` is given twice; give it once, with all its settings"
            ));
        }
        let subjects: BTreeSet<_> = sent_events(service)
            .filter(|contract| names.contains(contract.name))
            .filter(|contract| MessageName::parse(contract.name).is_ok_and(|message| name.contains(&message)))
            .filter_map(filter_of)
            .map(|filter| filter.to_string())
            .collect();
        let queue = queue::subjects(service, &name);
        if subjects.is_empty() && queue.is_empty() {
            problems.push(format!(
                "the context `{name}` has no events: no handler emits one and the bus publishes none; nor does a durable handler work a command of it; remove the line, or add `.publishes::<E>()`"
            ));
        }
        contexts.push(ContextManifest {
            name: name.to_string(),
            stream: name.stream_name(),
            subjects: subjects.into_iter().collect(),
            queue,
            settings: context.settings(),
        });
    }
    contexts
}

/// Of several versions of one message the newest.
fn messages<S>(service: &Service<S>) -> BTreeMap<String, MessageManifest> {
    let mut messages: BTreeMap<String, MessageManifest> = BTreeMap::new();
    for (contract, manifest) in all(service) {
        let known = messages.get(contract.name);
        if known.is_none_or(|known| known.version <= manifest.version) {
            messages.insert(contract.name.to_owned(), manifest.clone());
        }
    }
    messages
}

fn texts(contracts: &[(MessageType, MessageManifest)]) -> Vec<String> {
    contracts
        .iter()
        .map(|(contract, _)| contract.name.to_owned())
        .collect()
}

/// As the services protocol wants it: three numbers, and perhaps a label behind `-` or `+`.
fn is_semantic_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u64>().is_ok())
}

//! From a declaration to a running service.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_nats::Client;
use tidewire_core::{
    ContextManifest, ContextName, Kind, Manifest, MessageManifest, MessageName, MessageType, Retry,
    SubjectFilter, Transport, wire,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{Service, check, durables, needs::Needs, queue, validity};
use crate::{
    bus::{Bus, Declared},
    checkup::{Checkup, Consumers, SentTo},
    connection::{Connection, End, Refusal},
    depth::Depths,
    endpoint, given_up,
    health::Health,
    hearing::{Heard, Hearing},
    listen, manifest_bucket,
    metrics::{self, Attempts, Sends},
    monitor::Monitor,
    objects,
    operations::{Operable, Operations},
    quarantine::Quarantine,
    route::{Carrier, Route},
    running::Running,
    sender::{Sender, Sending},
    service_protocol::{Endpoint, EndpointStats, Instance},
    start_error::StartError,
    start_table::StartTable,
    stream::{ensure, streams_overlapping, wait_for_subject},
    uncaptured::Uncaptured,
    wiring::Wiring,
};

/// The oldest server that refuses what it does not know and compares expected sequences in batches rightly.
const OLDEST_SERVER: &str = "2.14.4";

/// How long the client may take to tell of a refused subscription after the server has answered what came later.
const TOLD_WITHIN: Duration = Duration::from_millis(20);

/// How long it may take until the end of a client is known that has just refused to work.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// How long a start may take in all: longer than the longest wait for a lease, which is 45 seconds.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// Starts the service, unless the server refuses something meanwhile: a permission that is missing is told to the
/// connection and not to the call that lacks it.
pub(super) async fn start<S>(service: Service<S>, nats: Connection) -> Result<Running, StartError> {
    let needs = Needs::of(&service);
    let health = Health::default();
    let monitor = match service.monitor {
        Some(address) => Some(Monitor::start(address, health.clone()).await?),
        None => None,
    };
    metrics::begin(&service.name, &service.version);
    let needed = |refusal: &Refusal| needs.concerns(&nats, refusal);
    let starting = nats
        .refusals()
        .or_refused(needed, start_all(service, nats.clone(), health));
    let running = timeout(STARTED_WITHIN, starting)
        .await
        .map_err(|_| StartError::TimedOut {
            within: STARTED_WITHIN,
        })???;
    manifest_bucket::write(&nats, running.manifest()).await;
    Ok(running.monitored(monitor))
}

async fn start_all<S>(
    mut service: Service<S>,
    nats: Connection,
    health: Health,
) -> Result<Running, StartError> {
    let manifest = check::manifest(&service)?;
    let schemas = validity::prepare(&mut service)?;
    check_server(&nats.client())?;
    requests_are_free(&service, &nats, &manifest).await?;
    for (context, declared) in service.contexts.iter().zip(&manifest.contexts) {
        let ContextManifest {
            name,
            stream,
            subjects,
            queue,
            ..
        } = declared;
        if !subjects.is_empty() {
            ensure(&nats, context, stream, subjects, &manifest.service).await?;
        }
        if let (false, Ok(name)) = (queue.is_empty(), ContextName::parse(name)) {
            let stream = name.queue_stream_name();
            ensure(&nats, &context.queue(), &stream, queue, &manifest.service).await?;
        }
    }
    sent_events_are_kept(&service, &nats, &health, &manifest).await?;
    queue::are_kept(&service, &nats, &health, &manifest).await?;
    if service.sizes.claim_check_above.is_some() {
        for (stream, context) in check::sent_to(&service) {
            objects::ensure(&nats, &stream, &context).await?;
        }
    }
    let streams = streams(&service, &manifest);
    let sender = Sender::new(Sending {
        connection: nats,
        service: manifest.service.clone(),
        format: service.format,
        schemas,
        sends: sends(&service),
        health: health.clone(),
        sizes: service.sizes,
        uncaptured: Uncaptured::default(),
    });
    let wiring = Wiring::start(sender, health).map_err(StartError::Threads)?;
    let bus = Bus::new(wiring.sender.clone(), declared(&service));
    // Whatever fails from here on, the service's tasks end with `running`.
    let running = Running::new(wiring.clone(), bus, manifest, service.grace);
    let (table, consumers) = start_routes(&wiring, service.routes, running.manifest(), service.retry).await?;
    let checkup = Checkup::new(wiring.clone(), streams, consumers);
    tokio::spawn(checkup.run());
    given_up::hear(&wiring, running.manifest())
        .await
        .map_err(StartError::connection)?;
    // The server has every subscription, and has answered every pull, once a message came back that was sent after them.
    let living = wiring.sender.connection().living();
    if let Err(error) = wiring.sender.round_trip().await {
        // A client that dies on the first message that comes to it has begun to run: what follows is for those who watch
        // over it.
        match timeout(ENDED_WITHIN, living.ended()).await {
            Ok(End::Died) => {}
            Ok(End::ForGood) | Err(_) => return Err(StartError::connection(error)),
        }
    }
    sleep(TOLD_WITHIN).await;
    tracing::info!(
        "{} {} has started\n{table}",
        running.manifest().service,
        running.manifest().version
    );
    if wiring.sender.connection().has_the_common_inbox() {
        tracing::info!(
            "answers to {0} come to `_INBOX`, where every other service on it may read them; in production connect with \
             `.service(\"{0}\")`: `Connect::from_env()?.service(\"{0}\").connect()`",
            running.manifest().service
        );
    }
    Ok(running)
}

fn check_server(nats: &Client) -> Result<(), StartError> {
    let Some(found) = nats.try_server_info().map(|info| info.version) else {
        return Err(StartError::connection("the client is not connected yet"));
    };
    let number = |text: &str| -> Vec<u64> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    if number(&found) < number(OLDEST_SERVER) {
        return Err(StartError::ServerTooOld {
            found,
            needed: OLDEST_SERVER,
        });
    }
    Ok(())
}

/// What is counted of what the service sends.
fn sends<S>(service: &Service<S>) -> Sends {
    fn names(contracts: &[(MessageType, MessageManifest)]) -> impl Iterator<Item = &'static str> {
        contracts.iter().map(|(contract, _)| contract.name)
    }
    let sends = service.routes.iter().map(|route| &route.sends);
    let stored = sends
        .clone()
        .flat_map(|sends| names(&sends.emits).chain(names(&sends.commands)));
    let asked = sends.flat_map(|sends| names(&sends.asks));
    let published = names(&service.publishes).chain(names(&service.sends));
    Sends::of(
        &service.name,
        stored.chain(published),
        asked.chain(names(&service.asks)),
    )
}

/// The streams that the service keeps, and those without which it cannot send what it declares, each with that.
fn streams<S>(service: &Service<S>, manifest: &Manifest) -> SentTo {
    let kept = manifest
        .contexts
        .iter()
        .filter(|context| !context.subjects.is_empty());
    let kept = kept.map(|context| context.stream.clone());
    let kept = kept.chain(queue::streams(service));
    let mut streams: SentTo = kept.map(|stream| (stream, Vec::new())).collect();
    let emitted = check::sent_events(service)
        .filter_map(|contract| Some((stream_of(contract.name), check::filter_of(contract)?)));
    for (stream, filter) in emitted.chain(queue::sent_to(service)) {
        streams.entry(stream).or_default().push(filter);
    }
    streams
}

fn declared<S>(service: &Service<S>) -> Declared {
    Declared {
        publishes: service
            .publishes
            .iter()
            .map(|(contract, _)| contract.name)
            .collect(),
        asks: service.asks.iter().map(|(contract, _)| contract.name).collect(),
        sends: service.sends.iter().map(|(contract, _)| contract.name).collect(),
    }
}

/// What handlers and the bus ask.
fn asked<S>(service: &Service<S>) -> impl Iterator<Item = MessageType> {
    let asked = service.routes.iter().flat_map(|route| &route.sends.asks);
    asked.chain(&service.asks).map(|(contract, _)| *contract)
}

/// A stream that captures a command or query would answer the caller with its own ack: neither who answers nor who asks
/// starts beside it.
async fn requests_are_free<S>(
    service: &Service<S>,
    nats: &Connection,
    manifest: &Manifest,
) -> Result<(), StartError> {
    let answered = manifest
        .handlers
        .iter()
        .filter_map(|handler| match &handler.transport {
            Transport::Request { subject, .. } => Some(subject.clone()),
            _ => None,
        });
    let answered: BTreeSet<String> = answered.collect();
    let asked: BTreeSet<String> = asked(service)
        .filter_map(check::filter_of)
        .map(|filter| filter.to_string())
        .collect();
    for subject in answered.iter().chain(asked.difference(&answered)) {
        match streams_overlapping(nats, subject).await {
            Ok(streams) => {
                if let Some(stream) = streams.into_iter().next() {
                    return Err(StartError::RequestCaptured {
                        stream,
                        subject: subject.clone(),
                    });
                }
            }
            Err(StartError::NoJetStream { .. }) => return Ok(()),
            Err(StartError::NotPermitted(refusal)) => {
                tracing::info!(%refusal, "whether a stream captures this service's requests is not known");
                return Ok(());
            }
            // To ask takes no JetStream: one that has no leader now is no reason not to start.
            Err(StartError::JetStream(error)) if !answered.contains(subject) => {
                tracing::info!(%error, "whether a stream captures what this service asks is not known");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Events of contexts that other services keep must have a stream as well.
async fn sent_events_are_kept<S>(
    service: &Service<S>,
    nats: &Connection,
    health: &Health,
    manifest: &Manifest,
) -> Result<(), StartError> {
    let kept: BTreeSet<_> = manifest
        .contexts
        .iter()
        .flat_map(|context| &context.subjects)
        .collect();
    for contract in check::sent_events(service) {
        let Some(filter) = check::filter_of(contract) else {
            continue;
        };
        if !kept.contains(&filter.to_string()) {
            let stream = stream_of(contract.name);
            wait_for_subject(nats, health, &stream, &filter, "what the service emits").await?;
        }
    }
    Ok(())
}

pub(super) fn stream_of(message: &str) -> String {
    MessageName::parse(message)
        .map(|name| name.context_name().stream_name())
        .unwrap_or_default()
}

/// What is made ready before anything runs: a start that fails has handled nothing.
enum Ready {
    Durable(Box<durables::Ready>),
    Live(Hearing),
    Request(Hearing, Arc<EndpointStats>),
}

async fn start_routes(
    wiring: &Wiring,
    mut routes: Vec<Route>,
    manifest: &Manifest,
    retry: Retry,
) -> Result<(StartTable, Consumers), StartError> {
    let service = &manifest.service;
    let mut table = StartTable::default();
    let mut endpoints = Vec::new();
    let mut ready = Vec::new();
    let inbox = wiring.sender.client().new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or_default().to_owned();
    for (index, route) in routes.iter_mut().enumerate() {
        route.identity = match route.carrier {
            // Two live handlers of one event have no names to tell them apart.
            Carrier::Live { .. } => format!("{service}__live-{index}").into(),
            _ => wire::consumer_name(service, &route.name).into(),
        };
        let takes = route.takes.iter().map(|(contract, _)| contract.name);
        let tally = wiring.counter.of(&route.identity);
        route.attempts = Attempts::of(service, &route.identity, takes, tally);
    }
    let mut durables = durables::prepare(wiring, &routes, manifest, retry, &id).await?;
    for route in &routes {
        let mut waiting = None;
        ready.push(match &route.carrier {
            Carrier::Durable(_) => {
                let Some(durable) = durables.remove(&route.name) else {
                    continue;
                };
                waiting = Some(durable.depth);
                Ready::Durable(Box::new(durable))
            }
            Carrier::Live { queue_group } => Ready::Live(hear(wiring, route, queue_group.as_ref()).await?),
            Carrier::Request { kind } => {
                let (endpoint, requests) = endpoint(wiring, route, *kind, manifest).await?;
                let stats = endpoint.stats.clone();
                endpoints.push(endpoint);
                Ready::Request(requests, stats)
            }
        });
        table.add(route, waiting);
    }
    let first_pulls = TaskTracker::new();
    let (mut consumers, mut watched, mut operable) = (Vec::new(), Vec::new(), Vec::new());
    let mut by_durable = Consumers::new();
    let instance = Instance::new(service, id.clone(), &manifest.version, endpoints);
    let questions = instance.subscribe(wiring).await?;
    wiring.spawn(instance.answer(wiring.clone(), questions));
    for (route, ready) in routes.into_iter().zip(ready) {
        match ready {
            Ready::Durable(durable) => {
                consumers.extend(durable.specs.clone());
                watched.extend(durable.specs.iter().map(|spec| (spec.clone(), durable.desk())));
                let specs = durable.specs.iter();
                let read: Vec<_> = specs
                    .map(|spec| (spec.stream.clone(), spec.name.clone()))
                    .collect();
                by_durable.insert(route.name.to_string(), read.clone());
                let gauge = metrics::breaker(service, &route.identity);
                tokio::spawn(
                    durable
                        .breaker
                        .clone()
                        .show(gauge, wiring.health.clone(), wiring.over.clone()),
                );
                operable.push(Operable {
                    name: route.name.to_string(),
                    consumers: read,
                    breaker: durable.breaker.clone(),
                    json: route.json,
                });
                durable.run(wiring, &first_pulls);
            }
            Ready::Live(events) => wiring.spawn(listen::listen(wiring.clone(), route, events)),
            Ready::Request(requests, stats) => {
                wiring.spawn(endpoint::serve(wiring.clone(), route, requests, stats));
            }
        }
    }
    if !consumers.is_empty() {
        let depths = Depths::new(wiring.sender.connection(), &consumers);
        wiring.spawn(depths.run(wiring.stop.clone()));
        wiring.spawn(Quarantine::new(wiring, id.clone(), watched).run());
        let operations = Operations {
            wiring: wiring.clone(),
            service: service.clone(),
            instance: id,
            durables: operable,
        };
        let requests = operations.hear().await?;
        wiring.spawn(operations.answer(requests));
    }
    // What a pull may not do is told to the connection: it is asked for before the start is over.
    first_pulls.close();
    first_pulls.wait().await;
    Ok((table, by_durable))
}

pub(super) fn filters(route: &Route) -> Vec<String> {
    let typed = route
        .takes
        .iter()
        .filter_map(|(contract, _)| check::filter_of(*contract));
    typed
        .map(|filter: SubjectFilter| filter.to_string())
        .chain(route.filter.clone())
        .collect()
}

async fn hear(wiring: &Wiring, route: &Route, group: Option<&String>) -> Result<Hearing, StartError> {
    let heard = |subject| Heard {
        subject,
        queue_group: group.cloned(),
    };
    let subjects = filters(route).into_iter().map(heard).collect();
    Hearing::begin(wiring, subjects)
        .await
        .map_err(StartError::connection)
}

async fn endpoint(
    wiring: &Wiring,
    route: &Route,
    kind: Kind,
    manifest: &Manifest,
) -> Result<(Endpoint, Hearing), StartError> {
    let subject = filters(route).into_iter().next().unwrap_or_default();
    let queue_group = manifest.service.clone();
    let heard = Heard {
        subject: subject.clone(),
        queue_group: Some(queue_group.clone()),
    };
    let requests = Hearing::begin(wiring, vec![heard]).await;
    let mut metadata = BTreeMap::from([("tidewire.kind".to_owned(), kind.to_string())]);
    if let Some(message) = manifest.messages.get(&*route.name) {
        metadata.insert("tidewire.name".into(), route.name.to_string());
        metadata.insert("tidewire.version".into(), message.version.to_string());
        metadata.insert("schema.request".into(), message.schema.to_string());
        if let Some(reply) = &message.reply {
            metadata.insert("schema.response".into(), reply.to_string());
        }
    }
    let (name, stats) = (route.name.replace('.', "-"), Arc::default());
    let endpoint = Endpoint {
        name,
        subject,
        queue_group,
        metadata,
        stats,
    };
    Ok((endpoint, requests.map_err(StartError::connection)?))
}

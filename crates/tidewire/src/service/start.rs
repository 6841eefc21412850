//! From a declaration to a running service.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_nats::{Client, jetstream};
use tidewire_core::{Kind, Manifest, MessageName, SubjectFilter, wire};

use super::{Service, check};
use crate::{
    bus::{Bus, Declared},
    consumer::{ConsumerSpec, Depth, Puller, declare},
    endpoint, listen,
    route::{Carrier, Route},
    running::Running,
    sender::Sender,
    service_protocol::{Endpoint, EndpointStats, Instance},
    start_error::StartError,
    start_table::StartTable,
    stream::{ensure, streams_overlapping, wait_for_subject},
    wiring::Wiring,
};

/// The oldest server that refuses what it does not know and compares expected sequences in batches rightly.
const OLDEST_SERVER: &str = "2.14.4";

pub(super) async fn start<S>(service: Service<S>, nats: Client) -> Result<Running, StartError> {
    let manifest = check::manifest(&service)?;
    let js = jetstream::new(nats.clone());
    check_server(&nats)?;
    for (context, declared) in service.contexts.iter().zip(&manifest.contexts) {
        ensure(
            &js,
            context,
            &declared.stream,
            &declared.subjects,
            &manifest.service,
        )
        .await?;
    }
    sent_events_are_kept(&service, &js, &manifest).await?;
    let wiring = Wiring::start(Sender::new(nats, &manifest.service)).map_err(StartError::Threads)?;
    let bus = Bus::new(wiring.sender.clone(), declared(&service));
    // Whatever fails from here on, the service's tasks end with `running`.
    let running = Running::new(wiring.clone(), bus, manifest, service.grace);
    let table = start_routes(&wiring, &js, service.routes, running.manifest()).await?;
    // The server has every subscription once a message came back that was sent after them.
    wiring.sender.round_trip().await.map_err(StartError::connection)?;
    tracing::info!(
        "{} {} has started\n{table}",
        running.manifest().service,
        running.manifest().version
    );
    Ok(running)
}

fn check_server(nats: &Client) -> Result<(), StartError> {
    let found = nats.server_info().version;
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

fn declared<S>(service: &Service<S>) -> Declared {
    Declared {
        publishes: service
            .publishes
            .iter()
            .map(|(contract, _)| contract.name)
            .collect(),
        asks: service.asks.iter().map(|(contract, _)| contract.name).collect(),
    }
}

/// Events of contexts that other services keep must have a stream as well.
async fn sent_events_are_kept<S>(
    service: &Service<S>,
    js: &jetstream::Context,
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
            wait_for_subject(js, &stream, &filter, "what the service emits").await?;
        }
    }
    Ok(())
}

fn stream_of(message: &str) -> String {
    MessageName::parse(message)
        .map(|name| name.context_name().stream_name())
        .unwrap_or_default()
}

async fn start_routes(
    wiring: &Wiring,
    js: &jetstream::Context,
    routes: Vec<Route>,
    manifest: &Manifest,
) -> Result<StartTable, StartError> {
    let mut table = StartTable::default();
    let mut endpoints = Vec::new();
    for route in routes {
        let depth = match route.carrier.clone() {
            Carrier::Durable { start } => {
                let mut depths = Vec::new();
                for (stream, filters) in sources(js, &route).await? {
                    let spec = ConsumerSpec {
                        name: wire::consumer_name(&manifest.service, &route.name),
                        service: manifest.service.clone(),
                        durable: route.name.to_string(),
                        stream,
                        filters,
                        start,
                    };
                    depths.push(declare(js, &spec).await?);
                    wiring.spawn(Puller::new(wiring, js, spec, route.clone()).run());
                }
                depths.into_iter().reduce(|all, one| Depth {
                    pending: all.pending + one.pending,
                    unacknowledged: all.unacknowledged + one.unacknowledged,
                })
            }
            Carrier::Live { queue_group } => {
                start_live(wiring, &route, queue_group).await?;
                None
            }
            Carrier::Request { kind } => {
                endpoints.push(start_endpoint(wiring, js, &route, kind, manifest).await?);
                None
            }
        };
        table.add(&route, depth);
    }
    let id = wiring
        .sender
        .client()
        .new_inbox()
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    let instance = Instance::new(&manifest.service, id, &manifest.version, endpoints);
    let questions = instance.subscribe(wiring).await?;
    wiring.spawn(instance.answer(wiring.clone(), questions));
    Ok(table)
}

/// The streams that feed a durable, with the subjects that it reads there.
async fn sources(
    js: &jetstream::Context,
    route: &Route,
) -> Result<BTreeMap<String, Vec<String>>, StartError> {
    let needs = format!("the durable `{}`", route.name);
    let mut sources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Some(filter) = &route.filter {
        for stream in streams_overlapping(js, filter).await? {
            sources.insert(stream, vec![filter.clone()]);
        }
        if sources.is_empty() {
            return Err(StartError::NotFed {
                needs,
                filter: filter.clone(),
                stream: "of any name".into(),
                within: std::time::Duration::ZERO,
            });
        }
        return Ok(sources);
    }
    for (contract, _) in &route.takes {
        let Some(filter) = check::filter_of(*contract) else {
            continue;
        };
        let stream = stream_of(contract.name);
        wait_for_subject(js, &stream, &filter, &needs).await?;
        sources.entry(stream).or_default().push(filter.to_string());
    }
    Ok(sources)
}

fn filters(route: &Route) -> Vec<String> {
    let typed = route
        .takes
        .iter()
        .filter_map(|(contract, _)| check::filter_of(*contract));
    typed
        .map(|filter: SubjectFilter| filter.to_string())
        .chain(route.filter.clone())
        .collect()
}

async fn start_live(wiring: &Wiring, route: &Route, group: Option<String>) -> Result<(), StartError> {
    let client = wiring.sender.client();
    let mut subscriptions = Vec::new();
    for filter in filters(route) {
        let subscribed = match &group {
            Some(group) => client.queue_subscribe(filter, group.clone()).await,
            None => client.subscribe(filter).await,
        };
        subscriptions.push(subscribed.map_err(StartError::connection)?);
    }
    wiring.spawn(listen::listen(wiring.clone(), route.clone(), subscriptions));
    Ok(())
}

async fn start_endpoint(
    wiring: &Wiring,
    js: &jetstream::Context,
    route: &Route,
    kind: Kind,
    manifest: &Manifest,
) -> Result<Endpoint, StartError> {
    let subject = filters(route).into_iter().next().unwrap_or_default();
    if let Some(stream) = streams_overlapping(js, &subject).await?.into_iter().next() {
        return Err(StartError::RequestCaptured { stream, subject });
    }
    let group = manifest.service.clone();
    let requests = wiring
        .sender
        .client()
        .queue_subscribe(subject.clone(), group.clone())
        .await;
    let requests = requests.map_err(StartError::connection)?;
    let stats = Arc::new(EndpointStats::default());
    wiring.spawn(endpoint::serve(
        wiring.clone(),
        route.clone(),
        requests,
        stats.clone(),
    ));
    let mut metadata = BTreeMap::from([("tidewire.kind".to_owned(), kind.to_string())]);
    if let Some(message) = manifest.messages.get(&*route.name) {
        metadata.insert("tidewire.name".into(), route.name.to_string());
        metadata.insert("tidewire.version".into(), message.version.to_string());
        metadata.insert("schema.request".into(), message.schema.to_string());
        if let Some(reply) = &message.reply {
            metadata.insert("schema.response".into(), reply.to_string());
        }
    }
    Ok(Endpoint {
        name: route.name.replace('.', "-"),
        subject,
        queue_group: group,
        metadata,
        stats,
    })
}

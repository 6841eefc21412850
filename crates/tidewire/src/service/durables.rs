//! Making ready what the durables of a service need.

use std::{collections::BTreeMap, sync::Arc};

use tidewire_core::{ContextName, Manifest, Quality, Retry, Start, wire};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::queue;
use crate::{
    breaker::Breaker,
    bucket::Bucket,
    connection::Connection,
    consumer::{
        ConsumerSpec, Depth, Desk, Events, Gate, Lease, Ordered, Parking, Place, Puller, Runs, Work, declare,
    },
    election::Patience,
    error_events::ErrorEvents,
    health::Health,
    inbox::Inbox,
    letters::Letters,
    metrics,
    quarantine::Received,
    route::{Carrier, Route},
    service_streams,
    start_error::StartError,
    stream::{find, streams_overlapping, wait_for_subject},
    subscription::DurableTerms,
    wiring::Wiring,
};

/// A durable whose consumers are made and whose messages can be worked on.
pub(super) struct Ready {
    pub(super) specs: Vec<ConsumerSpec>,
    pub(super) depth: Depth,
    work: Work,
    pub(super) breaker: Breaker,
    /// What keeps the order, where the durable is ordered by key.
    order: Option<Order>,
}

struct Order {
    events: Events,
    lease: Lease,
    parking: Arc<Parking>,
}

impl Ready {
    /// Where its messages are worked on.
    pub(super) fn desk(&self) -> Arc<Desk> {
        self.work.desk()
    }

    /// Reads the consumers until the service stops. `first` is over once all have asked for messages; one that is ordered
    /// by key may have to wait for another instance before it asks.
    pub(super) fn run(self, wiring: &Wiring, first: &TaskTracker) {
        let work = self.work;
        let mut pullers = self
            .specs
            .into_iter()
            .map(|spec| Puller::new(wiring, spec, work.clone()))
            .collect::<Vec<_>>();
        match self.order {
            Some(Order {
                events,
                lease,
                parking,
            }) => wiring.spawn(Ordered::new(wiring, work, events, pullers, lease, parking).run()),
            None => pullers
                .drain(..)
                .for_each(|puller| wiring.spawn(puller.awaited(first.token()).run())),
        }
    }
}

type Sources = BTreeMap<String, Vec<String>>;

/// Finds the streams of every durable, makes those for what fails, with as many replicas as the streams have, and the
/// consumers; the durables by their names.
pub(super) async fn prepare(
    wiring: &Wiring,
    routes: &[Route],
    manifest: &Manifest,
    retry: Retry,
    instance: &str,
) -> Result<BTreeMap<Arc<str>, Ready>, StartError> {
    let nats = wiring.sender.connection();
    let mut durables = Vec::new();
    let mut replicas = 1;
    for route in routes {
        let Carrier::Durable(terms) = &route.carrier else {
            continue;
        };
        let sources = sources(nats, &wiring.health, route).await?;
        for stream in sources.keys() {
            let config = find(nats, stream).await?;
            replicas = replicas.max(config.map_or(1, |config| config.num_replicas));
        }
        durables.push((route, &**terms, sources));
    }
    let mut ready = BTreeMap::new();
    if durables.is_empty() {
        return Ok(ready);
    }
    let service = &manifest.service;
    service_streams::ensure(nats, service, replicas).await?;
    nothing_is_stranded(nats, service, &durables).await?;
    let shared = Shared {
        wiring,
        manifest,
        retry,
        by: format!("{service} {} ({instance})", manifest.version),
        replicas,
        runs: Runs::bucket(nats, service, replicas).await?,
        inbox: if durables
            .iter()
            .any(|(_, terms, _)| terms.quality == Quality::EffectivelyOnce)
        {
            Some(Inbox::bucket(nats, service, replicas).await?)
        } else {
            None
        },
        letters: Letters::new(nats.clone(), replicas, wiring.health.clone()),
        errors: ErrorEvents::start(wiring),
        suspect: Arc::default(),
    };
    for (route, terms, sources) in durables {
        let (specs, depth) = shared.declare(route, terms, sources).await?;
        let (work, order) = shared.work(route, terms).await?;
        let durable = Ready {
            specs,
            depth,
            work,
            breaker: terms.breaker.clone(),
            order,
        };
        ready.insert(route.name.clone(), durable);
    }
    Ok(ready)
}

/// A durable that is not ordered by key reads no parked messages.
async fn nothing_is_stranded(
    nats: &Connection,
    service: &str,
    durables: &[(&Route, &DurableTerms, Sources)],
) -> Result<(), StartError> {
    for (durable, messages) in Parking::counts(nats, service).await? {
        let declared = durables.iter().find(|(route, ..)| *route.name == *durable);
        match declared {
            Some((_, terms, _)) if terms.ordered => {}
            Some(_) => {
                return Err(StartError::Parked {
                    stream: wire::service_stream(service),
                    durable,
                    messages,
                });
            }
            None => {
                tracing::error!(
                    service,
                    durable,
                    messages,
                    "messages are parked of a durable that is not declared"
                );
            }
        }
    }
    Ok(())
}

/// What the durables of one instance share.
struct Shared<'a> {
    wiring: &'a Wiring,
    manifest: &'a Manifest,
    retry: Retry,
    by: String,
    replicas: usize,
    runs: Bucket,
    /// Where a durable needs one.
    inbox: Option<Bucket>,
    letters: Letters,
    errors: ErrorEvents,
    suspect: Arc<Mutex<()>>,
}

impl Shared<'_> {
    /// Makes the consumers of a durable: one on each stream that has its events, and one for its replays.
    async fn declare(
        &self,
        route: &Route,
        terms: &DurableTerms,
        sources: Sources,
    ) -> Result<(Vec<ConsumerSpec>, Depth), StartError> {
        let service = &self.manifest.service;
        let spec = |stream: String, filters, start| ConsumerSpec {
            name: wire::consumer_name(service, &route.name),
            service: service.clone(),
            durable: route.name.to_string(),
            stream,
            filters,
            start,
            ack_wait: terms.ack_wait,
            received: Received::default(),
            place: Place::default(),
            pinned_for: terms.ordered.then(|| Lease::length(terms.ack_wait) * 3),
        };
        let mut specs: Vec<_> = sources
            .into_iter()
            .map(|(stream, filters)| spec(stream, filters, terms.start))
            .collect();
        let replays = vec![wire::retry_subject(service, &route.name, "*")];
        specs.push(spec(wire::service_stream(service), replays, Start::Beginning));
        let mut depth = Depth::default();
        for spec in &specs {
            let patience = Patience::begins();
            depth = depth.and(loop {
                match declare(self.wiring.sender.connection(), spec).await {
                    Err(error) => patience.with(error).await?,
                    Ok(found) => break found,
                }
            });
        }
        Ok((specs, depth))
    }

    /// The desk at which a durable's messages are worked on.
    async fn work(&self, route: &Route, terms: &DurableTerms) -> Result<(Work, Option<Order>), StartError> {
        let policy = terms.policy(self.retry);
        let desk = Desk {
            service: self.manifest.service.clone(),
            service_stream: wire::service_stream(&self.manifest.service),
            by: self.by.clone(),
            version: self.manifest.version.clone(),
            route: route.clone(),
            filters: match &route.filter {
                // What others name need not be by our grammar, and such a filter cannot grow.
                Some(_) => Vec::new(),
                None => queue::sources_of(route).map(|(_, filter)| filter).collect(),
            },
            sender: self.wiring.sender.clone(),
            time_limit: terms.time_limit,
            gate: Gate::new(terms.breaker.clone(), terms.rate, terms.bulkhead.clone()),
            runs: Runs::new(self.runs.clone(), &route.name, &policy.retry),
            policy,
            letters: self.letters.clone(),
            inbox: self
                .inbox
                .clone()
                .filter(|_| terms.quality == Quality::EffectivelyOnce)
                .map(|bucket| Inbox::new(bucket, route.name.clone())),
            errors: self.errors.clone(),
            counts: metrics::Letters::of(&self.manifest.service, &route.identity),
            unheard: self.wiring.unheard.clone(),
            suspect: self.suspect.clone(),
            stop: self.wiring.stop.clone(),
        };
        if !terms.ordered {
            return Ok((Work::new(self.wiring, desk, terms.ack_wait), None));
        }
        let (nats, service) = (self.wiring.sender.connection(), &self.manifest.service);
        let bucket = Lease::bucket(nats, service, self.replicas).await?;
        let lasts = Lease::length(terms.ack_wait);
        let lease = Lease::new(bucket, &route.name, &self.by, lasts);
        let parking = Parking::new(nats, &self.letters, service, &route.name);
        let (work, events) = Work::in_order(self.wiring, desk, terms.ack_wait);
        let order = Order {
            events,
            lease,
            parking,
        };
        Ok((work, Some(order)))
    }
}

/// The streams that feed a durable, with the subjects that it reads there. A wide filter does not mean the queues, whose
/// commands are for those who work them.
async fn sources(nats: &Connection, health: &Health, route: &Route) -> Result<Sources, StartError> {
    let needs = format!("the durable `{}`", route.name);
    let mut sources = Sources::new();
    if let Some(filter) = &route.filter {
        let streams = streams_overlapping(nats, filter).await?;
        let is_meant =
            |stream: &String| filter.starts_with(wire::QUEUE_PREFIX) || !ContextName::is_queue_stream(stream);
        for stream in streams
            .into_iter()
            .filter(|stream| !is_internal(stream) && is_meant(stream))
        {
            sources.insert(stream, vec![filter.clone()]);
        }
        if sources.is_empty() {
            return Err(StartError::NothingMatches {
                needs,
                filter: filter.clone(),
            });
        }
        return Ok(sources);
    }
    for (stream, filter) in queue::sources_of(route) {
        wait_for_subject(nats, health, &stream, &filter, &needs).await?;
        sources.entry(stream).or_default().push(filter.to_string());
    }
    Ok(sources)
}

/// Buckets, object stores and Tidewire's own streams hold no events, and a wide filter matches them too.
fn is_internal(stream: &str) -> bool {
    ["KV_", "OBJ_", "TIDEWIRE_", "TW_"]
        .iter()
        .any(|prefix| stream.starts_with(prefix))
}

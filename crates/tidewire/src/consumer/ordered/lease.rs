//! Which instance is the active one of a durable.

use std::{sync::Arc, time::Duration};

use tidewire_core::{BoxError, wire};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{baton::Baton, term::Term};
use crate::{
    bucket::{Bucket, Expect},
    connection::Connection,
    start_error::StartError,
};

/// How long what was done is remembered while no instance is there.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// One durable's lease, as one instance sees it: a record with an expected sequence.
///
/// Nobody compares clocks: an instance takes the lease when the record has not changed for as long as it lasts by its
/// own clock, and the holder believes in it for as long after it began to write the record.
#[derive(Debug)]
pub(crate) struct Lease {
    bucket: Bucket,
    durable: String,
    /// This instance, in words.
    by: String,
    lasts: Duration,
    /// The place of the record.
    sequence: u64,
}

impl Lease {
    /// The bucket of a service, made where there is none.
    pub(crate) async fn bucket(
        nats: &Connection,
        service: &str,
        replicas: usize,
    ) -> Result<Bucket, StartError> {
        let description = format!("which instance of {service} is the active one of a durable");
        Bucket::of_service(nats, wire::service_leases_bucket(service), description, replicas).await
    }

    /// How long a lease lasts without a sign of life, by the ack wait of its durable: a sixth of it, from one second to
    /// five.
    pub(crate) fn length(ack_wait: Duration) -> Duration {
        (ack_wait / 6).clamp(Duration::from_secs(1), Duration::from_secs(5))
    }

    pub(crate) fn new(bucket: Bucket, durable: &str, by: &str, lasts: Duration) -> Self {
        Self {
            bucket,
            durable: durable.to_owned(),
            by: by.to_owned(),
            lasts,
            sequence: 0,
        }
    }

    /// Waits until this instance is the active one; `None` where the service stops before.
    pub(super) async fn acquire(&mut self, stop: &CancellationToken) -> Option<Arc<Term>> {
        tokio::select! {
            () = stop.cancelled() => None,
            (until, baton) = self.take() => Some(Term::new(stop, until, baton)),
        }
    }

    async fn take(&mut self) -> (Instant, Baton) {
        let mut seen: Option<(u64, Instant)> = None;
        loop {
            match self.try_take(&mut seen).await {
                Ok(Some(taken)) => return taken,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(durable = self.durable, error, "the lease cannot be read or taken");
                }
            }
            sleep(self.lasts / 10).await;
        }
    }

    async fn try_take(
        &mut self,
        seen: &mut Option<(u64, Instant)>,
    ) -> Result<Option<(Instant, Baton)>, BoxError> {
        let entry = self.bucket.get(&self.durable).await?;
        let sequence = entry.as_ref().map_or(0, |entry| entry.sequence);
        let baton: Baton = match entry.and_then(|entry| entry.value) {
            Some(value) => serde_json::from_slice(&value)?,
            None => Baton::default(),
        };
        let since = match *seen {
            Some((known, since)) if known == sequence => since,
            _ => Instant::now(),
        };
        *seen = Some((sequence, since));
        if baton.holder.is_some() && since.elapsed() < self.lasts {
            return Ok(None);
        }
        let began = Instant::now();
        let mine = Baton {
            holder: Some(self.by.clone()),
            ..baton.clone()
        };
        Ok(self.write(&mine, sequence).await?.map(|written| {
            tracing::trace!(target: "tidewire::walk", "lease taken");
            self.sequence = written;
            (began + self.lasts, baton)
        }))
    }

    async fn write(&self, baton: &Baton, sequence: u64) -> Result<Option<u64>, BoxError> {
        let value = serde_json::to_vec(baton)?;
        let put = self
            .bucket
            .put(&self.durable, value.into(), Expect::Sequence(sequence), LIFE);
        put.await
    }

    /// Renews the lease, and tells how far this instance came, until it is lost.
    pub(super) async fn keep(&mut self, term: &Term) {
        let pause = self.lasts / 4;
        while term.holds() {
            tokio::select! {
                () = sleep(pause) => {}
                () = term.urged() => {}
            }
            let began = Instant::now();
            let (baton, changes) = term.baton(Some(self.by.clone()));
            let left = term.until().saturating_duration_since(began);
            match timeout(left, self.write(&baton, self.sequence)).await {
                Ok(Ok(Some(sequence))) => {
                    tracing::trace!(target: "tidewire::walk", "lease renewed");
                    self.sequence = sequence;
                    term.extend(began + self.lasts);
                    term.wrote(changes);
                }
                Ok(Err(error)) => {
                    tracing::warn!(durable = self.durable, error, "the lease cannot be renewed");
                }
                // Whoever wrote it, its place is not known any more: a write whose answer was lost is found out here.
                Ok(Ok(None)) | Err(_) => break,
            }
        }
        term.lose();
    }

    /// Gives the lease to whoever wants it, where it is still held.
    pub(super) async fn release(&mut self, term: &Term) {
        if term.holds() {
            let written = self.write(&term.baton(None).0, self.sequence).await;
            if let Err(error) = written {
                tracing::warn!(
                    durable = self.durable,
                    error,
                    "the lease cannot be given up; it runs out"
                );
            }
        }
    }
}

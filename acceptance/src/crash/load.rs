//! Posting jobs, and remembering which of them a stream has confirmed.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tidewire::Bus;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::jobs::{JobPosted, Kind, key_of};

/// How many publishes are under way at once.
const AT_ONCE: usize = 64;

/// Every job that was ever posted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posted {
    /// By number: its kind, and whether the stream said that it has it.
    jobs: Arc<Mutex<Vec<(Kind, bool)>>>,
    /// Whether they share keys.
    by_key: bool,
}

impl Posted {
    /// Jobs that share keys.
    pub(crate) fn by_key() -> Self {
        Self {
            by_key: true,
            ..Self::default()
        }
    }

    fn begin(&self, kind: fn(usize) -> Kind) -> (usize, JobPosted) {
        let mut jobs = self.lock();
        let number = jobs.len();
        let kind = kind(number);
        jobs.push((kind, false));
        let job = kind.job(number);
        let key = if self.by_key { key_of(number) } else { job.clone() };
        (number, JobPosted { key, job })
    }

    /// Publishes one job; `false` where its stream did not confirm it, so that nobody knows whether it is there.
    async fn post(&self, bus: &Bus, kind: fn(usize) -> Kind) -> Result<(), tidewire::PublishError> {
        let (number, job) = self.begin(kind);
        bus.publish(&job).await?;
        self.lock()[number].1 = true;
        Ok(())
    }

    /// The jobs so far.
    pub(crate) fn all(&self) -> Vec<(Kind, bool)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Kind, bool)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Posts so many jobs, as fast as the stream confirms them.
pub(crate) async fn post(
    bus: &Bus,
    posted: &Posted,
    jobs: usize,
    kind: fn(usize) -> Kind,
) -> Result<(), Box<dyn Error>> {
    let share = |lane| jobs / AT_ONCE + usize::from(lane < jobs % AT_ONCE);
    let lanes = (0..AT_ONCE).map(|lane| async move {
        for _ in 0..share(lane) {
            posted.post(bus, kind).await?;
        }
        Ok::<_, tidewire::PublishError>(())
    });
    for lane in join_all(lanes).await {
        lane?;
    }
    Ok(())
}

/// Jobs that are posted beside everything else; ends with this.
#[derive(Debug)]
pub(crate) struct Load {
    stop: CancellationToken,
    lanes: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(bus: &Bus, posted: &Posted, per_second: u32, kind: fn(usize) -> Kind) -> Self {
        const LANES: u32 = 8;
        let stop = CancellationToken::new();
        let lane = || {
            let (bus, posted, stop) = (bus.clone(), posted.clone(), stop.clone());
            tokio::spawn(async move {
                let mut pace = interval(Duration::from_secs(1) * LANES / per_second);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.is_cancelled() {
                    pace.tick().await;
                    // What was not confirmed is in no promise; whether it came all the same the books will see.
                    let _ = posted.post(&bus, kind).await;
                }
            })
        };
        Self {
            lanes: (0..LANES).map(|_| lane()).collect(),
            stop,
        }
    }

    /// Posts no more, and waits until the last was confirmed or given up.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        drop(join_all(self.lanes).await);
    }
}

//! One at a time: a lease that services of any name share.

use std::time::Duration;

use async_nats::jetstream::kv;
use bytes::Bytes;
use tidewire_core::wire::LEASES_BUCKET;
use tokio::time::{Instant, sleep};

use crate::{
    bucket::{Bucket, Expect},
    connection::Connection,
    start_error::StartError,
};

/// After this long the server ends a lease whose holder died. Twice as long as the three requests under it may take.
const LIFE: Duration = Duration::from_secs(30);
/// Longer than a life, so that a dead holder does not fail a start.
const HELD_WITHIN: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(20);

/// A lease on a name: a key that expects to be the first, with a life. Given back by [`Lease::release`], or by the
/// server when its life is over.
pub(super) struct Lease {
    bucket: Bucket,
    name: String,
    sequence: u64,
}

impl Lease {
    /// Waits for the lease on `name`. The bucket has as many `replicas` as the stream of whoever makes it: without it no
    /// stream could be added to.
    pub(super) async fn acquire(
        nats: &Connection,
        name: &str,
        holder: &str,
        replicas: usize,
    ) -> Result<Self, StartError> {
        let bucket = kv::Config {
            bucket: LEASES_BUCKET.into(),
            description: "leases that Tidewire's services share".into(),
            history: 1,
            limit_markers: Some(LIFE),
            num_replicas: replicas,
            ..kv::Config::default()
        };
        let bucket = Bucket::ensure(nats, bucket).await?;
        let deadline = Instant::now() + HELD_WITHIN;
        loop {
            let free_at = match bucket.get(name).await.map_err(StartError::jetstream)? {
                None => Some(0),
                Some(entry) if entry.value.is_none() => Some(entry.sequence),
                Some(_) => None,
            };
            if let Some(expected) = free_at {
                let holder = Bytes::copy_from_slice(holder.as_bytes());
                let taken = bucket.put(name, holder, Expect::Sequence(expected), LIFE).await;
                if let Some(sequence) = taken.map_err(StartError::jetstream)? {
                    return Ok(Self {
                        bucket,
                        name: name.to_owned(),
                        sequence,
                    });
                }
            }
            if Instant::now() >= deadline {
                return Err(StartError::LeaseHeld {
                    name: name.into(),
                    within: HELD_WITHIN,
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// Gives it back. A lease that has run out is somebody else's by now and stays.
    pub(super) async fn release(self) -> Result<(), StartError> {
        let released = self
            .bucket
            .delete(&self.name, Expect::Sequence(self.sequence))
            .await;
        released.map(drop).map_err(StartError::jetstream)
    }
}

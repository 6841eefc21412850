//! Streams as they are, read without any framework.

use std::{error::Error, time::Duration};

use futures_util::StreamExt as _;
use tidewire::{
    Connection,
    async_nats::{Message, jetstream::consumer},
};

use crate::jobs::Source;

/// Where and when a stream stored a message, in microseconds since 1970.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) at: u64,
}

/// What the consumer of a durable is given of its stream.
pub(super) async fn filters_of(nats: &Connection, source: Source) -> Result<Vec<String>, Box<dyn Error>> {
    let stream = nats.jetstream().get_stream_no_info(source.stream()).await?;
    let config = stream.consumer_info(source.consumer()).await?.config;
    let filters = config.filter_subjects.into_iter().chain([config.filter_subject]);
    let filters: Vec<_> = filters.filter(|filter| !filter.is_empty()).collect();
    if filters.is_empty() {
        return Err(format!("{} has no filter", source.consumer()).into());
    }
    Ok(filters)
}

/// Reads what a stream has on these subjects, from its first message to its last.
pub(super) async fn read(
    nats: &Connection,
    stream: &str,
    subjects: Vec<String>,
    mut each: impl FnMut(&Message, Stored),
) -> Result<(), Box<dyn Error>> {
    let stream = nats.jetstream().get_stream(stream).await?;
    let config = consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        filter_subjects: subjects,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(30),
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(());
    }
    let mut messages = consumer.stream().max_messages_per_batch(1000).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let info = message.info().map_err(|error| error.to_string())?;
        let stored = Stored {
            sequence: info.stream_sequence,
            at: u64::try_from(info.published.unix_timestamp_nanos() / 1000)?,
        };
        let is_last = info.pending == 0;
        each(&message, stored);
        if is_last {
            break;
        }
    }
    Ok(())
}

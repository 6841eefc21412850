//! A durable pull consumer whose messages are acked one by one.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use tidewire::{
    BoxError, Message as _,
    async_nats::{
        Client,
        jetstream::{
            self, Message,
            consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        },
    },
};
use tidewire_ops::bench::{Measured, Placed, Progress, STREAM, Workload, observe};

use super::decode;

const NAME: &str = "raw";
/// How long the server may take to count the last acks.
const ACKED_WITHIN: Duration = Duration::from_secs(10);

async fn consumer(client: &Client, deliver_policy: DeliverPolicy) -> Result<PullConsumer, BoxError> {
    let stream = jetstream::new(client.clone()).get_stream(STREAM).await?;
    let config = pull::Config {
        durable_name: Some(NAME.into()),
        ack_policy: AckPolicy::Explicit,
        deliver_policy,
        max_ack_pending: 65_536,
        filter_subject: format!("{}.*", Placed::TYPE.name),
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}

async fn handle(message: Message, progress: &Progress) -> Result<(), BoxError> {
    std::hint::black_box(decode::<Placed>(&message.payload, Placed::TYPE.name)?);
    progress.count();
    message.ack().await
}

async fn messages(consumer: &PullConsumer) -> Result<pull::Stream, BoxError> {
    Ok(consumer.stream().max_messages_per_batch(5_000).messages().await?)
}

/// Removes the consumer, and sees that every message was acked.
async fn forget(client: &Client, mut consumer: PullConsumer) -> Result<(), BoxError> {
    // The server counts acks when it comes to it.
    let deadline = Instant::now() + ACKED_WITHIN;
    while consumer.info().await?.num_ack_pending > 0 {
        if Instant::now() > deadline {
            return Err("not every message was acked".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stream = jetstream::new(client.clone()).get_stream(STREAM).await?;
    stream.delete_consumer(NAME).await?;
    Ok(())
}

pub(super) async fn one_by_one(client: Client, count: u64) -> Result<Measured, BoxError> {
    let progress = Progress::of(count);
    let consumer = consumer(&client, DeliverPolicy::All).await?;
    let mut messages = messages(&consumer).await?;
    for _ in 0..count {
        let message = messages.try_next().await?.ok_or("the messages ended")?;
        handle(message, &progress).await?;
    }
    let measured = progress.finished(Workload::Consume1).await?;
    drop(messages);
    forget(&client, consumer).await?;
    Ok(measured)
}

pub(super) async fn at_once(client: Client, count: u64) -> Result<Measured, BoxError> {
    let progress = Progress::of(count);
    let consumer = consumer(&client, DeliverPolicy::All).await?;
    let messages = messages(&consumer).await?;
    let count = usize::try_from(count)?;
    messages
        .take(count)
        .map_err(BoxError::from)
        .try_for_each_concurrent(64, |message| handle(message, &progress))
        .await?;
    let measured = progress.finished(Workload::Consume64).await?;
    forget(&client, consumer).await?;
    Ok(measured)
}

pub(super) async fn latency(client: Client, count: u64) -> Result<Measured, BoxError> {
    let progress = Progress::of(count);
    let consumer = consumer(&client, DeliverPolicy::New).await?;
    let mut messages = messages(&consumer).await?;
    let handling = tokio::spawn(async move {
        while let Some(message) = messages.try_next().await? {
            handle(message, &progress).await?;
        }
        Ok::<_, BoxError>(())
    });
    let measured = observe(&client, NAME, count).await?;
    handling.abort();
    forget(&client, consumer).await?;
    Ok(measured)
}

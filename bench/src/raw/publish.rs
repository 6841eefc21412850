//! Events stored, each under an id of its own, with the client's futures of confirmations.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{
    BoxError, Message,
    async_nats::{Client, HeaderName, HeaderValue, jetstream},
    wire,
};
use tidewire_ops::bench::{CONFIRMATIONS, Measured, Placed, STREAM};

use super::{Envelope, written};

async fn publish(js: &jetstream::Context, index: u64) -> Result<(), BoxError> {
    let placed = Placed::number(index);
    let (subject, key) = (
        format!("{}.{}", Placed::TYPE.name, placed.order),
        placed.order.clone(),
    );
    let envelope = Envelope::new("event", Placed::TYPE.name, &key, placed);
    let (mut headers, body) = written(&envelope)?;
    headers.append(
        HeaderName::from_static(wire::EXPECTED_STREAM),
        STREAM.parse::<HeaderValue>()?,
    );
    js.publish_with_headers(subject, headers, body).await?.await?;
    Ok(())
}

pub(super) async fn run(client: Client, messages: u64) -> Result<Measured, BoxError> {
    let js = jetstream::new(client);
    let began = Instant::now();
    stream::iter(0..messages)
        .map(|index| publish(&js, index))
        .buffer_unordered(CONFIRMATIONS)
        .try_for_each(async |()| Ok(()))
        .await?;
    Ok(Measured::together(messages, began.elapsed()))
}

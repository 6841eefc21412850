//! Queries and their answers, by `Client::request`.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{BoxError, Message, async_nats::Client};
use tidewire_ops::bench::{Measured, Price, Priced};
use tokio::task::JoinHandle;

use super::{Envelope, decode, written};

/// An answer is called as what was asked.
const PRICED: &str = Price::TYPE.name;

async fn answering(client: &Client) -> Result<JoinHandle<Result<(), BoxError>>, BoxError> {
    let mut questions = client
        .queue_subscribe(format!("{}.*", Price::TYPE.name), "q".into())
        .await?;
    client.flush().await?;
    let client = client.clone();
    Ok(tokio::spawn(async move {
        while let Some(message) = questions.next().await {
            let price: Price = decode(&message.payload, Price::TYPE.name)?;
            let key = price.order.clone();
            let priced = Priced {
                order: price.order,
                amount: 1999,
            };
            let (headers, body) = written(&Envelope::new("reply", PRICED, &key, priced))?;
            let inbox = message.reply.ok_or("a question without an inbox")?;
            client.publish_with_headers(inbox, headers, body).await?;
        }
        Ok(())
    }))
}

async fn ask(client: &Client, index: u64) -> Result<Priced, BoxError> {
    let price = Price::number(index);
    let (subject, key) = (
        format!("{}.{}", Price::TYPE.name, price.order),
        price.order.clone(),
    );
    let (headers, body) = written(&Envelope::new("query", Price::TYPE.name, &key, price))?;
    let answer = client.request_with_headers(subject, headers, body).await?;
    decode(&answer.payload, PRICED)
}

pub(super) async fn at_once(client: Client, messages: u64) -> Result<Measured, BoxError> {
    let answering = answering(&client).await?;
    let began = Instant::now();
    stream::iter(0..messages)
        .map(|index| ask(&client, index))
        .buffer_unordered(64)
        .try_for_each(async |_| Ok(()))
        .await?;
    let took = began.elapsed();
    answering.abort();
    Ok(Measured::together(messages, took))
}

pub(super) async fn one_by_one(client: Client, messages: u64) -> Result<Measured, BoxError> {
    let answering = answering(&client).await?;
    let mut micros = Vec::new();
    let began = Instant::now();
    for index in 0..messages {
        let asked = Instant::now();
        ask(&client, index).await?;
        micros.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    let took = began.elapsed();
    answering.abort();
    Ok(Measured::timed(micros, took))
}

//! Events without confirmation.

use futures_util::StreamExt;
use tidewire::{BoxError, Message, async_nats::Client};
use tidewire_ops::bench::{Measured, Progress, Shown, Workload, publish};

use super::decode;

pub(super) async fn run(client: Client, messages: u64) -> Result<Measured, BoxError> {
    let progress = Progress::of(messages);
    let mut shown = client.subscribe(format!("{}.*", Shown::TYPE.name)).await?;
    client.flush().await?;
    let counting = progress.clone();
    let handling = tokio::spawn(async move {
        for _ in 0..messages {
            let message = shown.next().await.ok_or("the subscription ended")?;
            std::hint::black_box(decode::<Shown>(&message.payload, Shown::TYPE.name)?);
            counting.count();
        }
        Ok::<_, BoxError>(())
    });
    let ((), measured) = tokio::try_join!(
        publish(&client, messages, &progress),
        progress.finished(Workload::Live)
    )?;
    handling.await??;
    Ok(measured)
}

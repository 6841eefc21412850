//! A limit of one's own to what runs at once, as a layer around one handler and as one around two together.
//!
//! ```text
//! $ cargo run --example layer_concurrency
//! 16 done, at most 2 at once
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::layer::{Delivery, Handled, HandlerLayer, Inner, Service as _, Unhandled, layer_fn};
use tidewire::prelude::*;
use tokio::sync::{Semaphore, watch};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "cafe.kitchen.cake.ordered")]
struct CakeOrdered;

type Kitchen = watch::Sender<(usize, usize, usize)>; // at work now, at most so far, and done

async fn work(State(kitchen): State<Kitchen>, _: Event<CakeOrdered>) {
    kitchen.send_modify(|(now, most, _)| (*now, *most) = (*now + 1, (*most).max(*now + 1)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    kitchen.send_modify(|(now, _, done)| (*now, *done) = (*now - 1, *done + 1));
}

fn at_most(most: usize) -> impl HandlerLayer {
    let free = Arc::new(Semaphore::new(most)); // places, of all handlers together that the layer is around
    layer_fn(move |handler: Inner| {
        let free = free.clone();
        tower::service_fn(move |delivery| limited(free.clone(), handler.clone(), delivery))
    })
}

async fn limited(free: Arc<Semaphore>, mut handler: Inner, delivery: Delivery) -> Result<Handled, Unhandled> {
    let _place = free.acquire().await.or_retry()?; // given back once it is handled
    handler.call(delivery).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, kitchen) = (tidewire_server::Server::start()?, Kitchen::default());
    let cafe = Service::new("cafe", "1.0.0")
        .context(Context::new("cafe.kitchen"))
        .publishes::<CakeOrdered>()
        .state(kitchen.clone())
        .on(durable("bake", work).layer(at_most(1))) // around this handler
        .on(durable("serve", work))
        .layer(at_most(2)) // around both together
        .start(tidewire::connect(server.url()).await?)
        .await?;
    for _ in 0..8 {
        cafe.bus().publish(&CakeOrdered).await?;
    }
    let (_, most, done) = *kitchen.subscribe().wait_for(|kitchen| kitchen.2 == 16).await?;
    println!("{done} done, at most {most} at once");
    Ok(())
}

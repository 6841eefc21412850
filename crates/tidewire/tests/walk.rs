//! The walk of a message in ARCHITECTURE.md is what a real delivery does.

#![expect(clippy::unwrap_used, reason = "a test ends so where it fails")]

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tidewire_server::Server;
use tracing::{
    Event as Traced, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "walk.payments.payment.processed")]
struct Processed {}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "walk.shipping.parcel.booked")]
struct Booked {}

async fn ship(booked: Emit<Booked>, Event(_): Event<Processed>) {
    booked.emit(Booked {});
}

/// Keeps the steps in the order in which they were taken.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tidewire::walk"
    }

    fn event(&self, event: &Traced<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_documented_walk_is_the_real_one() {
    let steps = Steps::default();
    tracing::subscriber::set_global_default(steps.clone()).unwrap();
    let server = Server::start().unwrap();
    let running = Service::new("shipping", "1.0.0")
        .context(Context::new("walk.payments"))
        .context(Context::new("walk.shipping"))
        .publishes::<Processed>()
        .on(durable("ship", ship))
        .start(tidewire::connect(server.url()).await.unwrap())
        .await
        .unwrap();
    running.bus().publish(&Processed {}).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !steps.0.lock().unwrap().iter().any(|step| step == "settled") {
        assert!(Instant::now() < deadline, "{:?}", steps.0.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await.unwrap();
    let documented: Vec<_> = ARCHITECTURE
        .lines()
        .filter_map(|line| line.split_once(". `"))
        .filter(|(number, _)| number.chars().all(|digit| digit.is_ascii_digit()))
        .filter_map(|(_, rest)| rest.split('`').next())
        .collect();
    assert_eq!(*steps.0.lock().unwrap(), documented);
}

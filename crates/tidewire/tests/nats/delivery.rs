//! Events from handler to handler.

use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

use crate::support::{connect, eventually};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "delivery.payments.payment.processed", key = payment_id)]
struct PaymentProcessed {
    payment_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "delivery.shipping.parcel.booked", key = payment_id)]
struct ParcelBooked {
    payment_id: String,
}

type Seen = Arc<Mutex<Vec<String>>>;

async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
}

async fn note(State(seen): State<Seen>, Event(parcel): Event<ParcelBooked>) {
    seen.lock().unwrap().push(parcel.payment_id);
}

#[tokio::test]
async fn an_event_reaches_a_handler_and_what_it_emits_reaches_the_next() {
    let seen = Seen::default();
    let service = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(Context::new("delivery.payments"))
        .context(Context::new("delivery.shipping"))
        .publishes::<PaymentProcessed>()
        .on(durable("ship", ship))
        .on(durable("note", note));
    let running = service.start(connect().await).await.unwrap();
    let keys = ["a.b", "*", ">", "a\r\nb", "nul\0", "nbsp\u{a0}", "🦀", "plain"];
    for key in keys {
        running
            .bus()
            .publish(&PaymentProcessed {
                payment_id: key.into(),
            })
            .await
            .unwrap();
    }
    eventually("all are noted", || async {
        seen.lock().unwrap().len() == keys.len()
    })
    .await;
    let mut found = seen.lock().unwrap().clone();
    found.sort();
    let mut keys = keys.map(str::to_owned).to_vec();
    keys.sort();
    assert_eq!(found, keys);
    running.stop().await.unwrap();
}

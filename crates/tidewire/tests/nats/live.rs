//! Hearing events as they pass.

use tidewire::{Any, prelude::*};

use crate::support::{
    ParcelBooked, PaymentProcessed, Seen, connect, eventually, note, payments, processed, server,
};

async fn note_any(State(seen): State<Seen>, Event(event): Event<Any>) {
    seen.note(format!(
        "{} {} {}",
        event.name,
        event.key.unwrap_or_default(),
        event.data
    ));
}

#[derive(EventSet)]
enum Progress {
    Paid(PaymentProcessed),
    Booked(ParcelBooked),
}

async fn note_progress(State(seen): State<Seen>, Event(progress): Event<Progress>) {
    seen.note(match progress {
        Progress::Paid(paid) => format!("paid {}", paid.payment_id),
        Progress::Booked(parcel) => format!("booked {}", parcel.payment_id),
    });
}

#[tokio::test]
async fn every_instance_hears_and_a_queue_group_shares() {
    let server = server();
    let payments = payments().start(connect(&server).await).await.unwrap();
    let (each, shared) = ([Seen::default(), Seen::default()], Seen::default());
    let mut running = Vec::new();
    for seen in &each {
        let one = Service::new("display", "1.0.0")
            .state(seen.clone())
            .on(live(note));
        running.push(one.start(connect(&server).await).await.unwrap());
        let group = Service::new("cache", "1.0.0").state(shared.clone());
        let group = group.on(live(note).queue_group("caches"));
        running.push(group.start(connect(&server).await).await.unwrap());
    }
    for key in 0..100 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    for seen in &each {
        seen.reaches(100).await;
    }
    shared.reaches(100).await;
    for service in running {
        service.stop().await.unwrap();
    }
    assert_eq!((each[0].len(), each[1].len(), shared.len()), (100, 100, 100));
}

#[tokio::test]
async fn a_filter_brings_events_of_every_type() {
    let (server, lives, stored) = (server(), Seen::default(), Seen::default());
    let service = Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments"))
        .context(Context::new("orders.shipping"))
        .publishes::<PaymentProcessed>()
        .publishes::<ParcelBooked>();
    let sender = service.start(connect(&server).await).await.unwrap();
    let heard = Service::new("audit", "1.0.0")
        .state(lives.clone())
        .on(live(note_any).filter("orders.>"));
    let _heard = heard.start(connect(&server).await).await.unwrap();
    let kept = Service::new("archive", "1.0.0").state(stored.clone());
    let kept = kept
        .on(durable("all", note_any).filter("orders.>"))
        .on(durable("progress", note_progress));
    let _kept = kept.start(connect(&server).await).await.unwrap();
    sender.bus().publish(&processed("a.b")).await.unwrap();
    sender
        .bus()
        .publish(&ParcelBooked {
            payment_id: "b".into(),
        })
        .await
        .unwrap();
    eventually("all have all", async || lives.len() == 2 && stored.len() == 4).await;
    let booked = r#"orders.shipping.parcel.booked b {"payment_id":"b"}"#;
    let paid = r#"orders.payments.payment.processed a.b {"payment_id":"a.b","note":""}"#;
    assert_eq!(lives.sorted(), [paid, booked]);
    assert_eq!(stored.sorted(), ["booked b", paid, booked, "paid a.b"]);
}

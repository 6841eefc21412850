//! How much memory a message may take.
//!
//! Alone in its binary: it measures what the whole process takes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends so where it fails")]

#[path = "support/records.rs"]
mod records;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{async_nats::HeaderMap, prelude::*, wire};
use tidewire_server::Server;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "parcels.scales.parcel.weighed", key = parcel)]
struct Weighed {
    parcel: String,
}

async fn note(State(handled): State<Arc<AtomicBool>>, Event(_): Event<Weighed>) {
    handled.store(true, Ordering::SeqCst);
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Ten gibibytes of zeros: each block of 128 KiB is four bytes.
fn bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for block in 1..=81_920_u32 {
        let header = (0x20000 << 3) | (1 << 1) | u32::from(block == 81_920);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

async fn within(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit_and_is_a_dead_letter_at_once_byte_for_byte() {
    let (server, handled) = (Server::start().unwrap(), Arc::new(AtomicBool::new(false)));
    let nats = tidewire::connect(server.url()).await.unwrap();
    let scales = Service::new("scales", "1.0.0")
        .state(handled.clone())
        .context(Context::new("parcels.scales"))
        .publishes::<Weighed>()
        .body_limit(1 << 20)
        .on(durable("note", note))
        .start(nats.clone())
        .await
        .unwrap();
    let (js, bomb) = (nats.jetstream(), bomb());
    assert!(bomb.len() < 400 << 10);
    let mut headers = HeaderMap::new();
    headers.append(wire::CONTENT_ENCODING, "zstd");
    let before = peak();
    let subject = "parcels.scales.parcel.weighed.bomb";
    let sent = js.publish_with_headers(subject, headers, bomb.clone().into());
    sent.await.unwrap().await.unwrap();
    within("a letter is stored", async || {
        !records::records(&js).await.is_empty()
    })
    .await;
    let grown = peak() - before;
    assert!(grown < 32 << 20, "{grown} bytes more than before");
    within("it is settled", async || {
        let stream = js.get_stream("PARCELS__SCALES").await.unwrap();
        let info = stream.consumer_info("scales__note").await.unwrap();
        info.ack_floor.stream_sequence == 1
    })
    .await;
    let letters = records::records(&js).await;
    assert_eq!(letters.len(), 1, "one record");
    let record = &letters[0].1;
    let trouble = record.trouble.as_ref().unwrap();
    assert_eq!((&*trouble.class, trouble.attempts), ("too_large", 1));
    assert!(trouble.error.contains(".body_limit("), "{}", trouble.error);
    let original = record.original.as_ref().unwrap();
    assert!(original.payload == bomb, "as it was received");
    assert!(
        original
            .parsed_headers()
            .contains(&("Content-Encoding".to_owned(), "zstd".to_owned()))
    );
    assert_eq!(scales.tally()["scales__note"]["too_large"], 1);
    assert!(!handled.load(Ordering::SeqCst), "no handler has seen it");
}

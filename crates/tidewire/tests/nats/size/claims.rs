//! Data in the object store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    DataMissing, PublishError, Then,
    async_nats::jetstream::object_store::{ObjectInfo, ObjectStore},
    prelude::*,
};
use tokio::io::AsyncReadExt;

use super::{noise, noted, reader, send, stored};
use crate::{
    replays::replay_to,
    support::{
        PAYMENTS, PaymentProcessed, Seen, connect, eventually, jetstream, kept, kept_reach, payments, quiet,
        server,
    },
};

const DATA: &str = "ORDERS__PAYMENTS__DATA";
const EIGHT_MIB: usize = 8 << 20;

fn claiming() -> Service {
    payments().claim_check_above(100_000)
}

async fn bucket(client: &tidewire::async_nats::Client, name: &str) -> ObjectStore {
    jetstream(client).get_object_store(name).await.unwrap()
}

async fn objects(bucket: &ObjectStore) -> Vec<ObjectInfo> {
    use futures_util::TryStreamExt;
    bucket.list().await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn eight_mebibytes_come_back_to_two_services_that_read_at_once() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = claiming().start(client.clone()).await.unwrap();
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    let other = Service::new("audit", "1.0.0").state(seen.clone());
    let other = other.on(durable("measure", super::measure));
    let _other = other.start(client.clone()).await.unwrap();
    for (key, length) in [("large", EIGHT_MIB), ("small", 10)] {
        payments.bus().publish(&noted(key, noise(length))).await.unwrap();
    }
    seen.reaches(4).await;
    let both = |line: &str| [line.to_owned(), line.to_owned()];
    assert_eq!(
        seen.sorted(),
        [both("large 8388608 true"), both("small 10 true")].concat()
    );
    let message = stored(&client, 1).await;
    assert!(message.payload.is_empty());
    let header = |name: &str| message.headers.get(name).unwrap().to_string();
    assert_eq!(header("ce-type"), "orders.payments.payment.processed");
    assert!(header("ce-dataref").starts_with(&format!("nats-object:{DATA}/{}.", header("Nats-Msg-Id"))));
    // What any client of the object store gets is the data and nothing else.
    let bucket = bucket(&client, DATA).await;
    let (_, name) = header("ce-dataref")
        .split_once('/')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let mut data = Vec::new();
    bucket
        .get(name)
        .await
        .unwrap()
        .read_to_end(&mut data)
        .await
        .unwrap();
    let data: PaymentProcessed = serde_json::from_slice(&data).unwrap();
    assert!(data.note == noise(EIGHT_MIB));
    assert!(stored(&client, 2).await.headers.get("ce-dataref").is_none());
}

/// Without a threshold that says so it would be refused.
#[tokio::test]
async fn what_the_server_does_not_take_is_claimed_whatever_the_threshold() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().claim_check_above(usize::MAX).compress_above(1000);
    let payments = payments.start(client.clone()).await.unwrap();
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    // A hexadecimal digit is half a byte: this is above the limit also when it is compressed.
    payments.bus().publish(&noted("p", noise(3 << 20))).await.unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["p 3145728 true"]);
    let message = stored(&client, 1).await;
    assert_eq!(message.headers.get("Content-Encoding").unwrap().as_str(), "zstd");
    let size: usize = message
        .headers
        .get("ce-twdatasize")
        .unwrap()
        .as_str()
        .parse()
        .unwrap();
    assert!(((1 << 20)..(2 << 20)).contains(&size), "{size}");
}

#[tokio::test]
async fn a_publish_that_fails_after_its_object_is_stored_is_repeated_with_the_same_object() {
    #[derive(Event, Serialize, Deserialize, JsonSchema)]
    #[event(subject = "orders.shipping.label.printed", key = id)]
    struct Printed {
        id: String,
        image: String,
    }
    async fn print(State(seen): State<Seen>, printed: Emit<Printed>, Event(paid): Event<PaymentProcessed>) {
        seen.note("printed");
        printed.emit(Printed {
            id: paid.payment_id,
            image: noise(1 << 20),
        });
    }
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    // The stream takes no message, and says so at once.
    let service = Service::new("labels", "1.0.0")
        .context(Context::new("orders.shipping"))
        .state(seen.clone())
        .claim_check_above(1000)
        .on(durable("print", print).retry(Retry::fixed(Duration::from_millis(50))));
    let _labels = service.start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    let stream = js.get_stream("ORDERS__SHIPPING").await.unwrap();
    let mut full = stream.cached_info().config.clone();
    full.max_messages = 0;
    full.max_bytes = 1;
    js.update_stream(&full).await.unwrap();
    payments
        .bus()
        .publish(&super::noted("p", String::new()))
        .await
        .unwrap();
    seen.reaches(2).await;
    full.max_messages = -1;
    full.max_bytes = -1;
    js.update_stream(&full).await.unwrap();
    quiet(&client, PAYMENTS, "labels__print").await;
    let objects = objects(&bucket(&client, "ORDERS__SHIPPING__DATA").await).await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    let info = js.get_stream("OBJ_ORDERS__SHIPPING__DATA").await.unwrap();
    let chunks = u64::try_from(objects[0].chunks).unwrap();
    assert_eq!(
        info.cached_info().state.last_sequence,
        chunks + 1,
        "it was written once"
    );
    let stream = js.get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);
}

#[derive(Clone, Default)]
struct World {
    seen: Seen,
    mended: Arc<AtomicBool>,
}

/// Through a failure, a letter and a replay, with one effect that is as large.
#[tokio::test]
async fn a_claimed_message_goes_through_retries_letter_replay_and_the_inbox() {
    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    #[command(subject = "orders.shipping.label.print", key = id)]
    struct Print {
        id: String,
        image: String,
    }
    async fn ship(
        State(world): State<World>,
        print: Dispatch<Print>,
        Event(paid): Event<PaymentProcessed>,
    ) -> Result<(), Failure> {
        world.seen.note(format!("came {}", paid.note == noise(EIGHT_MIB)));
        if !world.mended.load(Ordering::SeqCst) {
            return Err("not yet").or_retry();
        }
        print.dispatch(Print {
            id: paid.payment_id,
            image: paid.note,
        });
        Ok(())
    }
    async fn print(State(world): State<World>, Command(print): Command<Print>) {
        world
            .seen
            .note(format!("printed {}", print.image == noise(EIGHT_MIB)));
    }
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = claiming().start(client.clone()).await.unwrap();
    let durable_ship = durable("ship", ship)
        .retry(Retry::immediate().max_attempts(2))
        .effectively_once();
    let shipping = Service::new("shipping", "1.0.0")
        .state(world.clone())
        .context(Context::new("orders.shipping"))
        .claim_check_above(100_000)
        .on(durable_ship)
        .on(durable("print", print));
    let _shipping = shipping.start(client.clone()).await.unwrap();
    payments
        .bus()
        .publish(&noted("p", noise(EIGHT_MIB)))
        .await
        .unwrap();
    let letters = kept_reach(&client, 1).await;
    let original = letters[0].record.original.as_ref().unwrap();
    assert!(original.payload.is_empty(), "as it was received");
    let dataref = |(name, value): &(String, String)| name == "ce-dataref" && value.contains(DATA);
    assert!(original.parsed_headers().iter().any(dataref));
    assert_eq!(world.seen.sorted(), ["came true", "came true"]);

    world.mended.store(true, Ordering::SeqCst);
    replay_to(&client, &letters[0], "shipping", "ship").await;
    world.seen.reaches(4).await;
    assert_eq!(world.seen.sorted()[2..], ["came true", "printed true"]);
    eventually("the letter says so", async || {
        kept(&client).await.last().unwrap().record.act == tidewire::dead_letter::Act::Handled
    })
    .await;
}

#[tokio::test]
async fn an_object_that_is_missing_is_waited_for_as_the_policy_says() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = claiming().start(client.clone()).await.unwrap();
    payments.bus().publish(&noted("p", noise(200_000))).await.unwrap();
    let bucket = bucket(&client, DATA).await;
    let info = objects(&bucket).await.remove(0);
    let mut data = Vec::new();
    bucket
        .get(&info.name)
        .await
        .unwrap()
        .read_to_end(&mut data)
        .await
        .unwrap();
    bucket.delete(&info.name).await.unwrap();

    let at_once = durable("measure", super::measure).on_error::<DataMissing>(Then::DeadLetter);
    let strict = Service::new("strict", "1.0.0").state(Seen::default()).on(at_once);
    let _strict = strict.start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    let trouble = letters[0].record.trouble.as_ref().unwrap();
    assert!(trouble.error.contains(&info.name), "{}", trouble.error);

    let reader = reader(&seen).start(client.clone()).await.unwrap();
    eventually("it was tried", async || {
        let tally = reader.tally();
        tally
            .get("shipping__measure")
            .is_some_and(|counts| counts["failed"] >= 2)
    })
    .await;
    bucket
        .put(info.name.as_str(), &mut data.as_slice())
        .await
        .unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["p 200000 true"]);
}

#[tokio::test]
async fn an_object_that_is_another_one_is_a_dead_letter_at_once() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = claiming().start(client.clone()).await.unwrap();
    payments.bus().publish(&noted("p", noise(200_000))).await.unwrap();
    let bucket = bucket(&client, DATA).await;
    let info = objects(&bucket).await.remove(0);
    let mut other = vec![b' '; info.size];
    bucket
        .put(info.name.as_str(), &mut other.as_slice())
        .await
        .unwrap();
    other.push(b' ');
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    let trouble = letters[0].record.trouble.as_ref().unwrap();
    assert_eq!((&*trouble.class, trouble.attempts), ("corrupt", 1));
    assert_eq!(seen.len(), 0);
}

/// Who may publish a message could else have a service read for it what it may not read itself.
#[tokio::test]
async fn a_forged_message_reads_no_bucket_but_that_of_its_context() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = claiming().start(client.clone()).await.unwrap();
    let _reader = reader(&seen)
        .body_limit(1000)
        .start(client.clone())
        .await
        .unwrap();
    let js = jetstream(&client);
    let config = tidewire::async_nats::jetstream::object_store::Config {
        bucket: "SECRETS".into(),
        ..Default::default()
    };
    let secrets = js.create_object_store(config).await.unwrap();
    let secret = br#"{"payment_id":"p"}"#;
    let info = secrets.put("key", &mut secret.as_slice()).await.unwrap();
    let (size, digest) = (info.size.to_string(), "0".repeat(64));
    for (key, dataref, size) in [
        ("a", "nats-object:SECRETS/key", &*size),
        ("b", "https://example.com/key", &*size),
        ("c", "nats-object:ORDERS__PAYMENTS__DATA/../SECRETS/key", "1001"),
    ] {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", key),
            ("ce-source", "/till"),
            ("ce-type", "orders.payments.payment.processed"),
            ("ce-dataref", dataref),
            ("ce-twdatasize", size),
            ("ce-twdatasha256", &*digest),
        ];
        send(&client, key, &headers, Vec::new()).await;
    }
    let letters = kept_reach(&client, 3).await;
    let mut classes: Vec<_> = letters
        .iter()
        .map(|letter| letter.record.trouble.as_ref().unwrap())
        .map(|trouble| format!("{} after {}", trouble.class, trouble.attempts))
        .collect();
    classes.sort();
    assert_eq!(
        classes,
        ["malformed after 1", "malformed after 1", "too_large after 1"]
    );
    assert_eq!(seen.len(), 0);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_written_is_named_and_nothing_is_sent() {
    let server = server();
    let client = connect(&server).await;
    let payments = claiming().start(client.clone()).await.unwrap();
    jetstream(&client).delete_object_store(DATA).await.unwrap();
    let error = payments.bus().publish(&noted("p", noise(200_000))).await;
    let error = error.unwrap_err();
    assert!(matches!(error, PublishError::Data { .. }), "{error}");
    assert!(
        error.is_transient() && error.to_string().contains(DATA),
        "{error}"
    );
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 0);
}

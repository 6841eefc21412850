//! What each kind of handler does, wherever its service runs: with the least permissions, or behind a JetStream domain.
//!
//! The service is always `clerk`, and its durables read the payments' stream or the payments' queue.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Connection, Running,
    async_nats::{HeaderMap, HeaderValue},
    dead_letter::Act,
    extract::Raw,
    prelude::*,
    wire,
};

use crate::{
    poison::letters,
    replay::replay,
    support::{
        Listening, Log, PAYMENTS, PaymentFailed, PaymentProcessed, ProcessPayment, Seen, WELL_WITHIN,
        cashier, is_settled, payments, process, processed, within,
    },
};

/// Who makes what the service needs, and how the service itself is connected.
pub(crate) struct Place {
    pub(crate) operator: Connection,
    service: Connection,
    log: Log,
    _listening: Listening,
}

impl Place {
    pub(crate) fn new(operator: Connection, service: Connection) -> Self {
        let (log, listening) = Log::listen();
        Self {
            operator,
            service,
            log,
            _listening: listening,
        }
    }

    /// An operator starts the same declaration once, with other permissions.
    async fn is_prepared(&self, service: Service<Seen>) {
        let first = service.start(self.operator.clone()).await.unwrap();
        first.stop().await.unwrap();
    }

    async fn start(&self, service: Service<Seen>) -> Running {
        let running = service.start(self.service.clone()).await.unwrap();
        self.log.forget();
        running
    }

    /// It ends, and nothing was refused to it since its start.
    async fn ends(&self, running: Running) {
        assert_eq!((running.not_ready(), running.degraded()), Default::default());
        running.stop().await.unwrap();
        assert_eq!(self.log.find("the server refused"), None);
    }

    /// A durable of the clerk has settled all that is in the stream.
    async fn is_settled(&self, stream: &str, durable: &str) {
        let consumer = format!("clerk__{durable}");
        within(2 * WELL_WITHIN, "all is settled", async || {
            is_settled(&self.operator, stream, &consumer).await
        })
        .await;
    }
}

fn clerk(seen: &Seen) -> Service<Seen> {
    Service::new("clerk", "1.0.0").state(seen.clone())
}

async fn ask_for_each(
    State(seen): State<Seen>,
    asks: Ask<ProcessPayment>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    asks.ask(process(&*paid.payment_id)).await.or_retry()?;
    seen.note(format!("{} was answered", paid.payment_id));
    Ok(())
}

/// Hears an event live, asks another service for it, and asks outside of a handler too.
pub(crate) async fn it_hears_and_asks(place: &Place) {
    let (seen, asked) = (Seen::default(), Seen::default());
    let payments = payments().start(place.operator.clone()).await.unwrap();
    let _cashier = cashier(&asked).start(place.operator.clone()).await.unwrap();
    let clerk = clerk(&seen).asks::<ProcessPayment>().on(live(ask_for_each));
    let clerk = place.start(clerk).await;
    payments.bus().publish(&processed("heard")).await.unwrap();
    within(2 * WELL_WITHIN, "it is heard and asked for", async || {
        seen.has("heard was answered") && asked.has("heard")
    })
    .await;
    clerk.bus().ask(&process("outside")).await.unwrap();
    assert!(asked.has("outside"));
    place.ends(clerk).await;
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.shipping.parcel.book", key = payment_id)]
struct BookParcel {
    payment_id: String,
}

async fn book_parcel(State(seen): State<Seen>, Command(parcel): Command<BookParcel>) {
    seen.note(parcel.payment_id);
}

async fn work(
    State(seen): State<Seen>,
    parcels: Dispatch<BookParcel>,
    Command(ProcessPayment { payment_id, .. }): Command<ProcessPayment>,
) {
    seen.note(&*payment_id);
    parcels.dispatch(BookParcel { payment_id });
}

/// Works its own queue of durable commands, and sends to the queue of another.
pub(crate) async fn it_works_commands_and_sends_them(place: &Place) {
    let (seen, booked) = (Seen::default(), Seen::default());
    let carrier = Service::new("carrier", "1.0.0")
        .state(booked.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("book", book_parcel));
    let _carrier = carrier.start(place.operator.clone()).await.unwrap();
    let clerk = || {
        clerk(&seen)
            .context(Context::new("orders.payments"))
            .sends::<BookParcel>()
            .on(durable("work", work))
    };
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    let till = Service::new("till", "1.0.0").sends::<ProcessPayment>();
    let till = till.start(place.operator.clone()).await.unwrap();
    till.bus().send(&process("dispatched")).await.unwrap();
    let outside = BookParcel {
        payment_id: "outside".into(),
    };
    clerk.bus().send(&outside).await.unwrap();
    within(2 * WELL_WITHIN, "both arrive", async || {
        booked.has("dispatched") && booked.has("outside")
    })
    .await;
    place.is_settled("ORDERS__PAYMENTS__QUEUE", "work").await;
    assert_eq!(seen.all(), ["dispatched"]);
    place.ends(clerk).await;
}

async fn refuse(State(seen): State<Seen>, failed: Emit<PaymentFailed>, Event(paid): Event<PaymentProcessed>) {
    seen.note(&*paid.payment_id);
    failed.emit(PaymentFailed {
        payment_id: paid.payment_id,
    });
}

/// An event that is stored twice has one effect.
pub(crate) async fn it_has_one_effect(place: &Place) {
    let seen = Seen::default();
    let payments = payments().start(place.operator.clone()).await.unwrap();
    let clerk = || clerk(&seen).on(durable("refuse", refuse).effectively_once());
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    let js = place.operator.jetstream();
    let stored = js.get_stream(PAYMENTS).await.unwrap();
    // On record before it leaves.
    within(2 * WELL_WITHIN, "what it emits is stored", async || {
        let failed = stored.get_last_raw_message_by_subject("orders.payments.payment.failed.p");
        failed.await.is_ok()
    })
    .await;
    // As a sender does that comes back after the duplicate window.
    let first = stored.get_raw_message(1).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.append("Nats-Msg-Id", "copy".parse::<HeaderValue>().unwrap());
    let copy = js.publish_with_headers(first.subject, headers, first.payload);
    assert!(!copy.await.unwrap().await.unwrap().duplicate);
    payments.bus().publish(&processed("q")).await.unwrap();
    within(2 * WELL_WITHIN, "so is the next", async || seen.has("q")).await;
    place.is_settled(PAYMENTS, "refuse").await;
    assert_eq!(seen.all(), ["p", "q"], "the copy has run nothing");
    let failed = stored.get_last_raw_message_by_subject("orders.payments.payment.failed.q");
    failed.await.unwrap();
    place.ends(clerk).await;
}

async fn store(State(seen): State<Seen>, Batch(paid): Batch<PaymentProcessed>) -> Vec<Result<(), Failure>> {
    let mut keys: Vec<_> = paid.iter().map(|paid| &*paid.payment_id).collect();
    keys.sort_unstable();
    seen.note(keys.join(" "));
    let one = |paid: &PaymentProcessed| match &*paid.payment_id {
        "bad" => Err("as a test does").or_reject(),
        _ => Ok(()),
    };
    paid.iter().map(one).collect()
}

/// Three events are handled together, and one of them is a dead letter.
pub(crate) async fn it_handles_a_batch(place: &Place) {
    let seen = Seen::default();
    let payments = payments().start(place.operator.clone()).await.unwrap();
    let clerk = || clerk(&seen).on_batch(3, 2 * WELL_WITHIN, durable("store", store));
    place.is_prepared(clerk()).await;
    for key in ["a", "bad", "c"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    let clerk = place.start(clerk()).await;
    within(2 * WELL_WITHIN, "they are handled", async || seen.len() > 0).await;
    place.is_settled(PAYMENTS, "store").await;
    assert_eq!(seen.all(), ["a bad c"]);
    let letters = letters(&place.operator).await;
    let subjects: Vec<_> = letters
        .iter()
        .map(|letter| &*letter.record.original.as_ref().unwrap().subject)
        .collect();
    assert_eq!(subjects, ["orders.payments.payment.processed.bad"]);
    place.ends(clerk).await;
}

/// More than two parts of an object.
fn long_note() -> String {
    (0..60_000).map(|number| number.to_string()).collect()
}

async fn read(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(format!("{} {}", paid.payment_id, paid.note == long_note()));
}

/// Data that is too large for its message goes through the object store, there and back.
pub(crate) async fn it_stores_data_and_reads_it(place: &Place) {
    let seen = Seen::default();
    let clerk = || {
        clerk(&seen)
            .context(Context::new("orders.payments"))
            .publishes::<PaymentProcessed>()
            .claim_check_above(1000)
            .on(durable("read", read))
    };
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    let large = PaymentProcessed {
        note: long_note(),
        ..processed("large")
    };
    clerk.bus().publish(&large).await.unwrap();
    within(2 * WELL_WITHIN, "it is read", async || seen.len() > 0).await;
    place.is_settled(PAYMENTS, "read").await;
    assert_eq!(seen.all(), ["large true"]);
    let stored = place.operator.jetstream().get_stream(PAYMENTS).await.unwrap();
    let message = stored.get_raw_message(1).await.unwrap();
    assert!(message.payload.is_empty() && message.headers.get("ce-dataref").is_some());
    place.ends(clerk).await;
}

/// The first event of `p` fails the first time, and until `q` is handled.
async fn book(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    let what = format!("{}/{}", paid.payment_id, paid.note);
    let waits = what == "p/1" && (attempt == 1 || !seen.has("q/1"));
    seen.note(if waits { "p/1 fails".to_owned() } else { what });
    if waits {
        return Err("as a test does").or_retry();
    }
    Ok(())
}

/// A key waits for longer than a message is held: it is parked with what follows, and handled in order, while another key
/// goes on.
pub(crate) async fn it_keeps_the_order_of_keys(place: &Place) {
    let seen = Seen::default();
    let payments = payments().start(place.operator.clone()).await.unwrap();
    let clerk = || {
        let patient = Retry::fixed(Duration::from_secs(11)).max_attempts(100);
        clerk(&seen).on(durable("book", book).ordered_by_key().retry(patient))
    };
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    for (key, note) in [("p", "1"), ("p", "2"), ("q", "1")] {
        let event = PaymentProcessed {
            note: note.into(),
            ..processed(key)
        };
        payments.bus().publish(&event).await.unwrap();
    }
    within(4 * WELL_WITHIN, "all are handled", async || {
        ["p/1", "p/2", "q/1"].iter().all(|event| seen.has(event))
    })
    .await;
    let mut of_p: Vec<_> = seen
        .all()
        .into_iter()
        .filter(|seen| seen.starts_with('p'))
        .collect();
    // How often it fails and what a lost lease runs again is up to the machine.
    of_p.dedup();
    assert_eq!(of_p, ["p/1 fails", "p/1", "p/2"]);
    let parked = place.operator.jetstream().get_stream("TW_CLERK").await.unwrap();
    within(2 * WELL_WITHIN, "it is parked no more", async || {
        let last = parked.get_last_raw_message_by_subject("park.clerk.book.p").await;
        last.is_err()
    })
    .await;
    place.is_settled(PAYMENTS, "book").await;
    place.ends(clerk).await;
}

async fn mend(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    if !seen.has("mended") {
        return Err("as a test does").or_reject();
    }
    seen.note(paid.payment_id);
    Ok(())
}

/// A dead letter that an operator sends to its handler again is handled, and says so.
pub(crate) async fn it_handles_a_letter_again(place: &Place) {
    let seen = Seen::default();
    let payments = payments().start(place.operator.clone()).await.unwrap();
    let clerk = || clerk(&seen).on(durable("mend", mend));
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    within(2 * WELL_WITHIN, "it is kept", async || {
        !letters(&place.operator).await.is_empty()
    })
    .await;
    seen.note("mended");
    let letter = letters(&place.operator).await.remove(0);
    let client = place.operator.client();
    replay(&client, &letter.subject, &letter.record, "clerk", "mend").await;
    within(
        2 * WELL_WITHIN,
        "its letter says that it is handled",
        async || letters(&place.operator).await.last().unwrap().record.act == Act::Handled,
    )
    .await;
    assert_eq!(seen.all(), ["mended", "p"]);
    place.is_settled("TW_CLERK", "mend").await;
    place.ends(clerk).await;
}

async fn refuse_all(_: Raw) -> Result<(), Failure> {
    Err("never").or_reject()
}

/// Reads whatever a filter lets through, stores a letter of the largest size, and is paused and resumed.
pub(crate) async fn it_keeps_what_is_large_and_is_paused(place: &Place) {
    let _payments = payments().start(place.operator.clone()).await.unwrap();
    let seen = Seen::default();
    let clerk = || clerk(&seen).on(durable("read", refuse_all).filter("orders.payments.payment.processed.*"));
    place.is_prepared(clerk()).await;
    let clerk = place.start(clerk()).await;
    let js = place.operator.jetstream();
    let largest = vec![b'x'; place.operator.client().max_payload()];
    let sent = js
        .publish("orders.payments.payment.processed.p", largest.into())
        .await;
    sent.unwrap().await.unwrap();
    place.is_settled(PAYMENTS, "read").await;
    let kept = js.get_stream(wire::DLQ_STREAM).await.unwrap();
    assert_eq!(kept.cached_info().state.messages, 1);
    for (verb, body) in [
        ("pause", r#"{"durable":"read","seconds":60}"#),
        ("resume", r#"{"durable":"read"}"#),
    ] {
        let asked = format!("tidewire.ops.clerk.{verb}");
        let answer = place.operator.client().request(asked, body.into()).await.unwrap();
        let answer = String::from_utf8(answer.payload.to_vec()).unwrap();
        assert!(answer.contains(&format!("{verb}d")), "{answer}");
    }
    place.ends(clerk).await;
}

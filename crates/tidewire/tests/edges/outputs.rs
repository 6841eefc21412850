//! What a handler or a bus sends and cannot be sent: nothing of it goes out, and what is handled becomes a dead letter.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, Extras, PublishError, async_nats::Message, prelude::*};
use tidewire_server::Server;

use crate::{
    bad_input::{is_named, size, unsendable},
    overheard::Overheard,
    poison::letters,
    support::{
        PAYMENTS, PaymentProcessed, ProcessPayment, Seen, connect_to, process, processed, stored, within,
        worker,
    },
};

const SOON: Duration = Duration::from_secs(30);
const QUEUE: &str = "ORDERS__PAYMENTS__QUEUE";
const LIMIT: usize = 256 << 10;

/// What the handler here emits.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.receipt.written", key = payment_id)]
struct ReceiptWritten {
    payment_id: String,
    note: String,
}

fn receipt(payment_id: &str, length: usize) -> ReceiptWritten {
    ReceiptWritten {
        payment_id: payment_id.into(),
        note: "x".repeat(length),
    }
}

fn command(length: usize) -> ProcessPayment {
    ProcessPayment {
        note: "x".repeat(length),
        ..process("p")
    }
}

/// Emits a receipt and sends a command, one of which cannot be sent as the key says: `emit-2` or `dispatch-2` by the second
/// header that cannot, `emit-large` or `dispatch-large` by the size. The other one is well, and comes first where the key
/// ends in `-last`.
async fn lead_on(
    State(seen): State<Seen>,
    receipts: Emit<ReceiptWritten>,
    commands: Dispatch<ProcessPayment>,
    Event(paid): Event<PaymentProcessed>,
) {
    let key = paid.payment_id;
    seen.note(format!("ran {key}"));
    let mut words = key.split('-');
    let (output, how, is_last) = (
        words.next(),
        words.next().unwrap_or_default(),
        words.next().is_some(),
    );
    let length = if how == "large" { LIMIT } else { 0 };
    let extras = match how.parse::<usize>() {
        Ok(number) => {
            let (name, value) = unsendable().swap_remove(number);
            Extras::new().header(name, value)
        }
        Err(_) => Extras::new(),
    };
    match (output, is_last) {
        (Some("emit"), false) => {
            receipts.emit_with(receipt("bad", length), extras);
            commands.dispatch(process("good"));
        }
        (Some("emit"), true) => {
            commands.dispatch(process("good"));
            receipts.emit_with(receipt("bad", length), extras);
        }
        (Some("dispatch"), false) => {
            commands.dispatch_with(command(length), extras);
            receipts.emit(receipt("good", 0));
        }
        (Some("dispatch"), true) => {
            receipts.emit(receipt("good", 0));
            commands.dispatch_with(command(length), extras);
        }
        _ => {
            receipts.emit(receipt("well", 0));
            commands.dispatch(process("well"));
        }
    }
}

/// Every key that [`lead_on`] knows to be bad.
fn bad() -> Vec<String> {
    let headers = (0..unsendable().len()).map(|number| number.to_string());
    let hows: Vec<_> = headers.chain(["large".to_owned()]).collect();
    let outputs = ["emit", "dispatch"].into_iter();
    let keys = outputs.flat_map(|output| hows.iter().map(move |how| format!("{output}-{how}")));
    keys.flat_map(|key| [format!("{key}-last"), key]).collect()
}

fn small() -> Server {
    Server::builder()
        .config(format!("max_payload: {LIMIT}"))
        .start()
        .unwrap()
}

/// A service with this handler, given what it may not send and then something that is well.
async fn nothing_bad_goes_out(clerk: Service<Seen>, server: &Server, seen: &Seen) {
    let nats = connect_to(server.url()).await;
    let _worker = worker(seen).start(nats.clone()).await.unwrap();
    let clerk = clerk.start(nats.clone()).await.unwrap();
    let other = connect_to(server.url()).await;
    let mut overheard = Overheard::of(other.clone(), &["orders.payments.receipt.>", "queue.>"]).await;
    let keys = bad();
    for key in &keys {
        clerk.bus().publish(&processed(key)).await.unwrap();
    }
    within(SOON, "each is a dead letter", async || {
        letters(&other).await.len() == keys.len()
    })
    .await;
    let sent: Vec<_> = overheard.until_now(&nats).await;
    assert_eq!(sent.len(), 0, "nothing was sent: {:?}", subjects(&sent));
    for letter in letters(&other).await {
        let (original, trouble) = (letter.record.original.unwrap(), letter.record.trouble.unwrap());
        let key = original.subject.rsplit('.').next().unwrap();
        assert!(keys.iter().any(|bad| bad == key), "{key}");
        // To run it again would lead to the same.
        assert_eq!((&*trouble.class, trouble.attempts), ("rejected", 1), "{key}");
        let named = match key.split('-').nth(1).unwrap() {
            "large" => "too large",
            number => match unsendable()[number.parse::<usize>().unwrap()].0 {
                "x-large" => "a stream takes",
                name => name,
            },
        };
        assert!(trouble.error.contains(named), "{key}: {}", trouble.error);
    }
    let runs = seen.all().into_iter().filter(|seen| seen.starts_with("ran "));
    assert_eq!(runs.count(), keys.len(), "each ran once");

    clerk.bus().publish(&processed("well")).await.unwrap();
    within(SOON, "the command is worked", async || seen.has("well")).await;
    let sent = overheard.until_now(&nats).await;
    assert_eq!(
        subjects(&sent),
        [
            "orders.payments.receipt.written.well",
            "queue.orders.payments.payment.process.well"
        ]
    );
    // The inputs and one receipt.
    assert_eq!(stored(&other, PAYMENTS).await, keys.len() as u64 + 2);
    is_the_same_connection(&nats);
}

fn subjects(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.subject.as_str()).collect()
}

fn is_the_same_connection(nats: &Connection) {
    let statistics = nats.client().statistics();
    let connects = statistics.connects.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(connects, 1, "the connection was never lost");
}

fn clerk(seen: &Seen) -> Service<Seen> {
    Service::new("clerk", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
}

#[tokio::test]
async fn of_two_outputs_neither_is_sent_where_one_cannot_be_and_the_input_is_a_dead_letter() {
    let (server, seen) = (small(), Seen::default());
    let clerk = clerk(&seen).on(durable("lead-on", lead_on));
    nothing_bad_goes_out(clerk, &server, &seen).await;
}

#[tokio::test]
async fn an_effectively_once_handler_records_no_output_that_cannot_be_sent() {
    let (server, seen) = (small(), Seen::default());
    let clerk = clerk(&seen).on(durable("lead-on", lead_on).effectively_once());
    nothing_bad_goes_out(clerk, &server, &seen).await;
}

#[tokio::test]
async fn a_durable_command_that_cannot_be_sent() {
    let (server, seen) = (small(), Seen::default());
    let nats = connect_to(server.url()).await;
    let _worker = worker(&seen).start(nats.clone()).await.unwrap();
    let sender = Service::new("sender", "1.0.0").sends::<ProcessPayment>();
    let sender = sender.start(nats.clone()).await.unwrap();
    let other = connect_to(server.url()).await;
    let mut overheard = Overheard::of(other.clone(), &["queue.>", "orders.>"]).await;
    let bus = sender.bus();
    for (name, value) in unsendable() {
        let extras = Extras::new().header(name, &value);
        let error = bus.send_with(&process("p"), extras).await.unwrap_err();
        let PublishError::Encode(error) = error else {
            panic!("{name}: {error}")
        };
        is_named(&error, name, &value);
    }
    assert_eq!(overheard.until_now(&nats).await.len(), 0, "nothing was sent");
    assert_eq!(stream_last(&other).await, 0, "and nothing is in the queue");

    bus.send(&command(0)).await.unwrap();
    let sent = overheard.until_now(&nats).await;
    let [first] = sent.as_slice() else {
        panic!("{}", sent.len());
    };
    let room = LIMIT - size(first.headers.as_ref().unwrap(), &first.payload);
    let error = bus.send(&command(room + 1)).await.unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { .. }) && !error.is_transient(),
        "{error}"
    );
    assert_eq!(overheard.until_now(&nats).await.len(), 0, "nothing was sent");
    assert_eq!(bus.send(&command(room)).await.unwrap().sequence, 2);
    is_the_same_connection(&nats);
}

/// The place of what came last into the queue.
async fn stream_last(nats: &Connection) -> u64 {
    crate::support::stream(nats, QUEUE).await.state.last_sequence
}

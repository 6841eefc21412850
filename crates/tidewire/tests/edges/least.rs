//! A service with nothing but the permissions that it needs to run: its streams and consumers were made by another.

use std::time::Duration;

use tidewire::{Connect, Service, StartError, prelude::*};
use tidewire_server::Server;

use crate::{
    failing,
    support::{
        Log, NAMED_WITHIN, PAYMENTS, PaymentFailed, PaymentProcessed, ProcessPayment, Seen, WELL_WITHIN,
        connect_as, payments, process, processed, soon, till, within,
    },
};

/// All that a service needs which is called `cashier`, keeps the context `orders.payments`, emits and publishes
/// `failed`, reads `processed` by its durable `note`, and answers `process`.
const PUBLISH: [&str; 18] = [
    // Its own events.
    "orders.payments.payment.failed.*",
    // To see that its stream and its consumer are as declared.
    "$JS.API.STREAM.INFO.ORDERS__PAYMENTS",
    "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.cashier__note",
    // To pull, and to settle.
    "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.cashier__note",
    "$JS.ACK.ORDERS__PAYMENTS.cashier__note.>",
    // What it tries again: replays of its dead letters, and how often it ran what failed.
    "$JS.API.STREAM.INFO.TW_CASHIER",
    "$JS.API.CONSUMER.INFO.TW_CASHIER.cashier__note",
    "$JS.API.CONSUMER.MSG.NEXT.TW_CASHIER.cashier__note",
    "$JS.ACK.TW_CASHIER.cashier__note.>",
    "$JS.API.STREAM.INFO.KV_TW_CASHIER_RUNS",
    "$JS.API.STREAM.MSG.GET.KV_TW_CASHIER_RUNS",
    "$KV.TW_CASHIER_RUNS.>",
    // What it could not handle.
    "$JS.API.STREAM.INFO.TIDEWIRE_DLQ",
    "$JS.API.STREAM.MSG.GET.TIDEWIRE_DLQ",
    "dlq.cashier.>",
    "$JS.API.STREAM.INFO.TIDEWIRE_ERRORS",
    "errors.cashier.>",
    // A message to itself: that its subscriptions are there, and its last acks.
    "_INBOX_cashier.>",
];
const SUBSCRIBE: [&str; 4] = [
    "_INBOX_cashier.>",
    "$SRV.>",
    "tidewire.ops.cashier.*",
    "orders.payments.payment.process.* cashier",
];

/// What a durable that is ordered by key needs beside it: to be the one that reads, to begin where the last one ended, and
/// to park what has to wait.
const ORDERED: [&str; 12] = [
    "$JS.API.STREAM.INFO.KV_TW_CASHIER_LEASES",
    "$JS.API.STREAM.MSG.GET.KV_TW_CASHIER_LEASES",
    "$KV.TW_CASHIER_LEASES.note",
    "$JS.API.CONSUMER.UNPIN.ORDERS__PAYMENTS.cashier__note",
    "$JS.API.CONSUMER.RESET.ORDERS__PAYMENTS.cashier__note",
    "$JS.API.CONSUMER.UNPIN.TW_CASHIER.cashier__note",
    "$JS.API.CONSUMER.RESET.TW_CASHIER.cashier__note",
    "park.cashier.note",
    "park.cashier.note.>",
    "$JS.API.STREAM.PURGE.TW_CASHIER",
    "$JS.API.STREAM.MSG.GET.TW_CASHIER",
    "$JS.API.STREAM.MSG.DELETE.TW_CASHIER",
];

/// Users whose passwords are their names: `admin` may do everything, `cashier` what is written above and `more`.
fn config(more: &[&str]) -> String {
    let publish = [&PUBLISH[..], more].concat();
    format!(
        "authorization {{ users: [
            {{ user: admin, password: admin }}
            {{ user: cashier, password: cashier, permissions: {{
                publish: {publish:?}, subscribe: {SUBSCRIBE:?}, allow_responses: true
            }} }}
        ] }}"
    )
}

async fn note(State(seen): State<Seen>, failed: Emit<PaymentFailed>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id.clone());
    failed.emit(PaymentFailed {
        payment_id: paid.payment_id,
    });
}

async fn answer(State(seen): State<Seen>, Command(command): Command<ProcessPayment>) {
    seen.note(command.payment_id);
}

fn cashier(seen: &Seen) -> Service<Seen> {
    Service::new("cashier", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .publishes::<PaymentFailed>()
        .on(durable("note", note))
        .command(answer)
}

#[tokio::test]
async fn a_service_with_nothing_but_what_it_needs() {
    let (log, _guard) = Log::listen();
    let server = Server::builder().config(config(&[])).start().unwrap();
    let admin = Connect::to(server.url())
        .user("admin", "admin")
        .connect()
        .await
        .unwrap();
    let connect = Connect::to(server.url())
        .user("cashier", "cashier")
        .service("cashier");
    let nats = connect.connect().await.unwrap();
    let seen = Seen::default();

    // Without its stream it says what it may not do, instead of making it.
    let error = cashier(&seen).start(nats.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::StreamNotPermitted { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("start the service once as a user who may"),
        "{error}"
    );

    // An operator starts the same declaration once, with other permissions.
    let payments = payments().start(admin.clone()).await.unwrap();
    cashier(&seen)
        .start(admin.clone())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();

    let start = cashier(&seen).start(nats.clone());
    let running = soon(NAMED_WITHIN, "what is not needed is not waited for", start)
        .await
        .unwrap();
    log.forget();
    payments.bus().publish(&processed("event")).await.unwrap();
    let till = till().start(admin.clone()).await.unwrap();
    till.bus().ask(&process("command")).await.unwrap();
    within(WELL_WITHIN, "both are handled", async || {
        seen.has("event") && seen.has("command")
    })
    .await;
    let event = PaymentFailed {
        payment_id: "published".into(),
    };
    running.bus().publish(&event).await.unwrap();
    let stream = admin.jetstream().get_stream(PAYMENTS).await.unwrap();
    within(WELL_WITHIN, "it is settled", async || {
        let info = stream.consumer_info("cashier__note").await.unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    assert_eq!(stream.get_info().await.unwrap().state.messages, 3);
    running.stop().await.unwrap();
    assert_eq!(log.find("the server refused"), None);
    // Its inbox is its own.
    assert!(nats.client().new_inbox().starts_with("_INBOX_cashier."));
}

/// To run again what failed, to keep what cannot be handled and to tell of both takes no permission more.
#[tokio::test]
async fn what_fails_with_nothing_but_what_it_needs() {
    let (log, _guard) = Log::listen();
    let server = Server::builder().config(config(&[])).start().unwrap();
    let admin = connect_as(&server, "admin").await;
    let payments = payments().start(admin.clone()).await.unwrap();
    let seen = Seen::default();
    let first = failing::cashier(&seen).start(admin.clone()).await.unwrap();
    first.stop().await.unwrap();
    let connect = Connect::to(server.url())
        .user("cashier", "cashier")
        .service("cashier");
    let nats = connect.connect().await.unwrap();
    let running = failing::cashier(&seen).start(nats).await.unwrap();
    log.forget();
    failing::both_come_to_their_ends(&payments.bus(), &admin, &seen).await;
    running.stop().await.unwrap();
    assert_eq!(log.find("the server refused"), None);
}

/// Fails the first time.
async fn book(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    seen.note(format!("{attempt}"));
    match attempt {
        1 => Err(paid.payment_id).or_retry(),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_durable_that_is_ordered_by_key_with_nothing_but_what_it_needs() {
    let (log, _guard) = Log::listen();
    let server = Server::builder().config(config(&ORDERED)).start().unwrap();
    let admin = connect_as(&server, "admin").await;
    let payments = payments().start(admin.clone()).await.unwrap();
    let seen = Seen::default();
    let ledger = || {
        // Longer than a message is held: it is parked.
        let patient = Retry::fixed(Duration::from_secs(11)).max_attempts(3);
        Service::new("cashier", "1.0.0")
            .state(seen.clone())
            .on(durable("note", book).ordered_by_key().retry(patient))
    };
    let first = ledger().start(admin.clone()).await.unwrap();
    first.stop().await.unwrap();
    let connect = Connect::to(server.url())
        .user("cashier", "cashier")
        .service("cashier");
    let nats = connect.connect().await.unwrap();
    let running = ledger().start(nats).await.unwrap();
    log.forget();
    payments.bus().publish(&processed("p")).await.unwrap();
    within(2 * WELL_WITHIN, "it is handled after it was parked", async || {
        seen.has("2")
    })
    .await;
    let stream = admin.jetstream().get_stream("TW_CASHIER").await.unwrap();
    within(WELL_WITHIN, "it is parked no more", async || {
        let last = stream
            .get_last_raw_message_by_subject("park.cashier.note.p")
            .await;
        last.is_err()
    })
    .await;
    running.stop().await.unwrap();
    assert_eq!(log.find("the server refused"), None);
}

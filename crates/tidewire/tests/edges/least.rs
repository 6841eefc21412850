//! A service with nothing but the permissions that it needs to run: its streams and consumers were made by another.

use tidewire::{Service, StartError, prelude::*};

use crate::{
    failing,
    grants::Grants,
    support::{
        Log, PAYMENTS, PaymentFailed, PaymentProcessed, ProcessPayment, Seen, WELL_WITHIN, is_settled, named,
        payments, process, processed, till, within,
    },
};

/// All that a service needs which is called `cashier`, keeps the context `orders.payments`, emits and publishes
/// `failed`, reads `processed` by its durable `note`, and answers `process`.
fn needed() -> Grants {
    Grants::of("cashier")
        .sends(PAYMENTS, "orders.payments.payment.failed.*")
        .reads(PAYMENTS, "note")
        .hears("orders.payments.payment.process.* cashier")
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
    let grants = needed();
    let server = grants.server();
    let admin = Grants::admin(&server).await;
    let nats = grants.connect(&server).await;
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

    // What is not needed is not waited for.
    let start = async || cashier(&seen).start(nats.clone()).await;
    let running = named(start).await.unwrap();
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
        is_settled(&admin, PAYMENTS, "cashier__note").await
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
    let grants = needed();
    let server = grants.server();
    let admin = Grants::admin(&server).await;
    let payments = payments().start(admin.clone()).await.unwrap();
    let seen = Seen::default();
    let first = failing::cashier(&seen).start(admin.clone()).await.unwrap();
    first.stop().await.unwrap();
    let nats = grants.connect(&server).await;
    let running = failing::cashier(&seen).start(nats).await.unwrap();
    log.forget();
    failing::both_come_to_their_ends(&payments.bus(), &admin, &seen).await;
    running.stop().await.unwrap();
    assert_eq!(log.find("the server refused"), None);
}

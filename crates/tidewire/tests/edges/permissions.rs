//! What this user may not do is named, with its subject, within two seconds.

use std::time::Instant;

use tidewire::{
    AskError, Connection, Operation, PublishError, StartError, async_nats::jetstream::consumer::Info,
};

use crate::support::{
    COMES_WITHIN, Log, NAMED_WITHIN, PAYMENTS, PULL, PaymentFailed, Reloadable, Seen, WELL_WITHIN, cashier,
    connect_as, named, payments, process, processed, shipping, till, users, within,
};

#[tokio::test]
async fn a_refused_publish_is_named() {
    let nats = Reloadable::start(&users(
        r#"publish: { deny: ["orders.payments.payment.processed.>"] }"#,
    ));
    let service = payments().start(connect_as(&nats.server, "service").await);
    let service = service.await.unwrap();
    let (bus, event) = (service.bus(), processed("p"));
    let error = named(async || bus.publish(&event).await).await.unwrap_err();
    let PublishError::NotPermitted(refusal) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (refusal.operation, &*refusal.subject),
        (Operation::Publish, "orders.payments.payment.processed.p")
    );
    assert!(!error.is_transient());
    let allowed = PaymentFailed {
        payment_id: "p".into(),
    };
    assert_eq!(service.bus().publish(&allowed).await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_refused_question_is_named() {
    let nats = Reloadable::start(&users(
        r#"publish: { deny: ["orders.payments.payment.process.forbidden"] }"#,
    ));
    let seen = Seen::default();
    let _cashier = cashier(&seen).start(nats.admin().await).await.unwrap();
    let till = till()
        .start(connect_as(&nats.server, "service").await)
        .await
        .unwrap();
    let bus = till.bus();
    let question = process("forbidden");
    let error = named(async || bus.ask(&question).await).await.unwrap_err();
    assert!(
        matches!(&error, AskError::NotPermitted(refusal) if refusal.subject == "orders.payments.payment.process.forbidden"),
        "{error}"
    );
    bus.ask(&process("allowed")).await.unwrap();
    assert_eq!(seen.len(), 1);
}

/// At the same time, on one connection: each call hears what was said of it, and nothing of the others.
#[tokio::test]
async fn a_refused_call_and_allowed_ones_side_by_side() {
    const ROUNDS: usize = 10;
    let nats = Reloadable::start(&users(
        r#"publish: { deny: ["orders.payments.payment.*.forbidden"] }"#,
    ));
    let seen = Seen::default();
    let _cashier = cashier(&seen).start(nats.admin().await).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let payments = payments().start(service.clone()).await.unwrap();
    let till = till().start(service).await.unwrap();
    let (publishes, asks) = (payments.bus(), till.bus());
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let (before, after) = (format!("before-{round}"), format!("after-{round}"));
        let events = [processed(&*before), processed("forbidden"), processed(&*after)];
        let began = Instant::now();
        let (first, refused, last) = tokio::join!(
            publishes.publish(&events[0]),
            publishes.publish(&events[1]),
            publishes.publish(&events[2])
        );
        took.push(began.elapsed());
        assert!(
            matches!(&refused, Err(PublishError::NotPermitted(refusal)) if refusal.subject == "orders.payments.payment.processed.forbidden"),
            "{refused:?}"
        );
        let mut places = [first.unwrap().sequence, last.unwrap().sequence];
        places.sort_unstable();
        let stored = 2 * u64::try_from(round).unwrap();
        assert_eq!(places, [stored + 1, stored + 2], "the refused one is nowhere");
        let questions = [process(before), process("forbidden"), process(after)];
        let began = Instant::now();
        let (first, refused, last) = tokio::join!(
            asks.ask(&questions[0]),
            asks.ask(&questions[1]),
            asks.ask(&questions[2])
        );
        took.push(began.elapsed());
        assert!(
            matches!(&refused, Err(AskError::NotPermitted(refusal)) if refusal.subject == "orders.payments.payment.process.forbidden"),
            "{refused:?}"
        );
        first.unwrap();
        last.unwrap();
    }
    assert_eq!(seen.len(), 2 * ROUNDS, "each allowed one was answered once");
    // A machine that stands still makes one or another late; one that waits for its time to be over is late each time.
    took.sort_unstable();
    assert!(took[took.len() * 3 / 4] < NAMED_WITHIN, "{took:?}");
}

/// What a service that may not do this says at its start.
async fn refused_at_start(permissions: &str) -> tidewire::Refusal {
    let nats = Reloadable::start(&users(permissions));
    let _payments = payments().start(nats.admin().await).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let start = async || {
        let cashier = cashier(&Seen::default()).on(tidewire::durable("note", drop_event));
        cashier.start(service.clone()).await
    };
    match named(start).await {
        Err(StartError::NotPermitted(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn drop_event(tidewire::extract::Event(_): tidewire::extract::Event<PaymentFailed>) {}

#[tokio::test]
async fn what_a_start_lacks_is_named() {
    let cases = [
        (
            r#"subscribe: { deny: ["orders.payments.payment.process.*"] }"#,
            Operation::Subscribe,
            "orders.payments.payment.process.*",
        ),
        (
            r#"subscribe: { deny: ["$SRV.>"] }"#,
            Operation::Subscribe,
            "$SRV.PING",
        ),
        (
            r#"publish: { deny: ["$JS.API.STREAM.INFO.>"] }"#,
            Operation::Publish,
            "$JS.API.STREAM.INFO.ORDERS__PAYMENTS",
        ),
        (
            r#"publish: { deny: ["$JS.API.CONSUMER.>"] }"#,
            Operation::Publish,
            "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.cashier__note",
        ),
        (
            r#"publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }"#,
            Operation::Publish,
            "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.cashier__note",
        ),
    ];
    for (permissions, operation, subject) in cases {
        let refusal = refused_at_start(permissions).await;
        // There are two pulls, and either may be the first.
        let refused = refusal
            .subject
            .replace("NEXT.TW_CASHIER.", "NEXT.ORDERS__PAYMENTS.");
        assert_eq!((refusal.operation, &*refused), (operation, subject));
        let text = refusal.to_string();
        assert!(
            text.contains(&refusal.subject) && text.contains("grant it"),
            "{text}"
        );
    }
    let inbox = refused_at_start(r#"subscribe: { deny: ["_INBOX.>"] }"#).await;
    assert!(inbox.subject.starts_with("_INBOX."), "{inbox}");
}

#[tokio::test]
async fn a_pull_that_is_refused_while_the_service_runs_is_named_and_goes_on_when_it_is_allowed() {
    let (log, _guard) = Log::listen();
    let (all, no_pulls) = (users(""), users(&format!(r#"publish: {{ deny: ["{PULL}"] }}"#)));
    let (nats, seen) = (Reloadable::start(&all), Seen::default());
    let payments = payments().start(nats.admin().await).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let _shipping = shipping(&seen).start(service).await.unwrap();
    nats.reload(&no_pulls).await;
    // The request that stands already gives what it was made for, and no more.
    for number in 0..100 {
        payments
            .bus()
            .publish(&processed(number.to_string()))
            .await
            .unwrap();
    }
    log.says(COMES_WITHIN, &format!("this user may not publish to `{PULL}`"))
        .await;
    let admin = nats.admin().await;
    within(WELL_WITHIN, "no request stands", async || {
        consumer(&admin).await.num_waiting == 0
    })
    .await;
    assert!(consumer(&admin).await.num_pending > 0);
    nats.reload(&all).await;
    within(COMES_WITHIN, "what was kept is handled", async || {
        seen.len() == 100
    })
    .await;
}

async fn consumer(nats: &Connection) -> Info {
    let stream = nats.jetstream().get_stream(PAYMENTS).await.unwrap();
    stream.consumer_info("shipping__note").await.unwrap()
}

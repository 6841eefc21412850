//! A refusal belongs to the call that caused it: what is refused to others on the same connection is theirs.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, Operation, Refusal, StartError, prelude::*};
use tokio::{task::JoinHandle, time::sleep};

use crate::support::{
    Log, NAMED_WITHIN, PaymentFailed, Reloadable, Seen, cashier, connect_as, display, payments, shipping,
    soon, till, users, worker,
};

const SOON: Duration = Duration::from_secs(30);

/// Where others send, of every kind to which a service sends, and very like its own.
const PUBLISHED: [&str; 14] = [
    "others.published",
    "$JS.API.STREAM.INFO.OTHERS",
    "$JS.API.STREAM.CREATE.OTHERS",
    "$JS.API.STREAM.UPDATE.ORDERS__PAYMENTS__OTHERS",
    "$JS.API.STREAM.LIST",
    "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.others__note",
    "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.shipping__note-others",
    "$JS.API.CONSUMER.CREATE.ORDERS__PAYMENTS.others__note",
    "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.others__note",
    "$JS.API.STREAM.MSG.GET.KV_TW_OTHERS_RUNS",
    "$JS.API.DIRECT.GET.OTHERS.others",
    "$KV.TIDEWIRE_LEASES.stream.OTHERS",
    "$KV.TIDEWIRE_MANIFESTS.others",
    "_INBOX.others",
];
/// What others hear.
const HEARD: [&str; 6] = [
    "others.heard",
    "orders.payments.payment.process.others",
    "orders.payments.payment.processed.others",
    "$SRV.PING.others",
    "tidewire.ops.others.*",
    "_INBOX.others",
];

fn denied<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<_> = all.into_iter().map(|subject| format!("{subject:?}")).collect();
    format!("{{ deny: [{}] }}", all.join(", "))
}

/// A user who may not do what others try here, nor this.
fn denies(publish: &[&str], subscribe: &[&str]) -> String {
    let publish = denied(PUBLISHED.iter().chain(publish).copied());
    let subscribe = denied(HEARD.iter().chain(subscribe).copied());
    users(&format!("publish: {publish}, subscribe: {subscribe}"))
}

/// Others on a connection, to whom something is refused all the time.
struct Others {
    task: JoinHandle<()>,
    log: Log,
}

impl Others {
    fn on(nats: &Connection, log: &Log) -> Self {
        let client = nats.client();
        let task = tokio::spawn(async move {
            loop {
                for subject in PUBLISHED {
                    client.publish(subject, "".into()).await.unwrap();
                    sleep(Duration::from_millis(1)).await;
                }
                for subject in HEARD {
                    drop(client.subscribe(subject).await.unwrap());
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
        Self {
            task,
            log: log.clone(),
        }
    }

    fn refused(&self) -> usize {
        self.log.count("the server refused")
    }

    /// Runs a call during which something is refused to them.
    async fn beside<T>(&self, call: impl Future<Output = T>) -> T {
        let before = self.refused();
        let done = soon(SOON, "it ends", call).await;
        assert!(self.refused() > before, "nothing was refused meanwhile");
        done
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn what_is_refused_to_others_fails_no_start() {
    let (log, _guard) = Log::listen();
    let (nats, seen) = (Reloadable::start(&denies(&[], &[])), Seen::default());
    let service = connect_as(&nats.server, "service").await;
    let others = Others::on(&service, &log);
    // It makes its stream, under a lease; so does the worker its queue.
    others.beside(payments().start(service.clone())).await.unwrap();
    others.beside(worker(&seen).start(service.clone())).await.unwrap();
    others
        .beside(shipping(&seen).start(service.clone()))
        .await
        .unwrap();
    others
        .beside(cashier(&seen).start(service.clone()))
        .await
        .unwrap();
    others
        .beside(display(&seen).start(service.clone()))
        .await
        .unwrap();
    others.beside(till().start(service)).await.unwrap();
    assert_eq!(log.count("is not in the bucket"), 0, "each manifest is written");
}

async fn drop_event(_: Event<PaymentFailed>) {}

/// What fails by this refusal says within two seconds from when the server has said so: what goes before takes its time. As
/// with other calls, one that is late on a busy machine is made again.
async fn named<T>(log: &Log, subject: &str, mut call: impl AsyncFnMut() -> T) -> T {
    let refusal = format!("`{subject}`; grant it");
    for _ in 0..3 {
        log.forget();
        let said = async {
            log.says(SOON, &refusal).await;
            Instant::now()
        };
        let calling = async { (soon(SOON, "it ends", Box::pin(call())).await, Instant::now()) };
        let (said, (done, ended)) = tokio::join!(said, calling);
        if ended.saturating_duration_since(said) < NAMED_WITHIN {
            return done;
        }
    }
    panic!("{subject}: not once within {NAMED_WITHIN:?}");
}

/// A start that fails, by what was refused to it.
async fn refused_at_start(log: &Log, publish: &[&str], subscribe: &[&str]) -> Refusal {
    let nats = Reloadable::start(&denies(publish, subscribe));
    let _payments = payments().start(nats.admin().await).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let _others = Others::on(&service, log);
    let start = async || {
        let cashier = cashier(&Seen::default()).on(durable("note", drop_event));
        cashier.start(service.clone()).await
    };
    let subject = publish.iter().chain(subscribe).next().unwrap();
    match named(log, subject, start).await {
        Err(StartError::NotPermitted(refusal)) => refusal,
        other => panic!("{publish:?} {subscribe:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_start_names_what_is_refused_to_it_beside_what_is_refused_to_others() {
    let (log, _guard) = Log::listen();
    for subject in [
        "$JS.API.STREAM.INFO.ORDERS__PAYMENTS",
        "$JS.API.STREAM.CREATE.TIDEWIRE_ERRORS",
        "$JS.API.STREAM.CREATE.TW_CASHIER",
        "$JS.API.STREAM.CREATE.KV_TW_CASHIER_RUNS",
        "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.cashier__note",
        "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.cashier__note",
    ] {
        let refusal = refused_at_start(&log, &[subject], &[]).await;
        assert_eq!(
            (refusal.operation, &*refusal.subject),
            (Operation::Publish, subject)
        );
    }
    for subject in [
        "orders.payments.payment.process.*",
        "$SRV.PING",
        "$SRV.INFO.cashier",
        "tidewire.ops.cashier.*",
    ] {
        let refusal = refused_at_start(&log, &[], &[subject]).await;
        assert_eq!(
            (refusal.operation, &*refusal.subject),
            (Operation::Subscribe, subject)
        );
    }
}

#[tokio::test]
async fn a_stream_that_may_not_be_made_is_named_beside_what_is_refused_to_others() {
    let (log, _guard) = Log::listen();
    for subject in [
        "$JS.API.STREAM.CREATE.ORDERS__PAYMENTS",
        "$JS.API.STREAM.CREATE.KV_TIDEWIRE_LEASES",
        "$KV.TIDEWIRE_LEASES.stream.ORDERS__PAYMENTS",
    ] {
        let nats = Reloadable::start(&denies(&[subject], &[]));
        let service = connect_as(&nats.server, "service").await;
        let _others = Others::on(&service, &log);
        let start = async || payments().start(service.clone()).await;
        let error = named(&log, subject, start).await.unwrap_err();
        let StartError::StreamNotPermitted { refusal, .. } = &error else {
            panic!("{subject}: {error}")
        };
        assert_eq!(refusal.subject, subject);
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "stock.goods.item.counted")]
struct ItemCounted {
    count: u64,
}

/// Two that start at the same moment: each hears what is refused to it, and nothing of the other.
#[tokio::test]
async fn of_two_starts_on_one_connection_only_that_one_fails_to_which_something_is_refused() {
    let (_log, _guard) = Log::listen();
    for _ in 0..5 {
        let nats = Reloadable::start(&denies(
            &["$JS.API.STREAM.CREATE.STOCK__GOODS"],
            &["orders.payments.payment.process.*"],
        ));
        let seen = Seen::default();
        let service = connect_as(&nats.server, "service").await;
        let stock = Service::new("stock", "1.0.0")
            .context(Context::new("stock.goods"))
            .publishes::<ItemCounted>();
        let (stock, payments) = tokio::join!(stock.start(service.clone()), payments().start(service.clone()));
        let error = stock.unwrap_err();
        assert!(
            matches!(&error, StartError::StreamNotPermitted { stream, .. } if stream == "STOCK__GOODS"),
            "{error}"
        );
        let _payments = payments.unwrap();
        let (cashier, display) = tokio::join!(
            cashier(&seen).start(service.clone()),
            display(&seen).start(service)
        );
        let error = cashier.unwrap_err();
        assert!(
            matches!(&error, StartError::NotPermitted(refusal) if refusal.subject == "orders.payments.payment.process.*"),
            "{error}"
        );
        let _display = display.unwrap();
    }
}

#[tokio::test]
async fn a_call_of_the_client_ends_by_what_is_refused_to_it_and_by_nothing_else() {
    let (log, _guard) = Log::listen();
    let ours = "$JS.API.CONSUMER.LIST.ORDERS__PAYMENTS";
    let nats = Reloadable::start(&denies(&[ours], &["heard.here"]));
    let service = connect_as(&nats.server, "service").await;
    let others = Others::on(&service, &log);
    let needs = [
        ours,
        "$JS.API.CONSUMER.*.ORDERS__PAYMENTS.ours__note",
        "heard.here",
        "others",
    ];
    // All that others try is refused while this waits.
    let until = others.refused() + 3 * (PUBLISHED.len() + HEARD.len());
    let waiting = async {
        while others.refused() < until {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waiting = soon(SOON, "others are refused", waiting);
    service.unless_refused(&needs, waiting).await.unwrap();

    let client = service.client();
    let sending = async {
        client.publish(ours, "".into()).await.unwrap();
        std::future::pending::<()>().await;
    };
    let refusal = soon(SOON, "it is named", service.unless_refused(&needs, sending)).await;
    let refusal = refusal.unwrap_err();
    assert_eq!((refusal.operation, &*refusal.subject), (Operation::Publish, ours));

    let hearing = async {
        let _heard = client.subscribe("heard.here").await.unwrap();
        std::future::pending::<()>().await;
    };
    let refusal = soon(SOON, "it is named", service.unless_refused(&needs, hearing)).await;
    let refusal = refusal.unwrap_err();
    assert_eq!(
        (refusal.operation, &*refusal.subject),
        (Operation::Subscribe, "heard.here")
    );
}

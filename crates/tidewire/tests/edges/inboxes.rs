//! One inbox prefix for each service: nothing that is answered to it goes where all others may hear it.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use tidewire::{Bus, Connect, Connection};
use tidewire_server::Server;

use crate::support::{
    COMES_WITHIN, Log, Seen, WELL_WITHIN, cashier, connect_to, connected, payments, process, processed,
    publish_raw, shipping, till, within,
};

/// Kills the task of every client that hears it.
const DEADLY: &[u8] = b"NATS/1.0\r\nx-note: a\rb\r\n\r\n";
const DIED: &str = "the client's task has died";

async fn connect(server: &Server, service: &str) -> Connection {
    let connect = Connect::to(server.url()).service(service);
    connected(connect).await
}

/// An event and a question are sent, handled and answered.
async fn all_work(publishes: &Bus, asks: &Bus, seen: &Seen, round: &str) {
    let (event, question) = (format!("event-{round}"), format!("question-{round}"));
    within(2 * WELL_WITHIN, "it is stored", async || {
        publishes.publish(&processed(&*event)).await.is_ok()
    })
    .await;
    within(2 * WELL_WITHIN, "it is answered", async || {
        let limit = Duration::from_secs(1);
        asks.ask_within(&process(&*question), limit).await.is_ok()
    })
    .await;
    within(3 * WELL_WITHIN, "both are handled", async || {
        seen.has(&event) && seen.has(&question)
    })
    .await;
}

/// Answers, confirmations, pulls and calls of JetStream's API; on the first connection, on the next, and of the next client.
#[tokio::test]
async fn nothing_comes_to_the_common_inbox() {
    let (log, _guard) = Log::listen();
    let (mut server, seen) = (Server::start().unwrap(), Seen::default());
    let observer = connect(&server, "observer").await;
    let (mut common, mut own) = (
        observer.client().subscribe("_INBOX.>").await.unwrap(),
        observer.client().subscribe("_INBOX_till.>").await.unwrap(),
    );
    let payments = payments()
        .start(connect(&server, "payments").await)
        .await
        .unwrap();
    let _shipping = shipping(&seen)
        .start(connect(&server, "shipping").await)
        .await
        .unwrap();
    let _cashier = cashier(&seen)
        .start(connect(&server, "cashier").await)
        .await
        .unwrap();
    let till = till().start(connect(&server, "till").await).await.unwrap();
    let (publishes, asks) = (payments.bus(), till.bus());
    all_work(&publishes, &asks, &seen, "first").await;
    server.kill().unwrap();
    server.restart().unwrap();
    all_work(&publishes, &asks, &seen, "reconnected").await;
    publish_raw(server.port(), "orders.payments.payment.process.p", DEADLY, b"");
    publish_raw(server.port(), "orders.payments.payment.processed.p", DEADLY, b"");
    within(WELL_WITHIN, "both clients die", async || log.count(DIED) >= 2).await;
    all_work(&publishes, &asks, &seen, "revived").await;
    // What the observer hears of all this ends with a message of its own.
    let client = observer.client();
    client.publish("_INBOX.end", "".into()).await.unwrap();
    client.publish("_INBOX_till.end", "".into()).await.unwrap();
    let first = common.next().await.unwrap();
    assert_eq!(first.subject.as_str(), "_INBOX.end", "nothing before it");
    let mut heard = BTreeSet::new();
    loop {
        let subject = own.next().await.unwrap().subject;
        if subject.as_str() == "_INBOX_till.end" {
            break;
        }
        heard.insert(subject);
    }
    assert!(heard.len() > 3, "it listens where something comes: {heard:?}");
}

/// Each may hear its own inbox and nobody else's: they work, and one that listens to the other is refused.
#[tokio::test]
async fn two_services_with_permissions_for_their_own_prefix_alone() {
    let (log, _guard) = Log::listen();
    let user = |name: &str, more: &str| {
        format!(
            r#"{{ user: {name}, password: {name}, permissions: {{
                subscribe: ["_INBOX_{name}.>", "$SRV.>", {more}]
            }} }}"#
        )
    };
    let config = format!(
        "authorization {{ timeout: 30, users: [\n{}\n{}\n] }}",
        user("cashier", r#""orders.payments.payment.process.* cashier""#),
        user("till", r#""tidewire.ops.till.*""#),
    );
    let (server, seen) = (Server::builder().config(config).start().unwrap(), Seen::default());
    let connect = async |name: &str| {
        let connect = Connect::to(server.url()).user(name, name.to_owned());
        connected(connect.service(name)).await
    };
    let (at_cashier, at_till) = (connect("cashier").await, connect("till").await);
    let _cashier = cashier(&seen).start(at_cashier.clone()).await.unwrap();
    let till = till().start(at_till.clone()).await.unwrap();
    for (nats, other) in [(&at_till, "_INBOX_cashier.>"), (&at_cashier, "_INBOX_till.>")] {
        let mut deaf = nats.client().subscribe(other).await.unwrap();
        log.says(COMES_WITHIN, &format!("this user may not subscribe to `{other}`"))
            .await;
        till.bus().ask(&process(other)).await.unwrap();
        // What was sent there would be here before the answer to what is asked after it.
        nats.client().flush().await.unwrap();
        let heard = futures_util::FutureExt::now_or_never(deaf.next());
        assert!(heard.flatten().is_none(), "{other}");
    }
    assert_eq!(seen.len(), 2);
}

/// It says so once at its start, with the line to write, and is ready all the same.
#[tokio::test]
async fn a_service_on_the_common_inbox_says_so() {
    const SAYS: &str = "come to `_INBOX`";
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let common = connect_to(server.url()).await;
    let first = payments().start(common).await.unwrap();
    let said = log.find(SAYS).unwrap();
    assert!(said.contains(r#"`.service("payments")`"#), "{said}");
    assert_eq!(log.count(SAYS), 1);
    assert!(first.not_ready().is_empty() && first.degraded().is_empty());
    log.forget();
    let own = connect(&server, "payments").await;
    let _second = payments().start(own).await.unwrap();
    assert_eq!(log.find(SAYS), None);
}

//! Readiness goes off by name with what is missing, and comes back with it; liveness stays.

use std::{net::SocketAddr, time::Duration};

use tidewire::{Context, Running, Service};
use tidewire_server::Server;

use crate::support::{
    COMES_WITHIN, Log, PAYMENTS, PULL, PaymentFailed, Reloadable, Seen, WELL_WITHIN, cashier, connect_as,
    connect_to, http::get, payments, process, processed, shipping, till, users, within,
};

/// How soon readiness goes off: streams are looked at every five seconds.
const OFF_WITHIN: Duration = Duration::from_secs(15);

trait Monitored {
    /// Metrics and health on a free port.
    fn monitored(self) -> Self;
}

impl<S: Clone + Send + Sync + 'static> Monitored for Service<S> {
    fn monitored(self) -> Self {
        self.monitor(([127, 0, 0, 1], 0))
    }
}

fn address(running: &Running) -> SocketAddr {
    running.monitor_address().unwrap()
}

/// Waits until the service is not ready by this name, and is alive all the same.
async fn is_off(running: &Running, cause: &str) {
    let named = format!("\n{cause}: ");
    within(OFF_WITHIN, &format!("it is not ready by {cause}"), async || {
        let (status, text) = get(address(running), "/readyz").await;
        status == 503 && text.contains(&named)
    })
    .await;
    assert!(running.not_ready().contains_key(cause));
    assert_eq!(get(address(running), "/livez").await, (200, "alive\n".into()));
}

async fn is_well(running: &Running) {
    within(WELL_WITHIN, "it is ready again", async || {
        get(address(running), "/readyz").await == (200, "ready\n".into())
    })
    .await;
    assert!(running.not_ready().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_lost() {
    let mut server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    // A name of its own: the recorder is the process's.
    let payments = Service::new("lonely", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentFailed>();
    let payments = payments.monitored().start(nats).await.unwrap();
    is_well(&payments).await;
    server.kill().unwrap();
    is_off(&payments, "connection").await;
    server.restart().unwrap();
    is_well(&payments).await;
    let (_, figures) = get(address(&payments), "/metrics").await;
    assert!(
        figures.contains("tidewire_reconnects_total{service=\"lonely\"} 1\n"),
        "{figures}"
    );
    assert!(figures.contains("tidewire_connected{service=\"lonely\"} 1\n"));
}

/// What the page of telemetry gives Kubernetes is what a monitor answers, on the port of the page's first example.
#[tokio::test]
async fn the_probes_of_the_page() {
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let payments = payments().monitored().start(nats).await.unwrap();
    let page = include_str!("../../../../book/src/telemetry.md");
    let mut probes = 0;
    for line in page.lines().filter(|line| line.contains("Probe: {")) {
        let after = |name: &str| line.split_once(name)?.1.split([',', ' ']).next();
        let (path, port) = (after("path: ").unwrap(), after("port: ").unwrap());
        assert_eq!(get(address(&payments), path).await.0, 200, "{line}");
        assert!(
            page.contains(&format!(".monitor(([0, 0, 0, 0], {port}))")),
            "{line}"
        );
        probes += 1;
    }
    assert_eq!(probes, 2);
}

#[tokio::test]
async fn jetstream_that_is_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let on = format!("jetstream {{ store_dir: {:?} }}", folder.path());
    let mut nats = Reloadable::start_with(&on, |server| server.jetstream(false));
    let connection = connect_to(nats.server.url()).await;
    let seen = Seen::default();
    let payments = payments().monitored().start(connection.clone()).await.unwrap();
    let shipping = shipping(&seen).monitored().start(connection).await.unwrap();
    nats.server.kill().unwrap();
    nats.rewrite("");
    nats.server.restart().unwrap();
    is_off(&payments, "jetstream").await;
    is_off(&shipping, "jetstream").await;
    is_off(&shipping, "consumer-ORDERS__PAYMENTS-shipping__note").await;
    nats.server.kill().unwrap();
    nats.rewrite(&on);
    nats.server.restart().unwrap();
    is_well(&payments).await;
    is_well(&shipping).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    within(WELL_WITHIN, "it is handled", async || seen.has("p")).await;
}

#[tokio::test]
async fn an_account_that_loses_jetstream() {
    let account = |jetstream: &str| {
        format!("accounts {{ A {{ {jetstream} users: [{{ user: service, password: service }}] }} }}")
    };
    let nats = Reloadable::start(&account("jetstream: enabled,"));
    let service = connect_as(&nats.server, "service").await;
    let payments = payments().monitored().start(service).await.unwrap();
    nats.reload(&account("")).await;
    is_off(&payments, "jetstream").await;
    nats.reload(&account("jetstream: enabled,")).await;
    is_well(&payments).await;
}

#[tokio::test]
async fn a_stream_that_is_deleted() {
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let seen = Seen::default();
    let first = payments().monitored().start(nats.clone()).await.unwrap();
    let shipping = shipping(&seen).monitored().start(nats.clone()).await.unwrap();
    nats.jetstream().delete_stream(PAYMENTS).await.unwrap();
    is_off(&first, "stream-ORDERS__PAYMENTS").await;
    is_off(&shipping, "stream-ORDERS__PAYMENTS").await;
    is_off(&shipping, "consumer-ORDERS__PAYMENTS-shipping__note").await;
    // Whoever keeps it makes it when it starts.
    let second = payments().start(nats).await.unwrap();
    is_well(&first).await;
    is_well(&shipping).await;
    second.bus().publish(&processed("p")).await.unwrap();
    within(WELL_WITHIN, "it is handled", async || seen.has("p")).await;
}

#[tokio::test]
async fn a_pull_that_is_refused() {
    let (all, no_pulls) = (users(""), users(&format!(r#"publish: {{ deny: ["{PULL}"] }}"#)));
    let (nats, seen) = (Reloadable::start(&all), Seen::default());
    let payments = payments().start(nats.admin().await).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let shipping = shipping(&seen).monitored().start(service).await.unwrap();
    nats.reload(&no_pulls).await;
    // The request that stands gives what it was made for; the next one is refused.
    for number in 0..100 {
        payments
            .bus()
            .publish(&processed(number.to_string()))
            .await
            .unwrap();
    }
    is_off(&shipping, "consumer-ORDERS__PAYMENTS-shipping__note").await;
    let said = &shipping.not_ready()["consumer-ORDERS__PAYMENTS-shipping__note"];
    assert!(said.contains(PULL) && said.contains("grant it"), "{said}");
    nats.reload(&all).await;
    is_well(&shipping).await;
    within(WELL_WITHIN, "what was kept is handled", async || {
        seen.len() == 100
    })
    .await;
}

#[tokio::test]
async fn an_event_that_may_not_be_published() {
    let denied = r#"publish: { deny: ["orders.payments.payment.processed.>"] }"#;
    let nats = Reloadable::start(&users(denied));
    let service = connect_as(&nats.server, "service").await;
    let payments = payments().monitored().start(service).await.unwrap();
    is_well(&payments).await;
    payments.bus().publish(&processed("p")).await.unwrap_err();
    is_off(&payments, "permission-orders.payments.payment.processed").await;
    // Another event is another permission.
    let allowed = PaymentFailed {
        payment_id: "p".into(),
    };
    payments.bus().publish(&allowed).await.unwrap();
    is_off(&payments, "permission-orders.payments.payment.processed").await;
    nats.reload(&users("")).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    is_well(&payments).await;
}

/// The client makes a subscription again with a new connection only; a service that was deaf for a while must not stay so.
#[tokio::test]
async fn a_subscription_that_is_refused() {
    const SUBJECT: &str = "orders.payments.payment.process.*";
    let (log, _guard) = Log::listen();
    let (all, deaf) = (
        users(""),
        users(&format!(r#"subscribe: {{ deny: ["{SUBJECT}"] }}"#)),
    );
    let (nats, seen) = (Reloadable::start(&all), Seen::default());
    let service = connect_as(&nats.server, "service").await;
    let cashier = cashier(&seen).monitored().start(service).await.unwrap();
    let till = till().start(nats.admin().await).await.unwrap();
    till.bus().ask(&process("before")).await.unwrap();
    log.forget();
    nats.reload(&deaf).await;
    let refused = format!("this user may not subscribe to `{SUBJECT}`");
    log.says(COMES_WITHIN, &refused).await;
    is_off(&cashier, &format!("subscription-{SUBJECT}")).await;
    till.bus().ask(&process("meanwhile")).await.unwrap_err();
    nats.reload(&all).await;
    is_well(&cashier).await;
    till.bus().ask(&process("after")).await.unwrap();
    assert_eq!(seen.len(), 2, "each was answered once");
}

/// Nothing but a restart helps a service whose client somebody has drained.
#[tokio::test]
async fn a_client_that_was_drained() {
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let payments = payments().monitored().start(nats.clone()).await.unwrap();
    nats.client().drain().await.unwrap();
    let at = address(&payments);
    within(OFF_WITHIN, "it is not alive", async || {
        get(at, "/livez").await.0 == 503
    })
    .await;
    let (_, text) = get(at, "/livez").await;
    assert!(
        text.starts_with("not alive\nclient: ") && text.contains("restart the process"),
        "{text}"
    );
}

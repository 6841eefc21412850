//! What goes wrong around a running service: it lives, says what is wrong, and is well soon after the cure.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidewire::{Connect, Connection, Running, prelude::*};
use tidewire_server::Server;

use crate::support::{
    COMES_WITHIN, Log, Operator, PAYMENTS, PaymentProcessed, Proxy, Reloadable, Seen, User, WELL_WITHIN,
    connect_as, connect_to, connected, payments, processed, shipping, users, within,
};

/// A service that publishes and one that handles, over one connection.
pub(crate) struct Pair {
    pub(crate) payments: Running,
    _shipping: Running,
    pub(crate) seen: Seen,
}

impl Pair {
    pub(crate) async fn start(nats: &Connection) -> Self {
        let seen = Seen::default();
        let pair = Self {
            payments: payments().start(nats.clone()).await.unwrap(),
            _shipping: shipping(&seen).start(nats.clone()).await.unwrap(),
            seen,
        };
        pair.is_well("before").await;
        pair
    }

    /// An event goes out and is handled, soon enough.
    pub(crate) async fn is_well(&self, key: &str) {
        self.is_well_within(WELL_WITHIN, key).await;
    }

    pub(crate) async fn is_well_within(&self, limit: Duration, key: &str) {
        let cured = Instant::now();
        let (bus, event) = (self.payments.bus(), processed(key));
        while bus.publish(&event).await.is_err() {
            assert!(cured.elapsed() < limit, "{key}: it is not stored");
        }
        within(
            limit.saturating_sub(cured.elapsed()),
            "it is handled",
            async || self.seen.has(key),
        )
        .await;
    }
}

pub(crate) const LOST: &str = "the connection to NATS is lost";

/// An operator's two users, and a file with the credentials of the old one.
struct Replaced {
    operator: Operator,
    old: User,
    new: User,
    file: PathBuf,
    _folder: TempDir,
}

impl Replaced {
    fn prepare() -> Self {
        let (operator, folder) = (Operator::new(), tempfile::tempdir().unwrap());
        let (old, new) = (operator.user(), operator.user());
        let file = folder.path().join("service.creds");
        fs::write(&file, old.file()).unwrap();
        Self {
            operator,
            old,
            new,
            file,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn credentials_that_are_revoked_and_restored() {
    let (log, _guard) = Log::listen();
    let nats = Reloadable::start(&users(""));
    let pair = Pair::start(&connect_as(&nats.server, "service").await).await;
    nats.reload("authorization { timeout: 30, users: [{ user: admin, password: admin }] }")
        .await;
    log.says(COMES_WITHIN, LOST).await;
    log.says(COMES_WITHIN, "the server refuses the credentials").await;
    // Long enough for the pauses between two tries to grow.
    let tries = || log.count("the server refuses the credentials");
    within(WELL_WITHIN, "it goes on trying", async || tries() >= 8).await;
    nats.reload(&users("")).await;
    pair.is_well("restored").await;
}

#[tokio::test]
async fn a_credentials_file_that_is_replaced_while_the_connection_is_lost() {
    let (log, _guard) = Log::listen();
    let Replaced {
        operator,
        old,
        new,
        file,
        _folder,
    } = Replaced::prepare();
    let mut nats = Reloadable::start(&operator.config(&[]));
    let connect = Connect::to(nats.server.url()).credentials_file(&file);
    let pair = Pair::start(&connected(connect).await).await;
    nats.server.kill().unwrap();
    log.says(COMES_WITHIN, LOST).await;
    nats.rewrite(&operator.config(&[&old]));
    nats.server.restart().unwrap();
    log.says(WELL_WITHIN, "the server refuses the credentials").await;
    fs::remove_file(&file).unwrap();
    log.says(WELL_WITHIN, "service.creds cannot be read").await;
    fs::write(&file, new.file()).unwrap();
    pair.is_well("replaced").await;
}

/// The server goes on, and throws the old user out: the next connection is made with what is in the file by then.
#[tokio::test]
async fn a_credentials_file_that_is_replaced_before_its_user_is_revoked() {
    let (log, _guard) = Log::listen();
    let Replaced {
        operator,
        old,
        new,
        file,
        _folder,
    } = Replaced::prepare();
    let nats = Reloadable::start(&operator.config(&[]));
    let connect = Connect::to(nats.server.url()).credentials_file(&file);
    let pair = Pair::start(&connected(connect).await).await;
    fs::write(&file, new.file()).unwrap();
    pair.is_well("not read yet").await;
    assert_eq!(log.find(LOST), None);
    nats.reload(&operator.config(&[&old])).await;
    log.says(COMES_WITHIN, LOST).await;
    pair.is_well("replaced").await;
    assert_eq!(
        log.find("refuses the credentials"),
        None,
        "the old ones are not tried"
    );
}

/// A network that is cut is reason enough to read it again: the user of before is needed no more.
#[tokio::test]
async fn a_credentials_file_that_is_replaced_before_the_connection_is_cut() {
    let (log, _guard) = Log::listen();
    let Replaced {
        operator,
        old,
        new,
        file,
        _folder,
    } = Replaced::prepare();
    let nats = Reloadable::start(&operator.config(&[]));
    let proxy = Proxy::to(nats.server.port()).await;
    let connect = Connect::to(proxy.url()).credentials_file(&file);
    let pair = Pair::start(&connected(connect).await).await;
    fs::write(&file, new.file()).unwrap();
    proxy.cut();
    log.says(COMES_WITHIN, LOST).await;
    pair.is_well("replaced").await;
    log.forget();
    nats.reload(&operator.config(&[&old])).await;
    pair.is_well("the old one is revoked").await;
    assert_eq!(log.find(LOST), None, "it came back as the new one");
}

#[tokio::test]
async fn a_server_that_is_killed_and_restarted() {
    let (log, _guard) = Log::listen();
    let mut server = Server::start().unwrap();
    let pair = Pair::start(&connect_to(server.url()).await).await;
    server.kill().unwrap();
    log.says(COMES_WITHIN, LOST).await;
    // A publish that begins without a server ends well if one comes in time.
    let (bus, event) = (pair.payments.bus(), processed("meanwhile"));
    let (published, ()) = tokio::join!(bus.publish(&event), async { server.restart().unwrap() });
    published.unwrap();
    pair.is_well("restarted").await;
    within(WELL_WITHIN, "it is handled", async || pair.seen.has("meanwhile")).await;
}

#[tokio::test]
async fn a_connection_that_is_half_open() {
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).await;
    let pair = Pair::start(&connect_to(proxy.url()).await).await;
    log.forget();
    proxy.swallow(true);
    // Three probes without an answer.
    log.says(COMES_WITHIN, LOST).await;
    proxy.swallow(false);
    pair.is_well("open again").await;
}

/// The server goes on serving the requests of a connection that it has not seen die: of four messages two go there.
#[tokio::test]
async fn what_goes_to_a_connection_that_died_unseen() {
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).await;
    let pair = Pair::start(&connect_to(proxy.url()).await).await;
    let admin = connect_to(server.url()).await;
    let requests = async || {
        let stream = admin.jetstream().get_stream(PAYMENTS).await.unwrap();
        stream.consumer_info("shipping__note").await.unwrap().num_waiting
    };
    log.forget();
    proxy.swallow(true);
    log.says(COMES_WITHIN, LOST).await;
    let before = requests().await;
    assert!(before > 0, "the server has not seen it die");
    proxy.swallow(false);
    within(WELL_WITHIN, "messages are asked for again", async || {
        requests().await > before
    })
    .await;
    let keys = ["1", "2", "3", "4"];
    for key in keys {
        pair.payments.bus().publish(&processed(key)).await.unwrap();
    }
    // Sooner than they would come again, after the ack wait.
    within(Duration::from_secs(20), "they are handled", async || {
        keys.iter().all(|key| pair.seen.has(key))
    })
    .await;
}

/// From here on nothing more arrives at the server.
async fn drown(State((seen, proxy)): State<(Seen, Arc<Proxy>)>, Event(paid): Event<PaymentProcessed>) {
    proxy.swallow(true);
    seen.note(paid.payment_id);
}

/// Its handler has run, and the ack went down with the connection: the message does not come again.
#[tokio::test]
async fn an_ack_that_was_lost_is_said_again() {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let nats = connect_to(server.url()).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let proxy = Arc::new(Proxy::to(server.port()).await);
    let service = Service::new("sea", "1.0.0")
        .state((seen.clone(), proxy.clone()))
        .on(durable("drown", drown));
    let _service = service.start(connect_to(proxy.url()).await).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    within(WELL_WITHIN, "its ack is lost", async || {
        seen.has("p") && proxy.has_swallowed(b"+ACK")
    })
    .await;
    proxy.swallow(false);
    proxy.cut();
    within(WELL_WITHIN, "the ack has arrived", async || {
        let stream = nats.jetstream().get_stream(PAYMENTS).await.unwrap();
        let info = stream.consumer_info("sea__drown").await.unwrap();
        info.num_ack_pending == 0
    })
    .await;
    assert_eq!(seen.len(), 1);
}

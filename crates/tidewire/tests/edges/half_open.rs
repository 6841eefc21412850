//! A network that is well again before anybody has noticed that it was not.

use std::time::{Duration, Instant};

use tidewire::Running;
use tidewire_server::Server;

use crate::{
    recovery::{LOST, Pair},
    support::{Log, Proxy, WELL_WITHIN, connect_to, payments, processed, within},
};

/// Shorter than the time between two probes.
const UNNOTICED: Duration = Duration::from_secs(3);
/// What was delivered to a connection that died comes again after its ack wait of 30 seconds, at the latest.
const ALL_WITHIN: Duration = Duration::from_secs(60);

/// A pair of services behind a proxy, and one beside it that sends to them.
struct Network {
    proxy: Proxy,
    pair: Pair,
    others: Running,
    _server: Server,
}

impl Network {
    async fn start() -> Self {
        let server = Server::start().unwrap();
        let proxy = Proxy::to(server.port()).await;
        Self {
            pair: Pair::start(&connect_to(proxy.url()).await).await,
            others: payments().start(connect_to(server.url()).await).await.unwrap(),
            proxy,
            _server: server,
        }
    }
}

async fn others_send(others: &Running) {
    for key in ["1", "2"] {
        others.bus().publish(&processed(key)).await.unwrap();
    }
}

/// The old connection stays dead, and is noticed within 15 seconds of its death: the cure was earlier.
#[tokio::test]
async fn a_half_open_connection_whose_cure_comes_before_it_is_noticed() {
    let (log, _guard) = Log::listen();
    let Network {
        proxy,
        pair,
        others,
        _server,
    } = Network::start().await;
    log.forget();
    proxy.swallow(true);
    let began = Instant::now();
    let (bus, sent) = (pair.payments.bus(), processed("sent meanwhile"));
    let meanwhile = async {
        others_send(&others).await;
        tokio::time::sleep_until((began + UNNOTICED).into()).await;
        assert!(proxy.has_swallowed(b"sent meanwhile") && proxy.has_swallowed(b"MSG "));
        assert_eq!(log.find(LOST), None, "nobody has noticed");
        proxy.swallow(false);
        pair.is_well_within(ALL_WITHIN, "after").await;
        assert!(log.find(LOST).is_some(), "it was noticed in the end");
    };
    let (published, ()) = tokio::join!(bus.publish(&sent), meanwhile);
    // It may have waited for as long as a publish waits: whoever sent it knows that, and sends it again.
    if let Err(error) = published {
        assert!(error.is_transient(), "{error}");
        bus.publish(&sent).await.unwrap();
    }
    within(ALL_WITHIN, "nothing is lost", async || {
        ["1", "2", "sent meanwhile"].iter().all(|key| pair.seen.has(key))
    })
    .await;
}

/// TCP sends again what did not arrive: the connection lives on, and all is as if nothing had been.
#[tokio::test]
async fn a_network_that_stands_still_for_less_than_it_takes_to_notice() {
    let (log, _guard) = Log::listen();
    let Network {
        proxy,
        pair,
        others,
        _server,
    } = Network::start().await;
    log.forget();
    proxy.stand_still(true);
    let began = Instant::now();
    let (bus, sent) = (pair.payments.bus(), processed("sent meanwhile"));
    let meanwhile = async {
        others_send(&others).await;
        tokio::time::sleep_until((began + UNNOTICED).into()).await;
        assert!(!pair.seen.has("1") && !pair.seen.has("sent meanwhile"));
        proxy.stand_still(false);
        pair.is_well("after").await;
    };
    let (published, ()) = tokio::join!(bus.publish(&sent), meanwhile);
    published.unwrap();
    within(WELL_WITHIN, "nothing is lost", async || {
        ["1", "2", "sent meanwhile"].iter().all(|key| pair.seen.has(key))
    })
    .await;
    assert_eq!(
        pair.seen.len(),
        5,
        "and each is handled once: {:?}",
        pair.seen.all()
    );
    assert_eq!(log.find(LOST), None, "the connection is the same");
}

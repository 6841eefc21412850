//! A network between client and server that can go wrong.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// Carries bytes both ways, until it is told to swallow them: no connection ends, and nothing arrives.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    /// What it has swallowed so far.
    swallowed: Swallowed,
    connections: Arc<Mutex<JoinSet<()>>>,
}

type Swallowed = Arc<Mutex<Vec<u8>>>;

/// What becomes of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Carries,
    Swallows,
    /// They arrive later.
    StandsStill,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, now) = watch::channel(Network::Carries);
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let swallowed = Swallowed::default();
        let swallows_into = swallowed.clone();
        let carried = connections.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // A connection that has swallowed something never recovers.
                let half_open = Arc::new(AtomicBool::new(false));
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let mut carried = carried.lock().unwrap();
                carried.spawn(carry(
                    from_client,
                    to_server,
                    now.clone(),
                    half_open.clone(),
                    swallows_into.clone(),
                ));
                carried.spawn(carry(
                    from_server,
                    to_client,
                    now.clone(),
                    half_open,
                    swallows_into.clone(),
                ));
            }
        });
        Self {
            address,
            network,
            swallowed,
            connections,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Swallows all, of connections that are made from now on too.
    pub(crate) fn swallow(&self, on: bool) {
        self.becomes(if on { Network::Swallows } else { Network::Carries });
    }

    /// Keeps all until it goes on, as a network does for which TCP sends again what did not arrive.
    pub(crate) fn stand_still(&self, on: bool) {
        self.becomes(if on {
            Network::StandsStill
        } else {
            Network::Carries
        });
    }

    fn becomes(&self, network: Network) {
        self.network.send_replace(network);
    }

    pub(crate) fn has_swallowed(&self, what: &[u8]) -> bool {
        let swallowed = self.swallowed.lock().unwrap();
        swallowed.windows(what.len()).any(|bytes| bytes == what)
    }

    /// Ends all connections; others can be made at once.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    half_open: Arc<AtomicBool>,
    swallowed: Swallowed,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let Ok(network) = network
            .wait_for(|now| *now != Network::StandsStill)
            .await
            .map(|now| *now)
        else {
            return;
        };
        if network == Network::Swallows {
            half_open.store(true, Ordering::Relaxed);
        }
        if half_open.load(Ordering::Relaxed) {
            swallowed.lock().unwrap().extend_from_slice(&bytes[..length]);
        } else if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
    if half_open.load(Ordering::Relaxed) {
        // The end of a connection does not arrive either.
        std::future::pending::<()>().await;
    }
}

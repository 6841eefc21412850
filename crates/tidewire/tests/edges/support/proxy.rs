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
    task::JoinSet,
};

/// Carries bytes both ways, until it is told to swallow them: no connection ends, and nothing arrives.
pub(crate) struct Proxy {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
    /// What it has swallowed so far.
    swallowed: Swallowed,
    connections: Arc<Mutex<JoinSet<()>>>,
}

type Swallowed = Arc<Mutex<Vec<u8>>>;

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, swallows) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let swallowed = Swallowed::default();
        let (swallowing, swallows_into) = (swallows.clone(), swallowed.clone());
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
                    swallowing.clone(),
                    half_open.clone(),
                    swallows_into.clone(),
                ));
                carried.spawn(carry(
                    from_server,
                    to_client,
                    swallowing.clone(),
                    half_open,
                    swallows_into.clone(),
                ));
            }
        });
        Self {
            address,
            swallows,
            swallowed,
            connections,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Swallows all, of connections that are made from now on too.
    pub(crate) fn swallow(&self, on: bool) {
        self.swallows.store(on, Ordering::Relaxed);
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
    swallows: Arc<AtomicBool>,
    half_open: Arc<AtomicBool>,
    swallowed: Swallowed,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if swallows.load(Ordering::Relaxed) {
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

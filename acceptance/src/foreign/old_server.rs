//! A nats-server that is older than Tidewire needs.

use std::{
    error::Error,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tidewire::async_nats::{self, Client};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// How long it may take to accept a client; it takes some milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Where it is. `tidewire-server` starts none that is too old.
#[derive(Clone, Debug)]
pub(crate) struct OldServer {
    pub(crate) version: &'static str,
    pub(crate) program: PathBuf,
}

/// A running one; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningServer {
    pub(crate) url: String,
    _child: Child,
}

impl OldServer {
    /// Starts it with JetStream, and gives a plain client of it.
    pub(crate) async fn start(&self, folder: &Path) -> Result<(RunningServer, Client), Box<dyn Error>> {
        // Nobody has this port a moment later either, as good as certain.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(&self.program)
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                &address.port().to_string(),
                "--jetstream",
            ])
            .arg("--store_dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let running = RunningServer {
            url: format!("nats://{address}"),
            _child: child,
        };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match async_nats::connect(&running.url).await {
                Ok(client) => return Ok((running, client)),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("nats-server {} does not answer: {error}", self.version).into());
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

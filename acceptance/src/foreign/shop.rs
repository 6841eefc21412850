//! The shop, each service a process of its own with metrics and health, as a user runs it.

use std::{
    error::Error,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tidewire::Connection;
use tidewire_shop::{inventory, monitored, notifications, orders, payments};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::program::last_lines;

/// The services.
pub(crate) const SERVICES: [&str; 4] = ["inventory", "payments", "orders", "notifications"];
/// How long they may take until all of them are ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A service of the shop; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    log: PathBuf,
    _child: Child,
}

impl Process {
    fn start(service: &str, url: &str, log: PathBuf) -> Result<Self, Box<dyn Error>> {
        // Nobody has this port a moment later either, as good as certain.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["shop", service])
            .env("NATS_URL", url)
            .env("SHOP_MONITOR", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            address,
            log,
            _child: child,
        })
    }
}

/// Starts all of them, with logs in `folder`, and returns once each says that it is ready.
pub(crate) async fn open(url: &str, folder: &Path) -> Result<Vec<Process>, Box<dyn Error>> {
    let processes: Vec<_> = SERVICES
        .iter()
        .map(|service| Process::start(service, url, folder.join(service)))
        .collect::<Result<_, _>>()?;
    let deadline = Instant::now() + READY_WITHIN;
    for (process, service) in processes.iter().zip(SERVICES) {
        loop {
            let said = get(process.address, "/readyz").await;
            if said.as_ref().is_ok_and(|text| text.starts_with("ready")) {
                break;
            }
            if Instant::now() > deadline {
                let log = last_lines(&std::fs::read(&process.log).unwrap_or_default());
                return Err(format!("{service} is not ready after {READY_WITHIN:?}: {said:?}\n{log}").into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(processes)
}

/// The body of what is at this path.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(ANSWERED_WITHIN, asking).await??;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer of HTTP")?;
    Ok(body.to_owned())
}

/// Runs one service until this process is killed.
pub(crate) async fn serve(service: &str) -> Result<(), Box<dyn Error>> {
    let _flush = tidewire_shop::log_to_stderr(service);
    let nats = tidewire_shop::connect(service).await?;
    match service {
        "inventory" => {
            run(
                monitored(inventory::service(inventory::Stock::open(&nats).await?))?,
                nats,
            )
            .await
        }
        "payments" => {
            let gateway = payments::Gateway::open(&nats).await?;
            run(monitored(payments::service(gateway, &payments::breaker()))?, nats).await
        }
        "orders" => {
            run(
                monitored(orders::service(orders::Orders::open(&nats).await?))?,
                nats,
            )
            .await
        }
        "notifications" => {
            let mailbox = notifications::Mailbox::open(&nats).await?;
            run(monitored(notifications::service(mailbox))?, nats).await
        }
        other => Err(format!("the shop has no service `{other}`").into()),
    }
}

async fn run<S: Clone + Send + Sync + 'static>(
    service: tidewire::Service<S>,
    nats: Connection,
) -> Result<(), Box<dyn Error>> {
    Ok(service.run(nats).await?)
}

//! Servers, somebody who posts jobs, and a folder for what workers write.

use std::{
    error::Error,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tidewire::{Connection, Running, prelude::*};
use tidewire_server::{Cluster, Server};

use crate::{
    books::Books,
    connecting::connected,
    jobs::{CONSUMER, JOBS, JobPosted, Kind, Way},
    ledger::{self, Ledger, Line, What},
    load::{Load, Posted, post},
    process::Worker,
    quiet::{patiently, quiet},
    worker::Options,
};

/// What NATS runs on.
#[derive(Debug)]
pub(crate) enum Servers {
    One(Box<Server>),
    Three(Cluster),
}

/// One scenario's surroundings; all of it ends with this.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nats: Connection,
    pub(crate) posted: Posted,
    replicas: usize,
    /// Whether each message is to have one effect.
    pub(crate) once: bool,
    /// Whether the data of every effect are stored beside it.
    claims: bool,
    way: Way,
    /// Whether jobs of one key are handled one after the other.
    ordered: bool,
    source: Running,
    started: AtomicUsize,
    pub(crate) servers: Servers,
    folder: TempDir,
}

impl World {
    pub(crate) async fn alone() -> Result<Self, Box<dyn Error>> {
        Self::on(Servers::One(Box::new(Server::start()?)), 1).await
    }

    pub(crate) async fn of_three() -> Result<Self, Box<dyn Error>> {
        Self::on(Servers::Three(Cluster::start(3)?), 3).await
    }

    /// The same, and its workers say that each message has one effect.
    pub(crate) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// The same, and its workers store the data of every effect beside it.
    pub(crate) fn claiming(self) -> Self {
        Self { claims: true, ..self }
    }

    /// The same, and its workers come to their effects this way.
    pub(crate) fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// The same; its jobs share keys, and its workers handle those of one key one after the other.
    pub(crate) fn ordered(self) -> Self {
        Self {
            ordered: true,
            posted: Posted::by_key(),
            ..self
        }
    }

    async fn on(servers: Servers, replicas: usize) -> Result<Self, Box<dyn Error>> {
        let nats = connected(&servers.url()).await?;
        let source = Service::new("source", env!("CARGO_PKG_VERSION"))
            .context(Context::new("crash.jobs").replicas(replicas))
            .publishes::<JobPosted>()
            .start(nats.clone())
            .await?;
        Ok(Self {
            nats,
            posted: Posted::default(),
            replicas,
            once: false,
            claims: false,
            way: Way::Alone,
            ordered: false,
            source,
            started: AtomicUsize::new(0),
            servers,
            folder: TempDir::with_prefix("tidewire-crash-")?,
        })
    }

    /// What a worker is told by default: it dies of nothing, and each job takes two milliseconds.
    pub(crate) fn options(&self) -> Options {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        Options {
            url: self.servers.url(),
            name: format!("w{number}"),
            runs: self.runs(),
            gateway: None,
            held: None,
            mended: self.mended(),
            way: self.way,
            death: None,
            replicas: self.replicas,
            once: self.once,
            claims: self.claims,
            ordered: self.ordered,
            concurrency: 16,
            attempts: 3,
            ack_wait: Duration::from_secs(1),
            takes: Duration::from_millis(2),
            hangs: Duration::ZERO,
        }
    }

    pub(crate) async fn worker(&self, options: &Options) -> Result<Worker, Box<dyn Error>> {
        let log = self.folder.path().join(format!("{}.log", options.name));
        Worker::start(options, log).await
    }

    /// Where every worker writes down each run.
    pub(crate) fn runs(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    /// The file that tells workers that what was broken is mended.
    pub(crate) fn mended(&self) -> PathBuf {
        self.file("mended")
    }

    /// A file for a part's own use.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Posts so many jobs, each confirmed by the stream.
    pub(crate) async fn post(&self, jobs: usize, kind: fn(usize) -> Kind) -> Result<(), Box<dyn Error>> {
        post(&self.source.bus(), &self.posted, jobs, kind).await
    }

    /// Posts so many jobs a second from now on.
    pub(crate) fn load(&self, per_second: u32, kind: fn(usize) -> Kind) -> Load {
        Load::start(&self.source.bus(), &self.posted, per_second, kind)
    }

    /// How many jobs nobody has been given yet.
    pub(crate) async fn pending(&self) -> Result<u64, Box<dyn Error>> {
        patiently(async || {
            let stream = self.nats.jetstream().get_stream(JOBS).await?;
            Ok(stream.consumer_info(CONSUMER).await?.num_pending)
        })
        .await
    }

    /// What was written down so far.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, Box<dyn Error>> {
        ledger::read(&self.runs())
    }

    /// Writes down what became of a worker.
    pub(crate) fn note(&self, worker: &str, what: What) -> Result<(), Box<dyn Error>> {
        Ok(Ledger::open(&self.runs())?.note(worker, what)?)
    }

    /// How many runs a worker has begun.
    pub(crate) fn runs_of(&self, worker: &str) -> Result<usize, Box<dyn Error>> {
        let own = |line: &&Line| line.worker == worker && matches!(line.what, What::Begins { .. });
        Ok(self.lines()?.iter().filter(own).count())
    }

    /// Waits until all is quiet, as long as anything moves within that time.
    pub(crate) async fn quiet(&self, within: Duration) -> Result<(), String> {
        quiet(&self.nats, self.way, within).await
    }

    /// The books as the streams are now.
    pub(crate) async fn books_now(&self) -> Result<Books, Box<dyn Error>> {
        patiently(async || self.read_books().await).await
    }

    /// Waits until all is quiet, and opens the books.
    pub(crate) async fn books(&self, within: Duration) -> Result<Books, Box<dyn Error>> {
        let unquiet = self.quiet(within).await.err();
        let books = patiently(async || self.all_books().await).await?;
        Ok(books.unless_quiet(unquiet))
    }

    async fn read_books(&self) -> Result<Books, Box<dyn Error>> {
        Books::read(&self.nats, self.way, &self.posted, &self.lines()?).await
    }

    async fn all_books(&self) -> Result<Books, Box<dyn Error>> {
        let books = self.read_books().await?;
        if self.once {
            return books.with_one_effect(&self.nats).await;
        }
        Ok(books)
    }
}

impl Servers {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Three(cluster) => cluster.url(),
        }
    }
}

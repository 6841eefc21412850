//! One nats-server as a child process.

mod builder;
mod held;
mod launch;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::ServerError;
use crate::binary::Binary;
use crate::deadline::Deadline;
use crate::error::During as _;
use crate::process::Process;
pub(crate) use builder::Routes;
pub use builder::ServerBuilder;
use held::Held;
use launch::Ports;

/// How long a start may take. It takes 10 ms; a machine under load has needed a second.
const START: Duration = Duration::from_secs(30);
/// How long a graceful stop may take before the server is killed. It takes 2 ms.
const STOP: Duration = Duration::from_secs(10);

/// A running nats-server, which ends when this handle is dropped and when this process ends, however it ends.
///
/// ```no_run
/// use tidewire_server::Server;
///
/// let mut server = Server::builder().name("orders").store_dir("data").start()?;
/// server.kill()?; // as a crash would
/// server.restart()?; // the same port, the same data
/// # Ok::<(), tidewire_server::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Server {
    /// None once it was killed or stopped; before `dir`, so that it is gone before its folder is.
    process: Option<Process>,
    binary: Binary,
    settings: ServerBuilder,
    ports: Ports,
    /// While there is no process.
    held: Option<Held>,
    /// Configuration, log, ports file, and the store unless the user gave one. Removed with the handle.
    dir: TempDir,
}

impl Server {
    /// Starts a server with JetStream on a free port of 127.0.0.1, with its data in a temporary folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotFound`] when there is no nats-server and none can be downloaded; otherwise why it did not
    /// come up, with the end of its log.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// Starts from the defaults and changes some of them.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Returns the address for clients, `nats://127.0.0.1:<port>`; it stays the same over restarts.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.ports.client)
    }

    /// Returns the port for clients.
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// Returns the address of its monitoring pages, such as `/healthz` and `/jsz`.
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitoring)
    }

    /// Returns its process id; `None` after [`kill`](Self::kill) or [`stop`](Self::stop).
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Returns the folder of its JetStream data.
    pub fn store_dir(&self) -> PathBuf {
        self.settings.store_dir_in(self.dir.path())
    }

    /// Returns the file of its log, which is removed with the handle.
    pub fn log_path(&self) -> PathBuf {
        launch::log_path(self.dir.path())
    }

    /// Returns what it logged since it was first started.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the file cannot be read.
    pub fn log(&self) -> Result<String, ServerError> {
        let path = self.log_path();
        fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .during(|| format!("read {}", path.display()))
    }

    /// Returns the executable that runs.
    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// Tells whether the process lives; a paused one does.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Ends it as a crash would (SIGKILL) and waits until it is gone; does nothing if it already is.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the system refuses the signal.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        let killed = self.process.as_mut().map_or(Ok(()), Process::kill);
        killed.during(|| "kill nats-server".to_owned())?;
        self.keep_ports();
        Ok(())
    }

    /// Ends it in good order (SIGTERM) and waits until it is gone; one that does not end in 10 seconds is killed.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the system refuses the signal.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        let stopped = self
            .process
            .as_mut()
            .map_or(Ok(()), |process| process.terminate(Deadline::after(STOP)));
        stopped.during(|| "stop nats-server".to_owned())?;
        self.keep_ports();
        Ok(())
    }

    /// It is gone, and its ports are kept for when it comes back.
    fn keep_ports(&mut self) {
        self.process = None;
        self.held = Some(Held::new(self.ports));
    }

    /// Starts it again on the same ports and with the same data, after stopping it if it runs.
    ///
    /// A node of a cluster is waited for until it answers, not until it has rejoined, which takes a majority;
    /// [`Cluster::wait_ready`](crate::Cluster::wait_ready) waits for that.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`ServerError::PortTaken`] when another process holds its port for all of the start's timeout.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        let deadline = Deadline::after(self.settings.start_timeout);
        loop {
            match launch::launch(&self.binary, &self.settings, self.dir.path(), Some(self.ports)) {
                // An outgoing connection of anybody may hold the port for a moment.
                Err(ServerError::PortTaken { .. }) if deadline.pause() => {}
                started => {
                    self.process = Some(started?.0);
                    self.held = None;
                    return Ok(());
                }
            }
        }
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers, as when a machine hangs.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotRunning`] when it was killed or stopped; [`ServerError::Unsupported`] on Windows.
    pub fn pause(&mut self) -> Result<(), ServerError> {
        self.steer("pause nats-server", Process::pause)
    }

    /// Lets it go on after [`pause`](Self::pause) (SIGCONT).
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub fn resume(&mut self) -> Result<(), ServerError> {
        self.steer("resume nats-server", Process::resume)
    }

    fn steer(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&mut Process) -> std::io::Result<()>,
    ) -> Result<(), ServerError> {
        if cfg!(not(unix)) {
            return Err(ServerError::Unsupported { what });
        }
        let process = self.process.as_mut().ok_or(ServerError::NotRunning)?;
        if !process.is_running() {
            return Err(ServerError::NotRunning);
        }
        act(process).during(|| what.to_owned())
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }

    pub(crate) fn monitoring_port(&self) -> u16 {
        self.ports.monitoring
    }

    pub(crate) fn log_end(&self) -> String {
        launch::log_end(&self.log_path(), 0)
    }

    fn run(binary: Binary, settings: ServerBuilder) -> Result<Self, ServerError> {
        let dir = tempfile::Builder::new()
            .prefix("tidewire-server-")
            .tempdir()
            .during(|| "make a temporary folder".to_owned())?;
        let (process, ports) = launch::launch(&binary, &settings, dir.path(), None)?;
        Ok(Self {
            process: Some(process),
            binary,
            settings,
            ports,
            held: None,
            dir,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Data that stays deserves a good end; nobody is left to hear of a failure, and the guard tries again.
        let _ = if self.settings.keeps_its_data() {
            self.stop()
        } else {
            self.kill()
        };
    }
}

/// Text as a string of the configuration's language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

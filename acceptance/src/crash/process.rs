//! Workers as processes of their own.

use std::{
    error::Error,
    fs::File,
    io,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use crate::worker::Options;

/// How long a worker may take to start, or to stop: a start waits for whoever makes streams at the same moment.
const LIMIT: Duration = Duration::from_secs(60);

/// A running worker; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    /// Open as long as somebody waits for the worker: it ends when this does. (Waiting for the child would close it.)
    _lifeline: Option<ChildStdin>,
    pid: Pid,
    name: String,
    log: PathBuf,
}

impl Worker {
    /// Starts one, and waits until it is ready or dead: it may be told to die early.
    pub(crate) async fn start(options: &Options, log: PathBuf) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("worker")
            .arg(serde_json::to_string(options)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("a worker ended at once")?;
        if let Some(stdout) = child.stdout.take() {
            let mut line = String::new();
            timeout(LIMIT, BufReader::new(stdout).read_line(&mut line)).await??;
        }
        Ok(Self {
            _lifeline: child.stdin.take(),
            child,
            pid,
            name: options.name.clone(),
            log,
        })
    }

    /// Waits for its death by a signal within this time.
    pub(crate) async fn dies(&mut self, within: Duration) -> Result<(), Box<dyn Error>> {
        let status = self.ends(within).await?;
        match status.signal() {
            Some(_) => Ok(()),
            None => Err(self.says(&format!("ended with {status}, and no signal")).into()),
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Asks it to end (SIGTERM) and waits until it has, well.
    pub(crate) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        kill_process(self.pid, Signal::TERM)?;
        let status = self.ends(LIMIT).await?;
        if status.success() {
            return Ok(());
        }
        Err(self.says(&format!("ended with {status} at a deployment")).into())
    }

    /// Lets it stand still (SIGSTOP); when this returns it does.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        kill_process(self.pid, Signal::STOP)?;
        waitpid(Some(self.pid), WaitOptions::UNTRACED)?;
        Ok(())
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn most_memory(&self) -> Result<u64, Box<dyn Error>> {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(&path)
            .map_err(|error| format!("{path} tells the memory on Linux alone: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no VmHWM in /proc")?.parse()?)
    }

    /// Where it writes its warnings.
    pub(crate) fn log(&self) -> PathBuf {
        self.log.clone()
    }

    async fn ends(&mut self, within: Duration) -> Result<ExitStatus, Box<dyn Error>> {
        let name = &self.name;
        let ended = timeout(within, self.child.wait()).await;
        Ok(ended.map_err(|_| format!("the worker {name} still ran after {within:?}"))??)
    }

    fn says(&self, what: &str) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        format!(
            "the worker {} {what}; its log, last line first: {lines:?}",
            self.name
        )
    }
}

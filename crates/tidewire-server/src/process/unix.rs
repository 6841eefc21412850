//! A guard between us and the server: it ends with the server, and ends the server when our pipe closes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::Deadline;

/// Starts the command given as arguments and watches over it.
const GUARD: &str = include_str!("guard.sh");

/// A running server; dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    /// Lives exactly as long as the server.
    guard: Child,
    /// The guard reads the other end. It is closed on exec, so no other child of ours keeps it open.
    _pipe: ChildStdin,
    pid: Pid,
}

impl Process {
    /// Starts `binary` with this configuration; `temporary` is removed if we are killed.
    pub(crate) fn spawn(binary: &Path, config: &Path, log: File, temporary: &Path) -> io::Result<Self> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "tidewire-guard"])
            .arg(temporary)
            .arg(binary)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C in a terminal, or a test runner's signal to its group, must not stop the server before us.
            .process_group(0)
            .spawn()?;
        let pipe = guard.stdin.take();
        let mut line = String::new();
        if let Some(output) = guard.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match (pipe, line.trim().parse().ok().and_then(Pid::from_raw)) {
            (Some(pipe), Some(pid)) => Ok(Self {
                guard,
                _pipe: pipe,
                pid,
            }),
            (pipe, _) => {
                drop(pipe);
                guard.wait()?;
                Err(io::Error::other(format!(
                    "the guard gave no process id but {line:?}"
                )))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// Asks it to end, in good order.
    pub(crate) fn terminate(&mut self, deadline: Deadline) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        // A paused one would not hear it.
        self.signal(Signal::CONT)?;
        while self.is_running() {
            if !deadline.pause() {
                return self.kill();
            }
        }
        Ok(())
    }

    /// Ends it at once and waits until it is gone.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.guard.wait().map(drop)
    }

    /// Stops it and, where that can be seen, waits until all of its threads have stopped: the signal alone leaves
    /// them time for another answer.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let deadline = Deadline::seconds(2);
        while self.has_running_threads() && deadline.pause() {}
        Ok(())
    }

    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    #[cfg(target_os = "linux")]
    fn has_running_threads(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        threads
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .any(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                // `<id> (<name>) <state> …`, and `T` is stopped.
                stat.rsplit_once(") ")
                    .is_some_and(|(_, rest)| !rest.starts_with('T'))
            })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "Linux alone shows the threads")]
    fn has_running_threads(&self) -> bool {
        false
    }

    /// The guard reaps the server only when it ends itself, so as long as it runs the id is the server's.
    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        match kill_process(self.pid, signal) {
            // Ended in between.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => sent.map_err(io::Error::from),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about a failure; closing the pipe makes the guard try again.
        let _ = self.kill();
    }
}

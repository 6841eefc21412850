//! Services of the shop as processes.

use std::{
    fs::File,
    io::{Read, Seek},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// The longest that anything here may take.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A service as a process; killed when this is dropped. What it logged is shown where the test fails.
pub(crate) struct Process {
    child: Child,
    log: File,
}

impl Process {
    pub(crate) fn start_with(program: &str, url: &str, environment: &[(&str, &str)]) -> Self {
        let log = tempfile::tempfile().unwrap();
        let mut command = Command::new(program);
        command
            .env("NATS_URL", url)
            .envs(environment.iter().copied())
            .stderr(log.try_clone().unwrap());
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs {BOUND:?} after SIGTERM");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stdout, reason = "the failing test shows it")]
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            let mut text = String::new();
            drop(self.log.rewind());
            drop(self.log.read_to_string(&mut text));
            println!("--- process {}\n{text}", self.child.id());
        }
    }
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

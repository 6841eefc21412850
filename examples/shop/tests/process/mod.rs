//! Services of the shop as processes.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// The longest that anything here may take.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A service as a process; killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start_with(program: &str, url: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command
            .env("NATS_URL", url)
            .envs(environment.iter().copied())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs {BOUND:?} after SIGTERM");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

//! Traces, as a collector receives them from real processes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends so where it fails")]

#[path = "../examples/check.rs"]
mod check;
mod collector;
mod down;
mod ends;
mod links;
mod one_trace;
mod unsampled;

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use collector::Collector;
use tidewire_server::Server;

/// How soon a role must have done its part.
const SOON: Duration = Duration::from_secs(60);

/// A nats-server, a collector, and the processes between them.
struct World {
    server: Server,
    collector: Collector,
}

impl World {
    async fn start() -> Self {
        Self {
            server: Server::start().unwrap(),
            collector: Collector::start().await,
        }
    }

    /// A process that exports what it has every 50 ms.
    fn role(&self, name: &str) -> Role {
        self.role_with(name, &[("OTEL_BSP_SCHEDULE_DELAY", "50")])
    }

    fn role_with(&self, name: &str, settings: &[(&str, &str)]) -> Role {
        let mut command = Command::new(role());
        command
            .arg(name)
            .env("TIDEWIRE_TEST_URL", self.server.url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url())
            .env_remove("OTEL_SERVICE_NAME")
            .env_remove("OTEL_RESOURCE_ATTRIBUTES")
            .env_remove("OTEL_TRACES_SAMPLER")
            .env_remove("OTEL_TRACES_SAMPLER_ARG")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped());
        Role(command.spawn().unwrap())
    }

    /// The same, for a process that exports only when its guard flushes at its end, which is awaited.
    async fn role_to_its_end(&self, name: &str) -> String {
        self.role_to_its_end_with(name, &[]).await
    }

    async fn role_to_its_end_with(&self, name: &str, settings: &[(&str, &str)]) -> String {
        let hour = ("OTEL_BSP_SCHEDULE_DELAY", "3600000");
        self.role_with(name, &[&[hour], settings].concat()).ends().await
    }
}

#[test]
fn the_example_prints_what_its_header_says() {
    check::prints_what_its_header_says("tracing");
}

/// A process of its own; gone with the test.
struct Role(Child);

impl Role {
    /// What it has printed, once it has ended well.
    async fn ends(mut self) -> String {
        // Read while it runs: a pipe that is full stops it.
        let mut output = self.0.stdout.take().unwrap();
        let printed = thread::spawn(move || {
            let mut printed = String::new();
            output.read_to_string(&mut printed).unwrap();
            printed
        });
        within("it ends", async || self.0.try_wait().unwrap().is_some()).await;
        let printed = printed.join().unwrap();
        assert!(self.0.wait().unwrap().success(), "{printed}");
        printed
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `condition` holds.
async fn within(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The program of `role.rs`: Cargo builds examples beside the tests, `deps/traces-…` and `examples/traces_role`.
fn role() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples/traces_role")
}

//! What these tests share: servers whose configuration changes while they run, messages, and the log.

mod certificates;
#[path = "../support/connecting.rs"]
mod connecting;
#[path = "../nats/support/http.rs"]
pub(crate) mod http;
mod log;
mod messages;
mod operator;
mod proxy;
mod raw;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidewire::{
    Connect, Connection,
    async_nats::jetstream::{self, stream},
};
use tidewire_server::{Server, ServerBuilder};

pub(crate) use certificates::Certificates;
pub(crate) use connecting::{answer_of, connected};
pub(crate) use log::{Listening, Log};
pub(crate) use messages::*;
pub(crate) use operator::{Operator, User};
pub(crate) use proxy::Proxy;
pub(crate) use raw::{publish_raw, publish_raw_as};

/// How soon a missing permission is named to the call that needs it.
pub(crate) const NAMED_WITHIN: Duration = Duration::from_secs(2);
/// How long what is bound to come may take on a busy machine.
pub(crate) const COMES_WITHIN: Duration = Duration::from_secs(60);
/// How soon all is well again after a cure.
pub(crate) const WELL_WITHIN: Duration = Duration::from_secs(15);

/// A server with a part of its configuration in a file that can be rewritten.
pub(crate) struct Reloadable {
    pub(crate) server: Server,
    included: PathBuf,
    _folder: TempDir,
}

impl Reloadable {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_with(text, |server| server)
    }

    pub(crate) fn start_with(text: &str, settings: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let included = folder.path().join("included.conf");
        fs::write(&included, text).unwrap();
        // The server looks for it beside its own folder, which lies beside this one.
        let name = folder.path().file_name().unwrap().to_string_lossy();
        let include = format!("include \"../{name}/included.conf\"");
        let server = settings(Server::builder().config(include)).start().unwrap();
        Self {
            server,
            included,
            _folder: folder,
        }
    }

    /// Gives the server another text, and waits until it has taken it.
    pub(crate) async fn reload(&self, text: &str) {
        let reloads = || {
            self.server
                .log()
                .unwrap()
                .matches("Reloaded server configuration")
                .count()
        };
        let before = reloads();
        self.rewrite(text);
        let pid = self.server.pid().unwrap().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        assert!(sent.success());
        within(
            Duration::from_secs(30),
            "the server has its new configuration",
            async || reloads() > before,
        )
        .await;
    }

    /// Gives the server another text, for its next start.
    pub(crate) fn rewrite(&self, text: &str) {
        fs::write(&self.included, text).unwrap();
    }

    pub(crate) async fn admin(&self) -> Connection {
        connect_as(&self.server, "admin").await
    }
}

/// Users whose passwords are their names: `admin` may do everything, `service` what `permissions` says.
///
/// Here and elsewhere the server waits for longer than its own two seconds until a client has said who it is: a busy machine
/// may need them.
pub(crate) fn users(permissions: &str) -> String {
    format!(
        "authorization {{ timeout: 30, users: [
            {{ user: admin, password: admin }}
            {{ user: service, password: service, permissions: {{ {permissions} }} }}
        ] }}"
    )
}

pub(crate) async fn connect_as(server: &Server, user: &str) -> Connection {
    connected(Connect::to(server.url()).user(user, user.to_owned())).await
}

pub(crate) async fn connect_to(url: impl AsRef<str>) -> Connection {
    connected(Connect::to(url)).await
}

/// Waits until `condition` holds.
pub(crate) async fn within(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs `call`, which has to end within the limit.
pub(crate) async fn soon<T>(limit: Duration, what: &str, call: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(limit, call).await;
    done.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// What a call says that does not wait for its time to be over. Where it took long it is made again, twice at most: a machine
/// that stands still makes one of them late, and one that waits is late each time.
pub(crate) async fn named<T>(mut call: impl AsyncFnMut() -> T) -> T {
    for _ in 0..3 {
        let began = Instant::now();
        let said = soon(COMES_WITHIN, "it ends", Box::pin(call())).await;
        if began.elapsed() < NAMED_WITHIN {
            return said;
        }
    }
    panic!("not once within {NAMED_WITHIN:?}");
}

pub(crate) async fn stream(nats: &Connection, name: &str) -> stream::Info {
    let stream = nats.jetstream().get_stream(name).await.unwrap();
    stream.cached_info().clone()
}

pub(crate) async fn stored(nats: &Connection, name: &str) -> u64 {
    stream(nats, name).await.state.messages
}

/// Whether a consumer has settled all that its stream has for it. A message is confirmed to its publisher a moment before the
/// consumer counts it.
pub(crate) async fn is_settled(nats: &Connection, stream: &str, consumer: &str) -> bool {
    let stream = nats.jetstream().get_stream(stream).await.unwrap();
    let info = stream.consumer_info(consumer).await.unwrap();
    let (mut filters, mut last) = (info.config.filter_subjects.clone(), 0);
    filters.push(info.config.filter_subject.clone());
    for filter in filters.iter().filter(|filter| !filter.is_empty()) {
        if let Ok(message) = stream.get_last_raw_message_by_subject(filter).await {
            last = last.max(message.sequence);
        }
    }
    info.delivered.stream_sequence >= last && (info.num_pending, info.num_ack_pending) == (0, 0)
}

pub(crate) async fn make_stream(js: &jetstream::Context, name: &str, subject: &str) {
    let config = stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        ..Default::default()
    };
    js.create_stream(config).await.unwrap();
}

/// The program of `role.rs`: Cargo builds examples beside the tests, `deps/edges-…` and `examples/edges_role`.
pub(crate) fn role() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/edges_role")
}

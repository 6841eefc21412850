//! The settings of a server and the configuration file that they make.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::launch::Ports;
use super::{START, Server, quoted, quoted_path};
use crate::ServerError;
use crate::binary::Binary;
use crate::error::During as _;

/// Settings of a [`Server`]; each has a default.
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing before `start()`"]
pub struct ServerBuilder {
    binary: Option<Binary>,
    store_dir: Option<PathBuf>,
    pub(super) port: u16,
    pub(super) name: Option<String>,
    config: String,
    pub(super) jetstream: bool,
    sync_always: bool,
    pub(super) start_timeout: Duration,
    pub(super) routes: Option<Routes>,
}

/// The place of a node in its cluster.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    /// Its own port for the other nodes.
    pub(crate) own: u16,
    /// Every node's port for the other nodes.
    pub(crate) all: Vec<u16>,
}

impl Routes {
    fn configuration(&self) -> String {
        let others = self.all.iter().filter(|port| **port != self.own);
        let routes: Vec<_> = others
            .map(|port| format!("\"nats-route://127.0.0.1:{port}\""))
            .collect();
        format!(
            "cluster {{ name: \"tidewire\", listen: \"127.0.0.1:{}\", routes: [{}] }}",
            self.own,
            routes.join(", ")
        )
    }
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            binary: None,
            store_dir: None,
            port: 0,
            name: None,
            config: String::new(),
            jetstream: true,
            sync_always: false,
            start_timeout: START,
            routes: None,
        }
    }

    /// Sets the executable; by default the one that [`Binary::find_or_install`] gives.
    pub fn binary(mut self, binary: Binary) -> Self {
        self.binary = Some(binary);
        self
    }

    /// Keeps the JetStream data in this folder, which is made if need be and never removed; by default a temporary
    /// folder.
    ///
    /// Two servers must not share one folder.
    pub fn store_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(dir.into());
        self
    }

    /// Sets the port for clients; by default, and with 0, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the server's name, which it shows to clients and in its monitoring pages; by default its random id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds text to the end of the [configuration file](https://docs.nats.io/running-a-nats-service/configuration).
    ///
    /// A key that is set twice counts as set last, so this text wins; a `jetstream` block here replaces
    /// [`store_dir`](Self::store_dir) and [`sync_always`](Self::sync_always). Leave `http` and `ports_file_dir` alone:
    /// the start is watched by them.
    pub fn config(mut self, text: impl AsRef<str>) -> Self {
        self.config.push_str(text.as_ref());
        self.config.push('\n');
        self
    }

    /// Chooses whether JetStream is on; it is by default.
    pub fn jetstream(mut self, on: bool) -> Self {
        self.jetstream = on;
        self
    }

    /// Chooses whether every write is synced to the disk before it is acknowledged (`sync_interval: always`).
    ///
    /// It is off by default, as in nats-server: a killed process then loses nothing, a power failure up to two
    /// minutes. On one server it takes pipelined publishing from 112 000 to 4 200 messages a second.
    pub fn sync_always(mut self, on: bool) -> Self {
        self.sync_always = on;
        self
    }

    /// Sets how long the server may take until it answers; 30 seconds by default, where 10 ms are usual.
    pub fn start_timeout(mut self, allowed: Duration) -> Self {
        self.start_timeout = allowed;
        self
    }

    /// Starts the server and returns when it answers, and JetStream with it.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; [`ServerError::PortTaken`] when the port that was asked for is in use.
    pub fn start(mut self) -> Result<Server, ServerError> {
        let binary = self.binary.take().map_or_else(Binary::find_or_install, Ok)?;
        if let Some(dir) = &mut self.store_dir {
            // Still the same folder at a restart, wherever the process has moved to by then.
            *dir = std::path::absolute(&*dir).during(|| format!("find the folder {}", dir.display()))?;
        }
        Server::run(binary, self)
    }

    pub(crate) fn routes(mut self, routes: Routes) -> Self {
        self.routes = Some(routes);
        self
    }

    pub(super) fn keeps_its_data(&self) -> bool {
        self.store_dir.is_some()
    }

    pub(super) fn store_dir_in(&self, dir: &Path) -> PathBuf {
        self.store_dir.clone().unwrap_or_else(|| dir.join("store"))
    }

    /// The configuration; `dir` is the server's own folder, `ports` those of an earlier start.
    pub(super) fn configuration(&self, dir: &Path, ports: Option<Ports>) -> String {
        let port = |known: Option<u16>| {
            known
                .filter(|port| *port != 0)
                .map_or("-1".to_owned(), |port| port.to_string())
        };
        let client = port(ports.map(|ports| ports.client).or(Some(self.port)));
        let monitoring = port(ports.map(|ports| ports.monitoring));
        let mut lines = vec![
            format!("listen: \"127.0.0.1:{client}\""),
            format!("http: \"127.0.0.1:{monitoring}\""),
            format!("ports_file_dir: {}", quoted_path(dir)),
        ];
        lines.extend(
            self.name
                .iter()
                .map(|name| format!("server_name: {}", quoted(name))),
        );
        if self.jetstream {
            let sync = if self.sync_always {
                ", sync_interval: always"
            } else {
                ""
            };
            lines.push(format!(
                "jetstream {{ store_dir: {}{sync} }}",
                quoted_path(&self.store_dir_in(dir))
            ));
        }
        lines.extend(self.routes.as_ref().map(Routes::configuration));
        lines.join("\n") + "\n" + &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_text_comes_last_and_paths_are_quoted() {
        let builder = Server::builder()
            .store_dir("a \"b\"\\c")
            .name("n")
            .sync_always(true)
            .config("debug: true");
        assert_eq!(
            builder.configuration(Path::new("/d"), None),
            "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nports_file_dir: \"/d\"\nserver_name: \"n\"\n\
             jetstream { store_dir: \"a \\\"b\\\"\\\\c\", sync_interval: always }\ndebug: true\n"
        );
    }

    #[test]
    fn a_restart_keeps_both_ports() {
        let text = Server::builder().port(4222).jetstream(false).configuration(
            Path::new("/d"),
            Some(Ports {
                client: 7,
                monitoring: 8,
            }),
        );
        assert!(
            text.starts_with("listen: \"127.0.0.1:7\"\nhttp: \"127.0.0.1:8\"\n"),
            "{text}"
        );
        assert!(!text.contains("jetstream"));
    }
}

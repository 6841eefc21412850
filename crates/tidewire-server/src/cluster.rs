//! Several nats-servers that form one JetStream cluster on this machine.

mod ports;
mod readiness;

use std::time::Duration;

use crate::deadline::Deadline;
use crate::server::{Routes, ServerBuilder};
use crate::{Server, ServerError};

/// How long an election may take, and a node to catch up. A fresh cluster needs about a second, one that lost its
/// leader 4 to 7.
const READY: Duration = Duration::from_secs(60);
/// How often other ports are tried when somebody took one between its choice and its use.
const TRIES: usize = 5;

/// A JetStream cluster of nats-servers on 127.0.0.1; all of them end with this handle, or with this process.
///
/// ```no_run
/// use tidewire_server::Cluster;
///
/// let mut cluster = Cluster::start(3)?;
/// if let Some(leader) = cluster.leader() {
///     cluster.node_mut(leader).kill()?;
///     cluster.wait_ready()?; // the other two have elected one
///     cluster.node_mut(leader).restart()?;
///     cluster.wait_ready()?; // it has rejoined
/// }
/// # Ok::<(), tidewire_server::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts this many nodes and returns when they have a leader and all are current.
    ///
    /// Three is the least that survives the loss of one.
    ///
    /// # Errors
    ///
    /// [`ServerError::ClusterSize`] unless there are 2 to 9 nodes; otherwise as [`Server::start`], and
    /// [`ServerError::NotReady`] when there is no leader after 60 seconds.
    pub fn start(nodes: usize) -> Result<Self, ServerError> {
        Self::start_with(nodes, |node| node)
    }

    /// Starts this many nodes with settings of your own, such as `|node| node.sync_always(true)`.
    ///
    /// The name is set already (`node-0` and so on). A port or a folder would be the same for every node: leave them.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        nodes: usize,
        settings: impl Fn(ServerBuilder) -> ServerBuilder,
    ) -> Result<Self, ServerError> {
        if !(2..=9).contains(&nodes) {
            return Err(ServerError::ClusterSize { nodes });
        }
        Self::start_on(nodes, settings, ports::free)
    }

    fn start_on(
        nodes: usize,
        settings: impl Fn(ServerBuilder) -> ServerBuilder,
        mut choose: impl FnMut(usize) -> Result<Vec<u16>, ServerError>,
    ) -> Result<Self, ServerError> {
        let mut tries = 1;
        let cluster = loop {
            match Self::launch(&choose(nodes)?, &settings) {
                Err(ServerError::PortTaken { .. }) if tries < TRIES => tries += 1,
                launched => break launched?,
            }
        };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    fn launch(ports: &[u16], settings: impl Fn(ServerBuilder) -> ServerBuilder) -> Result<Self, ServerError> {
        let node = |(index, own): (usize, &u16)| {
            let named = Server::builder().name(format!("node-{index}"));
            settings(named)
                .routes(Routes {
                    own: *own,
                    all: ports.to_vec(),
                })
                .start()
        };
        Ok(Self {
            nodes: ports.iter().enumerate().map(node).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the nodes' addresses, in order.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// Returns the addresses as one text with commas, as clients take them.
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// Returns the nodes, in order.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Returns one node, counted from 0.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn node(&self, index: usize) -> &Server {
        &self.nodes[index]
    }

    /// Returns one node, to kill, restart or pause it.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn node_mut(&mut self, index: usize) -> &mut Server {
        &mut self.nodes[index]
    }

    /// Returns the node that leads the cluster's metadata; `None` during an election, or without a majority.
    ///
    /// A stream or a consumer has a leader of its own, which may be another node.
    pub fn leader(&self) -> Option<usize> {
        readiness::leader(&self.nodes).ok()
    }

    /// Waits until the nodes that run agree on a leader among them and have caught up with it; those that were killed
    /// or stopped are not waited for.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotReady`] after 60 seconds, as when fewer than a majority run or one is paused.
    pub fn wait_ready(&self) -> Result<(), ServerError> {
        let deadline = Deadline::after(READY);
        loop {
            let Err(missing) = readiness::ready(&self.nodes) else {
                return Ok(());
            };
            if !deadline.pause() {
                let log = self
                    .nodes
                    .iter()
                    .map(Server::log_end)
                    .collect::<Vec<_>>()
                    .join("\n\n");
                return Err(ServerError::NotReady {
                    waited: READY,
                    last: missing,
                    log,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn ports_that_somebody_took_in_between_are_chosen_anew() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().map(|address| (taken, address.port())).unwrap();
        let mut choices = 0;
        let cluster = Cluster::start_on(
            2,
            |node| node,
            |count| {
                choices += 1;
                let mut ports = ports::free(count)?;
                if choices == 1 {
                    ports[1] = taken.1;
                }
                Ok(ports)
            },
        );
        assert_eq!(cluster.unwrap().nodes().len(), 2);
        assert_eq!(choices, 2);
    }

    #[test]
    fn a_cluster_of_one_is_refused() {
        assert!(matches!(
            Cluster::start(1),
            Err(ServerError::ClusterSize { nodes: 1 })
        ));
    }
}

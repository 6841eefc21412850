//! Whether the nodes of a cluster agree, by what each says on its monitoring port.

use std::time::Duration;

use serde_json::Value;

use crate::{Server, monitoring};

/// A paused node must not hold up the question to the others for long.
const PATIENCE: Duration = Duration::from_secs(2);
/// A leader hears from every follower once a second; one that was silent for longer has not come back yet, though the
/// leader goes on calling it current (seen 8 seconds after a kill).
const SILENCE: Duration = Duration::from_secs(3);

/// Every running node has the same leader, is healthy, and is current in the leader's eyes.
pub(super) fn ready(nodes: &[Server]) -> Result<(), String> {
    let leader = leader(nodes)?;
    let leader_name = nodes[leader].name().unwrap_or_default().to_owned();
    let view = meta(&nodes[leader])?;
    for node in nodes.iter().filter(|node| node.pid().is_some()) {
        let name = node.name().unwrap_or_default().to_owned();
        monitoring::healthy(node.monitoring_port(), PATIENCE)
            .map_err(|reason| format!("{name}: {reason}"))?;
        if name == leader_name {
            continue;
        }
        if meta(node)?["leader"] != leader_name.as_str() {
            return Err(format!("{name} does not follow {leader_name} yet"));
        }
        if !replicas(&view).any(|replica| replica["name"] == name.as_str() && is_current(replica)) {
            return Err(format!(
                "{leader_name} does not see {name} as current yet: {view}"
            ));
        }
    }
    Ok(())
}

/// The running node that calls itself the leader.
pub(super) fn leader(nodes: &[Server]) -> Result<usize, String> {
    let leads = |node: &Server| {
        node.pid().is_some()
            && meta(node).is_ok_and(|view| view["leader"].as_str().is_some_and(|it| node.name() == Some(it)))
    };
    nodes
        .iter()
        .position(leads)
        .ok_or_else(|| "no node leads".to_owned())
}

fn meta(node: &Server) -> Result<Value, String> {
    monitoring::get(node.monitoring_port(), "/jsz", PATIENCE).map(|mut jsz| jsz["meta_cluster"].take())
}

fn replicas(view: &Value) -> impl Iterator<Item = &Value> {
    view["replicas"].as_array().into_iter().flatten()
}

fn is_current(replica: &Value) -> bool {
    let silence = replica["active"].as_u64().map(Duration::from_nanos);
    replica["current"] == true
        && replica["offline"] != true
        && silence.is_some_and(|silence| silence < SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_silent_or_lagging_replica_is_not_current() {
        let replica =
            |current: bool, active: u64| json!({ "name": "n", "current": current, "active": active });
        assert!(is_current(&replica(true, 279_358_655)));
        assert!(!is_current(&replica(true, 8_640_698_589)));
        assert!(!is_current(&replica(false, 0)));
        assert!(!is_current(
            &json!({ "current": true, "active": 1, "offline": true })
        ));
        assert!(!is_current(&Value::Null));
    }
}

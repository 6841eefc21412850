//! What a server says about itself on its monitoring port.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

/// Asks for a page such as `/healthz` and returns its JSON, whatever the status.
pub(crate) fn get(port: u16, page: &str, patience: Duration) -> Result<Value, String> {
    let agent = Agent::config_builder()
        // A proxy of the environment has nothing to do with the loopback.
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(patience))
        .build()
        .new_agent();
    let url = format!("http://127.0.0.1:{port}{page}");
    let text = agent
        .get(&url)
        .call()
        .and_then(|mut response| response.body_mut().read_to_string());
    let text = text.map_err(|error| format!("{url}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{url}: {error}: {text}"))
}

/// Whether everything that is turned on, JetStream included, is up.
pub(crate) fn healthy(port: u16, patience: Duration) -> Result<(), String> {
    let health = get(port, "/healthz", patience)?;
    if health["status"] == "ok" {
        Ok(())
    } else {
        Err(format!("/healthz says {health}"))
    }
}

//! From settings to a server that answers.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::ServerBuilder;
use crate::binary::Binary;
use crate::deadline::Deadline;
use crate::error::During as _;
use crate::process::Process;
use crate::{ServerError, monitoring, wire};

/// One question to a server that starts; it is asked again until the deadline.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long the last question may take at least: one that is cut off says nothing of what is missing.
const LEAST: Duration = Duration::from_millis(500);
/// How many lines of the log an error shows.
const SHOWN: usize = 20;

/// Where the server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) monitoring: u16,
}

pub(super) fn log_path(dir: &Path) -> PathBuf {
    dir.join("nats-server.log")
}

/// Starts the process and waits until it is ready; `ports` are those of an earlier start, to be had again.
pub(super) fn launch(
    binary: &Binary,
    settings: &ServerBuilder,
    dir: &Path,
    ports: Option<Ports>,
) -> Result<(Process, Ports), ServerError> {
    let config = dir.join("nats-server.conf");
    fs::write(&config, settings.configuration(dir, ports))
        .during(|| format!("write {}", config.display()))?;
    let log_path = log_path(dir);
    let opened = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = opened.during(|| format!("open {}", log_path.display()))?;
    let log_start = log.metadata().map_or(0, |meta| meta.len());
    let mut process = Process::spawn(&binary.path, &config, log, dir)
        .during(|| format!("start {} under its guard", binary.path.display()))?;

    let deadline = Deadline::after(settings.start_timeout);
    loop {
        let missing = match ready(&process, settings, dir, deadline.left().clamp(LEAST, PATIENCE)) {
            Ok(ports) => return Ok((process, ports)),
            Err(missing) => missing,
        };
        let running = process.is_running();
        if running && deadline.pause() {
            continue;
        }
        let log = log_end(&log_path, log_start);
        return Err(if running {
            ServerError::NotReady {
                waited: deadline.allowed(),
                last: missing,
                log,
            }
        } else if log.contains("address already in use") {
            ServerError::PortTaken {
                port: ports.map_or(settings.port, |ports| ports.client),
            }
        } else {
            ServerError::Died { log }
        });
    }
}

/// The ports if everything is up, else what is missing.
fn ready(
    process: &Process,
    settings: &ServerBuilder,
    dir: &Path,
    patience: Duration,
) -> Result<Ports, String> {
    let ports = ports_file(dir, process.id()).ok_or("it has not told its ports yet")?;
    wire::ping(ports.client, patience)
        .map_err(|error| format!("port {} does not answer: {error}", ports.client))?;
    // A node of a cluster is healthy only once there is a majority, which nobody may have started yet.
    if settings.jetstream && settings.routes.is_none() {
        monitoring::healthy(ports.monitoring, patience)?;
    }
    Ok(ports)
}

/// Reads `<executable>_<pid>.ports`; a killed server leaves its own behind, so the pid matters.
fn ports_file(dir: &Path, pid: u32) -> Option<Ports> {
    let suffix = format!("_{pid}.ports");
    let file = fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().ends_with(&suffix))
        })?;
    // Half written it is no JSON, and is read again.
    let told: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let port = |kind: &str| told[kind][0].as_str()?.rsplit(':').next()?.parse().ok();
    Some(Ports {
        client: port("nats")?,
        monitoring: port("monitoring")?,
    })
}

/// The last lines of what was logged after `start`.
pub(super) fn log_end(path: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|mut log| {
        log.seek(SeekFrom::Start(start))?;
        log.read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("(its log cannot be read: {error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

//! Binaries that somebody else put on this machine.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Origin;
use crate::binary::Binary;
use crate::platform::{FILE_NAME, OLDEST, Version};
use crate::{ServerError, deadline::Deadline};

/// The binary that the user named; no other will do in its place.
pub(super) fn named(path: &Path) -> Result<Binary, ServerError> {
    probe(path, Origin::Named).map_err(|reason| ServerError::Unusable {
        path: path.to_path_buf(),
        reason,
    })
}

/// The first `nats-server` on the path, if it is new enough.
pub(super) fn on_path(search_path: &OsStr) -> Result<Binary, String> {
    let path = program(search_path, FILE_NAME).ok_or("none")?;
    probe(&path, Origin::SearchPath).map_err(|reason| format!("{}: {reason}", path.display()))
}

/// The first file of this name on the path.
pub(super) fn program(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(search_path)
        .filter(|dir| !dir.as_os_str().is_empty())
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

fn probe(path: &Path, origin: Origin) -> Result<Binary, String> {
    if !path.is_file() {
        return Err("no such file".to_owned());
    }
    let output = ask(path).map_err(|error| format!("it does not run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let version = Version::parse(&printed)
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("`--version` printed {:?}", printed.trim()))?;
    if version < OLDEST {
        return Err(format!("it is {version} and {OLDEST} is the oldest supported"));
    }
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    Ok(Binary {
        path,
        version: version.to_string(),
        origin,
    })
}

/// A file that was just written cannot run as long as a child of another thread, between fork and exec, still holds
/// it open for writing; so this one refusal is waited out.
fn ask(path: &Path) -> io::Result<Output> {
    let deadline = Deadline::seconds(2);
    loop {
        match Command::new(path).arg("--version").stdin(Stdio::null()).output() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && deadline.pause() => {}
            answer => return answer,
        }
    }
}

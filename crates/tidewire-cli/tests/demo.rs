//! `tidewire demo` as a user runs it: the real binary, real processes, a real server.
#![cfg(all(unix, feature = "demo"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/picture.rs"]
mod picture;
mod support;

use rustix::process::Signal;
use support::{Demo, eventually, is_listening, is_running, kill};

#[test]
fn a_demo_of_three_seconds_balances_its_books() {
    let ended = Demo::start(&["--seconds", "3", "--rate", "50"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in ["orders", "ends", "money", "stock", "letters"] {
        ended.has(&format!("ok    {part}"));
    }
    ended.has("The books balance.");
    ended.has("requests to instance");
    assert!(!ended.folder().exists(), "what nobody asked to keep is removed");
}

#[test]
fn a_number_of_orders_ends_it_too_and_the_folder_can_be_kept() {
    let ended = Demo::start(&["--orders", "20", "--rate", "20", "--keep"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.has("20 placed");
    let folder = ended.folder();
    assert!(folder.join("store").is_dir());
    assert!(folder.join("payments-2.log").is_file());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn one_payments_instance_is_killed_and_the_other_takes_over() {
    let mut demo = Demo::start(&["--seconds", "4", "--rate", "30"]);
    demo.wait_for(" 1 s ");
    kill(demo.pid_of("payments-1"), Signal::KILL);
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.has("was killed: payments-2 takes over");
    ended.has("then was gone");
    ended.has("The books balance.");
}

#[test]
fn the_only_instance_of_a_service_is_killed_and_the_demo_says_so() {
    let mut demo = Demo::start(&["--seconds", "30"]);
    demo.wait_for(" 1 s ");
    let pids = demo.pids();
    kill(demo.pid_of("inventory"), Signal::KILL);
    let ended = demo.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.errors.contains("inventory has ended (signal: 9"),
        "{ended:?}"
    );
    assert!(
        ended.errors.contains("inventory 0."),
        "the end of its log is shown: {ended:?}"
    );
    assert!(ended.folder().join("inventory.log").is_file());
    std::fs::remove_dir_all(ended.folder()).unwrap();
    eventually("its processes end", || !pids.iter().copied().any(is_running));
}

#[test]
fn a_killed_demo_leaves_no_process_behind() {
    let mut demo = Demo::start(&["--seconds", "30"]);
    demo.wait_for(" 1 s ");
    let (pids, server, folder) = (demo.pids(), demo.server(), demo.folder());
    assert_eq!(pids.len(), 5);
    assert!(is_listening(&server));
    kill(demo.pid(), Signal::KILL);
    drop(demo.end());
    eventually("its processes end", || !pids.iter().copied().any(is_running));
    eventually("its server ends", || !is_listening(&server));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ctrl_c_and_sigterm_end_it_early_with_the_summary() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut demo = Demo::start(&["--seconds", "600", "--rate", "20"]);
        demo.wait_for(" 1 s ");
        kill(demo.pid(), signal);
        let ended = demo.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.has("Summary");
        ended.has("The books balance.");
    }
}

#[test]
fn wrong_usage_and_no_server_are_two() {
    let ended = Demo::start(&["--rate", "0"]).end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = Demo::start_with(
        &["--seconds", "1"],
        &[("TIDEWIRE_NATS_SERVER", "/nowhere/nats-server")],
    )
    .end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.errors.contains("/nowhere/nats-server"), "{ended:?}");
}

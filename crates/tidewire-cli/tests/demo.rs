//! `tidewire demo` as a user runs it: the real binary, real processes, a real server.
#![cfg(all(unix, feature = "demo"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/picture.rs"]
mod picture;
mod support;

use rustix::process::Signal;
use support::{Demo, eventually, is_listening, is_running, kill};

/// Stands above the first line that a second brings, whichever second that is.
const HEAD: &str = "time  placed";
/// Longer than anything here takes: each demo of this length is ended by its test.
const LONG: [&str; 2] = ["--seconds", "600"];

#[test]
fn a_demo_of_three_seconds_balances_its_books() {
    let ended = Demo::start(&["--seconds", "3", "--rate", "50"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in ["orders", "ends", "money", "stock", "letters", "mail"] {
        ended.has(&format!("ok    {part}"));
    }
    ended.has("The books balance.");
    assert!(!ended.folder().exists(), "what nobody asked to keep is removed");
}

#[test]
fn the_gateway_fails_in_all_its_ways_and_every_letter_is_repaired() {
    // By number, so that all cards are among them however slow the machine is.
    let ended = Demo::start(&["--orders", "250", "--rate", "50"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.has("The payment gateway goes down.");
    ended.has(": the breaker opens.");
    ended.has("The payment gateway is back.");
    ended.has(": the breaker closes after ");
    ended.has("rejected   the payment gateway does not understand the card number");
    ended.has("panicked   the handler panicked: a card has an issuer of four digits");
    ended.has("letters are handled now.");
    // Of the others the gateway's own tests tell: how many calls are slow or hang is left to chance.
    let [repeated, errors, ..] = numbers(ended.line("attempts were repeated: after"))[..] else {
        panic!("no numbers of what was repeated: {ended:?}")
    };
    assert!(
        errors > 0 && repeated >= errors,
        "one call in ten is an error: {ended:?}"
    );
    ended.has("hangs, ");
    let letters = ended.line("put aside");
    let [stored, repaired] = numbers(letters)[..] else {
        panic!("two numbers in {letters:?}")
    };
    assert!(
        stored >= 10 && stored == repaired,
        "the load has at least ten such cards, and all are repaired: {letters:?}"
    );
    let widest = ended.output.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "a terminal has 80 columns: {ended:?}");
}

fn numbers(text: &str) -> Vec<u32> {
    let words = text.split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_number_of_orders_ends_it_too_and_the_folder_can_be_kept() {
    let ended = Demo::start(&["--orders", "20", "--rate", "20", "--keep"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.has("20 placed");
    let folder = ended.folder();
    assert!(folder.join("store").is_dir());
    assert!(folder.join("payments-2.log").is_file());
    ended.has("tidewire dlq ls --all -s ");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn one_payments_instance_is_killed_and_the_other_takes_over() {
    let mut demo = Demo::start(&[&LONG[..], &["--rate", "30"]].concat());
    demo.wait_for(HEAD);
    kill(demo.pid_of("payments-1"), Signal::KILL);
    demo.wait_for("was killed");
    // More orders come meanwhile.
    for _ in 0..2 {
        demo.wait_for("│");
    }
    kill(demo.pid(), Signal::INT);
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.has("was killed: payments-2 takes over");
    ended.has("The books balance.");
}

#[test]
fn the_only_instance_of_a_service_is_killed_and_the_demo_says_so() {
    let mut demo = Demo::start(&LONG);
    demo.wait_for(HEAD);
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
    let mut demo = Demo::start(&LONG);
    demo.wait_for(HEAD);
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
        let mut demo = Demo::start(&[&LONG[..], &["--rate", "20"]].concat());
        demo.wait_for(HEAD);
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

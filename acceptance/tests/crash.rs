//! A small part of `just crash`, for `cargo test`: a worker is killed at each of the ten steps between receipt and ack.
#![cfg(unix)]

use std::process::Command;

#[test]
fn a_worker_that_is_killed_at_any_step_loses_nothing_and_does_nothing_twice() {
    // It ends by itself: each of its waits has a limit, and all of them together have one.
    let mut crash = Command::new(env!("CARGO_BIN_EXE_crash"));
    let output = crash.args(["workers", "--small", "--times", "1"]).output();
    let output = output.expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = said.lines().filter(|line| line.ends_with("| ok     |"));
    // Ten steps, and one of two workers at any moment.
    assert_eq!(rows.count(), 11, "{said}");
}

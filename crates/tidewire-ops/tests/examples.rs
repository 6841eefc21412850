//! The example that needs this package prints what its header says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helper fails the test")]

#[path = "../../tidewire/tests/examples/check.rs"]
mod check;

#[test]
fn dead_letters() {
    assert!(check::folder().join("dead_letters.rs").is_file());
    check::prints_what_its_header_says("dead_letters");
}

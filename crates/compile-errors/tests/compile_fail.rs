//! The commonest mistakes, each with a compile error that names the cause and what to write.
//!
//! After a change that is meant to be seen: `TRYBUILD=overwrite cargo test -p tidewire-compile-errors`, and read
//! the difference as somebody who meets it for the first time.

use std::process::Command;

/// The compiler that wrote the texts; others set some of rustc's own words differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn every_mistake_is_named_with_what_to_write() {
    let version = Command::new("rustc").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if version.starts_with(COMPILER) {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    } else {
        println!("not compared: the texts are those of {COMPILER}x, and this is {version}");
    }
}

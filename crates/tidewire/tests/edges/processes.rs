//! Sender and receiver in processes of their own.

use std::process::Command;

use tidewire_server::Server;

use crate::support::role;

/// Plays a part to its end, and gives what it says.
fn play(part: &str, server: &Server) -> String {
    let output = Command::new(role())
        .arg(part)
        .env("TIDEWIRE_TEST_URL", server.url())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn eight_mebibytes_go_from_one_process_to_another_byte_for_byte() {
    let server = Server::start().unwrap();
    assert_eq!(play("send", &server), "sent 8388608\n");
    assert_eq!(play("read", &server), "read 8388608 true\n");
}

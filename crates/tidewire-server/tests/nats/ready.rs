//! What must be so before a start returns, shown with a `nats-server` that only claims to be one.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tidewire_server::{Installer, Server, ServerError};

use crate::guard::mentioning;

/// The longest that a script is given.
const LONGEST: Duration = Duration::from_secs(15);

/// Starts a script as if it were a nats-server until `is_it` has what was missing, and its log; gives both back. On a busy
/// machine a script may not come so far in half a second, and is given more.
fn missing(dir: &Path, script: &str, is_it: impl Fn(&str, &str) -> bool) -> (String, String) {
    let path = dir.join("nats-server");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&path)
        .unwrap();
    write!(
        file,
        "#!/bin/sh\n[ $1 = --version ] && echo 'nats-server: v2.15.1' && exit\n{script}\nexec sleep 60\n"
    )
    .unwrap();
    drop(file);
    let binary = Installer::from_env().named(Some(path)).find().unwrap();
    let mut allowed = Duration::from_millis(500);
    loop {
        let builder = Server::builder().binary(binary.clone()).start_timeout(allowed);
        let Err(ServerError::NotReady { last, log, .. }) = builder.start() else {
            panic!("it is not ready")
        };
        assert!(mentioning(dir).is_empty(), "what was given up is ended");
        if is_it(&last, &log) || allowed > LONGEST {
            return (last, log);
        }
        allowed *= 2;
    }
}

/// The line that tells the ports; the second argument is the configuration, beside which it belongs.
fn telling(client: u16, monitoring: u16) -> String {
    format!(
        "echo '{{\"nats\":[\"nats://127.0.0.1:{client}\"],\"monitoring\":[\"http://127.0.0.1:{monitoring}\"]}}' \
         > \"$(dirname $2)/nats-server_$$.ports\""
    )
}

/// Says something to everybody, and something else to each line that it hears.
fn saying(greeting: &'static str, to_a_line: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = move |mut stream: TcpStream| -> std::io::Result<()> {
        stream.write_all(greeting.as_bytes())?;
        for line in BufReader::new(stream.try_clone()?).lines() {
            if matches!(line?.as_str(), "PING" | "") {
                stream.write_all(to_a_line.as_bytes())?;
            }
        }
        Ok(())
    };
    // The other side hangs up in the middle of it, which is as good as any end.
    thread::spawn(move || {
        listener
            .incoming()
            .map_while(Result::ok)
            .map(talk)
            .filter(Result::is_err)
            .count()
    });
    port
}

#[test]
fn one_that_never_tells_its_ports_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (last, log) = missing(dir.path(), "echo waiting >&2", |_, log| log == "waiting");
    assert_eq!(
        (last.as_str(), log.as_str()),
        ("it has not told its ports yet", "waiting")
    );
}

#[test]
fn one_whose_port_does_not_answer_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let refused = "port 1 does not answer: Connection refused";
    let (last, _) = missing(dir.path(), &telling(1, 1), |last, _| last.starts_with(refused));
    assert!(last.starts_with(refused), "{last}");
}

#[test]
fn one_that_greets_but_does_not_answer_a_ping_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let silent = telling(saying("INFO {}\r\n", ""), 1);
    let (last, _) = missing(dir.path(), &silent, |last, _| last.contains("does not answer"));
    assert!(last.contains("does not answer"), "{last}");
}

#[test]
fn one_whose_jetstream_is_not_up_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let unhealthy =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 24\r\n\r\n{\"status\":\"unavailable\"}";
    let sick = telling(saying("INFO {}\r\n", "PONG\r\n"), saying("", unhealthy));
    let (last, _) = missing(dir.path(), &sick, |last, _| last.contains("/healthz says"));
    assert!(
        last.contains("/healthz says") && last.contains("unavailable"),
        "{last}"
    );
}

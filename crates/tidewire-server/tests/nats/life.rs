//! Start, answer, end; and what a test of failure does in between.

use std::io;
use std::time::Duration;

use tidewire_server::{Server, ServerError};

use crate::client::Client;
use crate::guard::{mentioning, until};

#[test]
fn it_starts_and_answers_and_jetstream_is_up() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server.url()).unwrap();
    assert_eq!(client.info["port"], server.port());
    assert_eq!(client.info["jetstream"], true);
    client.create_stream("a", 1);
    assert_eq!(client.publish("a.b", "x").unwrap(), 1);
    assert!(server.log().unwrap().contains("Server is ready"));
}

#[test]
fn two_at_once_have_ports_and_data_of_their_own() {
    let (one, two) = (Server::start().unwrap(), Server::start().unwrap());
    assert_ne!(one.port(), two.port());
    assert_ne!(one.store_dir(), two.store_dir());
    Client::connect(&one.url()).unwrap().create_stream("a", 1);
    assert_eq!(Client::connect(&two.url()).unwrap().messages("a"), None);
}

#[test]
fn dropping_the_handle_ends_the_process_and_its_guard_and_removes_the_folder() {
    let server = Server::start().unwrap();
    let (url, dir) = (server.url(), server.log_path().parent().unwrap().to_owned());
    assert!(dir.is_dir() && server.store_dir().starts_with(&dir));
    assert_eq!(mentioning(&dir).len(), 3, "the server and its guard");
    drop(server);
    assert_eq!(
        Client::connect(&url).err().unwrap().kind(),
        io::ErrorKind::ConnectionRefused
    );
    assert!(mentioning(&dir).is_empty());
    assert!(!dir.exists());
}

#[test]
fn a_folder_that_was_given_outlives_the_handle() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Server::builder().store_dir(dir.path()).start().unwrap();
    let server = start();
    let mut client = Client::connect(&server.url()).unwrap();
    client.create_stream("a", 1);
    client.publish("a.b", "x").unwrap();
    drop(server);
    let server = start();
    assert_eq!(server.store_dir(), dir.path());
    assert_eq!(Client::connect(&server.url()).unwrap().messages("a"), Some(1));
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_data() {
    let mut server = Server::start().unwrap();
    let (url, monitoring, pid) = (server.url(), server.monitoring_url(), server.pid());
    let mut client = Client::connect(&url).unwrap();
    client.create_stream("a", 1);
    for _ in 0..100 {
        client.publish("a.b", "x").unwrap();
    }
    server.kill().unwrap();
    assert!(!server.is_running() && server.pid().is_none());
    assert_eq!(
        Client::connect(&url).err().unwrap().kind(),
        io::ErrorKind::ConnectionRefused
    );
    assert!(
        !server.log().unwrap().contains("Server Exiting"),
        "a crash says no farewell"
    );

    server.restart().unwrap();
    assert_eq!((server.url(), server.monitoring_url()), (url.clone(), monitoring));
    assert_ne!(server.pid(), pid);
    assert_eq!(Client::connect(&url).unwrap().messages("a"), Some(100));
}

#[test]
fn a_stop_is_graceful_and_a_restart_of_a_running_one_stops_it_first() {
    let mut server = Server::start().unwrap();
    Client::connect(&server.url()).unwrap().create_stream("a", 1);
    server.restart().unwrap();
    assert_eq!(Client::connect(&server.url()).unwrap().messages("a"), Some(0));
    server.stop().unwrap();
    assert!(!server.is_running());
    assert_eq!(server.log().unwrap().matches("Server Exiting").count(), 2);
    // Nothing is left to end, which is no error.
    server.stop().and_then(|()| server.kill()).unwrap();
}

#[test]
fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let mut server = Server::start().unwrap();
    let mut client = Client::connect(&server.url()).unwrap();
    // Often, since threads that run on for a moment after the signal would answer now and then.
    for patience in [300].into_iter().chain([5; 50]) {
        server.pause().unwrap();
        let silence = client.ping(Duration::from_millis(patience)).unwrap_err().kind();
        assert!(
            matches!(silence, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            "{silence}"
        );
        assert!(server.is_running());
        server.resume().unwrap();
        client.pong(Duration::from_secs(5)).unwrap();
    }
}

#[test]
fn a_paused_server_can_be_stopped_and_dropped() {
    let mut server = Server::start().unwrap();
    server.pause().unwrap();
    server.stop().unwrap();
    assert!(server.log().unwrap().contains("Server Exiting"));
    assert!(matches!(server.pause(), Err(ServerError::NotRunning)));
    assert!(matches!(server.resume(), Err(ServerError::NotRunning)));
    server.restart().unwrap();
    server.pause().unwrap();
}

#[test]
fn one_that_somebody_else_killed_is_noticed_and_can_be_restarted() {
    let mut server = Server::start().unwrap();
    let dir = server.log_path().parent().unwrap().to_owned();
    let pid = rustix::process::Pid::from_raw(server.pid().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("the handle knows", || !server.is_running());
    assert!(mentioning(&dir).is_empty(), "the guard ends with the server");
    assert!(matches!(server.pause(), Err(ServerError::NotRunning)));
    assert!(dir.is_dir(), "the data is still ours");
    server.restart().unwrap();
    Client::connect(&server.url()).unwrap();
}

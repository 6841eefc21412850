//! The server ends with its parent, however the parent ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use tidewire_server::Server;

/// Waits for a condition, at most ten seconds.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "not in 10 s: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The live processes with this path among their arguments: a server and its guard name their folder.
pub(crate) fn mentioning(path: &Path) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,stat=,args="])
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = |line: &&str| line.contains(&path.display().to_string());
    // The guard's script has several lines, and `ps` shows them as one or as several, by its kind.
    lines.lines().filter(named).map(str::to_owned).collect()
}

/// Runs one of the ignored tests below in a process of its own and returns it with the line that it prints.
pub(crate) fn in_a_process(role: &str, env: &[(&str, &str)]) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([role, "--exact", "--ignored", "--nocapture"])
        .envs(env.iter().copied())
        .env("TIDEWIRE_TEST_ROLE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, told) = mpsc::channel();
    // Read to the end: a test binary whose output is closed fails.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, line)) = line.split_once("told: ") {
                sender.send(line.to_owned()).unwrap();
            }
        }
    });
    (
        child,
        told.recv().unwrap_or_else(|_| panic!("{role} said nothing")),
    )
}

/// True in a process that [`in_a_process`] started; false when a person runs the ignored tests.
pub(crate) fn is_a_role() -> bool {
    std::env::var_os("TIDEWIRE_TEST_ROLE").is_some()
}

#[test]
#[ignore = "a role: the parent that is killed"]
fn parent() {
    if !is_a_role() {
        return;
    }
    let mut server = Server::start().unwrap();
    if std::env::var_os("TIDEWIRE_TEST_PAUSED").is_some() {
        server.pause().unwrap();
    }
    println!("told: {} {}", server.pid().unwrap(), server.log_path().display());
    if std::env::var_os("TIDEWIRE_TEST_EXITS").is_some() {
        // Nothing is dropped.
        std::process::exit(0);
    }
    loop {
        thread::park();
    }
}

/// Starts a parent, lets it end by `end`, and waits until nothing of its server is left.
fn gone_after(env: &[(&str, &str)], end: impl FnOnce(&mut Child)) {
    let (mut parent, told) = in_a_process("guard::parent", env);
    let (pid, log) = told.split_once(' ').unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let dir = PathBuf::from(log).parent().unwrap().to_owned();
    end(&mut parent);
    parent.wait().unwrap();
    until("the server is gone", || test_kill_process(pid).is_err());
    until("its guard is gone", || mentioning(&dir).is_empty());
    until("its folder is gone", || !fs::exists(&dir).unwrap());
}

#[test]
fn a_parent_that_is_killed_takes_the_server_with_it() {
    gone_after(&[], |parent| {
        assert!(parent.try_wait().unwrap().is_none());
        parent.kill().unwrap();
    });
}

#[test]
fn a_parent_that_is_killed_takes_a_paused_server_with_it() {
    gone_after(&[("TIDEWIRE_TEST_PAUSED", "1")], |parent| parent.kill().unwrap());
}

#[test]
fn a_parent_that_exits_without_dropping_takes_the_server_with_it() {
    gone_after(&[("TIDEWIRE_TEST_EXITS", "1")], |_| {});
}

#[test]
fn another_child_of_the_parent_does_not_keep_the_server_alive() {
    // It outlives the server, and would hold the pipe open if it had inherited it.
    let mut bystander = None;
    let server = Server::start().unwrap();
    bystander.replace(Command::new("sleep").arg("60").spawn().unwrap());
    let dir = server.log_path().parent().unwrap().to_owned();
    drop(server);
    until("nothing is left", || mentioning(&dir).is_empty());
    let mut bystander = bystander.unwrap();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

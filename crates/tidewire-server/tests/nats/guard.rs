//! The server ends with its parent, however the parent ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Waits for a condition, at most a minute.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "not in 60 s: {what}");
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

/// Starts a role of `examples/test_role.rs` in a process of its own and returns it with the line that it prints.
pub(crate) fn in_a_process(role: &str, env: &[(&str, &str)]) -> (Child, String) {
    // Cargo builds examples beside the tests: `deps/nats-…` and `examples/test_role`.
    let deps = std::env::current_exe().unwrap();
    let program = deps
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/test_role");
    let mut child = Command::new(&program)
        .arg(role)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let told = line.trim_end().strip_prefix("told: ").map(str::to_owned);
    (child, told.unwrap_or_else(|| panic!("{role} said {line:?}")))
}

/// Starts a parent, lets it end by `end`, and waits until nothing of its server is left.
fn gone_after(env: &[(&str, &str)], end: impl FnOnce(&mut Child)) {
    let (mut parent, told) = in_a_process("parent", env);
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
fn another_child_that_outlives_the_parent_does_not_keep_the_server_alive() {
    // It would hold the guard's pipe open if it had inherited it.
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("bystander");
    let mut bystander = None;
    gone_after(&[("TIDEWIRE_TEST_BYSTANDER", told.to_str().unwrap())], |parent| {
        bystander = Pid::from_raw(fs::read_to_string(&told).unwrap().parse().unwrap());
        parent.kill().unwrap();
    });
    kill_process(bystander.unwrap(), Signal::KILL).expect("it lives longer than the server");
}

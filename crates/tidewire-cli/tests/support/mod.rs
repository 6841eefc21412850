//! A demo as a child process, and what it prints.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The longest that anything here may take: a demo of ten seconds takes more than a minute where ten others want the
/// processor too.
const BOUND: Duration = Duration::from_secs(240);

/// A running demo; killed where a test ends before it.
pub(crate) struct Demo {
    child: Child,
    lines: Receiver<String>,
    /// What it has printed so far.
    output: String,
    errors: Option<JoinHandle<String>>,
}

/// A demo that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Demo {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    pub(crate) fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidewire"))
            .arg("demo")
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if tell.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            child,
            lines,
            output: String::new(),
            errors: Some(errors),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads on until a line has `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + BOUND;
        while self.line(deadline).is_some_and(|line| !line.contains(text)) {}
        assert!(
            self.output.contains(text),
            "it never said {text:?}:\n{}",
            self.output
        );
    }

    /// Reads to the end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + BOUND;
        while self.line(deadline).is_some() {}
        let status = self.child.wait().unwrap();
        Ended {
            code: status.code(),
            output: std::mem::take(&mut self.output),
            errors: self.errors.take().unwrap().join().unwrap(),
        }
    }

    /// The next line, `None` at the end.
    fn line(&mut self, deadline: Instant) -> Option<String> {
        match self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(line) => {
                self.output.push_str(&line);
                self.output.push('\n');
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("not over after {BOUND:?}:\n{}", self.output),
        }
    }

    /// The services' processes, as the demo's first lines name them.
    fn processes(&self) -> Vec<(&str, u32)> {
        // They stand on two lines, the second of which ends without a comma.
        let (_, after) = self.output.split_once("processes").unwrap();
        let named = after
            .lines()
            .take(2)
            .flat_map(|line| line.split(','))
            .map(str::trim);
        let named = named.filter(|process| !process.is_empty()).map(|process| {
            let (name, pid) = process.rsplit_once(' ').unwrap();
            (name, pid.parse().unwrap())
        });
        named.collect()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes().into_iter().map(|(_, pid)| pid).collect()
    }

    pub(crate) fn pid_of(&self, name: &str) -> u32 {
        let processes = self.processes();
        processes.iter().find(|(found, _)| *found == name).unwrap().1
    }

    /// The server's address, `host:port`.
    pub(crate) fn server(&self) -> String {
        let url = row(&self.output, "server").split(',').next().unwrap();
        url.strip_prefix("nats://").unwrap().to_owned()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        row(&self.output, "logs").into()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    pub(crate) fn has(&self, text: &str) {
        assert!(
            self.output.contains(text),
            "no {text:?} in:\n{}\n{}",
            self.output,
            self.errors
        );
    }

    pub(crate) fn folder(&self) -> PathBuf {
        row(&self.output, "logs").into()
    }

    /// The line that has `text`.
    pub(crate) fn line(&self, text: &str) -> &str {
        let found = self.output.lines().find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("no {text:?} in:\n{}", self.output))
    }
}

/// What stands behind a word of the first lines.
fn row<'a>(output: &'a str, word: &str) -> &'a str {
    let found = output
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(word));
    found
        .unwrap_or_else(|| panic!("no line {word:?} in:\n{output}"))
        .trim()
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    kill_process(id(pid), signal).unwrap();
}

/// Whether a process runs: not where it is gone, nor where it only waits for a parent that asks how it ended.
pub(crate) fn is_running(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => cfg!(not(target_os = "linux")) && test_kill_process(id(pid)).is_ok(),
    }
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

pub(crate) fn is_listening(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

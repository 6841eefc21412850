//! The book's blocks of commands, as a reader runs them: on a real server, with the service of its first page as a process.
//!
//! What is printed must be what the page shows, but for times, identities and the names of instances and machines. A `…`
//! stands for lines, or the rest of a line, that the page leaves out.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidewire_book::{Block, Page};
use tidewire_server::Server;
use tokio::time::sleep;

use crate::run::{ended, on};

/// How long the service and what it stores may take.
const BOUND: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_first_page_prints_what_it_shows() {
    walk("getting-started.md").await;
}

#[tokio::test]
async fn the_page_of_failures_prints_what_it_shows() {
    walk("failures.md").await;
}

async fn walk(name: &str) {
    let page = Page::all()
        .unwrap()
        .into_iter()
        .find(|page| page.name == name)
        .unwrap();
    let mut walk = Walk {
        server: Server::start().unwrap(),
        folder: tempfile::tempdir().unwrap(),
        service: None,
        log_read: 0,
        known: HashMap::new(),
    };
    for block in page.blocks() {
        walk.block(&block).await;
    }
}

/// A reader on the way through a page.
struct Walk {
    server: Server,
    /// Where the reader's files are, and what the service prints.
    folder: TempDir,
    service: Option<Service>,
    /// How many lines of the service's output the page has shown.
    log_read: usize,
    /// What this run calls what the page names.
    known: HashMap<String, String>,
}

/// A service that ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Walk {
    async fn block(&mut self, block: &Block) {
        match block.note.as_deref() {
            Some("the service prints") => self.service_prints(&block.lines, &block.place).await,
            Some(note) if note.starts_with("the file ") => {
                let file = self.folder.path().join(note.trim_start_matches("the file "));
                fs::write(file, block.lines.join("\n")).unwrap();
            }
            Some("the service is stopped") => {
                self.stop().await;
                self.commands(block).await;
            }
            _ if block.language == "console" => self.commands(block).await,
            _ => {}
        }
    }

    /// A service runs a moment before its manifest is where the command looks for it.
    async fn manifest_is_there(&self) {
        let deadline = Instant::now() + BOUND;
        loop {
            let ran = ended(on(&self.server, &["manifest", "show"])).await;
            if ran.code == Some(0) && !ran.stdout.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{ran:?}");
        }
    }

    async fn commands(&mut self, block: &Block) {
        let mut lines = block.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let command = line
                .strip_prefix("$ ")
                .unwrap_or_else(|| panic!("{}: no command: {line}", block.place));
            let mut shown = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                shown.push(line.clone());
            }
            let words = shlex::split(command).unwrap();
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                // It does not end by itself, and has a test of its own.
                ["tidewire", "server", "run"] => {}
                ["tidewire", ref args @ ..] => self.tidewire(args, &shown, block).await,
                ["cargo", "run"] => {
                    self.start();
                    self.service_prints(&shown, &block.place).await;
                    self.manifest_is_there().await;
                }
                ["git" | "cargo" | "cd", ..] => {}
                _ => panic!("{}: nobody runs `{command}`", block.place),
            }
        }
    }

    async fn tidewire(&mut self, args: &[&str], shown: &[String], block: &Block) {
        let args: Vec<_> = args
            .iter()
            .map(|arg| self.known.get(*arg).map_or(*arg, |own| own))
            .collect();
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        // What only looks may look again: what it waits for is on its way.
        let only_looks = matches!(args[..2], ["dlq", "ls" | "show"] | ["explain" | "tail", _]);
        let deadline = Instant::now() + BOUND;
        loop {
            let mut command = on(&self.server, &args);
            command.current_dir(self.folder.path()).env("USER", "ana");
            let ran = ended(command).await;
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            let printed = printed.replace(&format!("@{} ", host()), "@laptop ");
            let printed: Vec<_> = printed.lines().collect();
            match self.compare(shown, &printed) {
                Ok(()) => return,
                Err(line) if !only_looks || Instant::now() > deadline => panic!(
                    "{}: `{line}` is not what `tidewire {}` prints:\n{}",
                    block.place,
                    args.join(" "),
                    printed.join("\n")
                ),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn start(&mut self) {
        let log = File::create(self.log()).unwrap();
        self.log_read = 0;
        let service = Command::new(service())
            .env("NATS_URL", self.server.url())
            .env("NO_COLOR", "1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.service = Some(Service(service));
    }

    /// Ends the service as Ctrl-C does.
    async fn stop(&mut self) {
        let mut service = self.service.take().unwrap();
        let pid = rustix::process::Pid::from_child(&service.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let deadline = Instant::now() + BOUND;
        while service.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it still runs");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn service_prints(&mut self, shown: &[String], place: &str) {
        let deadline = Instant::now() + BOUND;
        loop {
            let log = fs::read_to_string(self.log()).unwrap();
            let lines: Vec<_> = log.lines().skip(self.log_read).collect();
            match self.compare_beginning(shown, &lines) {
                Ok(read) => {
                    self.log_read += read;
                    return;
                }
                Err(line) if Instant::now() > deadline => {
                    panic!(
                        "{place}: the service does not print `{line}` but:\n{}",
                        lines.join("\n")
                    )
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    /// Whether all that was printed is what is shown.
    fn compare(&mut self, shown: &[String], printed: &[&str]) -> Result<(), String> {
        let read = self.compare_beginning(shown, printed)?;
        let all = read == printed.len() || shown.last().is_some_and(|line| line == "…");
        if all {
            Ok(())
        } else {
            Err(printed[read].to_owned())
        }
    }

    /// How many of the printed lines it takes to have all that is shown; else the first line that is not there.
    fn compare_beginning(&mut self, shown: &[String], printed: &[&str]) -> Result<usize, String> {
        let (mut at, mut skips) = (0, false);
        for line in shown {
            if line == "…" {
                skips = true;
                continue;
            }
            let rest = &printed[at..];
            let tried = if skips { rest.len() } else { rest.len().min(1) };
            let found = (0..tried).find(|&index| self.same(line, rest[index]));
            at += found.ok_or(line)? + 1;
            skips = false;
        }
        Ok(at)
    }

    /// Whether two lines differ only in what differs from run to run.
    fn same(&mut self, shown: &str, printed: &str) -> bool {
        let (shown, rest_is_left_out) = match shown.strip_suffix('…') {
            Some(beginning) => (words(beginning), true),
            None => (words(shown), false),
        };
        let mut printed = words(printed);
        if rest_is_left_out {
            printed.truncate(shown.len());
            if let (Some(last), Some(whole)) = (shown.last(), printed.last_mut()) {
                *whole = whole.get(..last.len()).unwrap_or(whole);
            }
        }
        if shown.len() != printed.len() {
            return false;
        }
        let mut learnt = Vec::new();
        for (shown, printed) in shown.iter().zip(&printed) {
            if shown == printed
                || (is_time(shown) && is_time(printed))
                || (is_message(shown) && is_message(printed))
            {
                continue;
            }
            if !(is_name(shown) && is_name(printed))
                || self.known.get(*shown).is_some_and(|own| own != printed)
            {
                return false;
            }
            learnt.push(((*shown).to_owned(), (*printed).to_owned()));
        }
        self.known.extend(learnt);
        true
    }
}

/// Runs of letters and digits, and whatever is between them; a time is one word.
fn words(line: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_:.-".contains(c);
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
    words
}

fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' && word.starts_with("20")
}

fn is_message(word: &str) -> bool {
    word.len() == 30 && ["evt_", "cmd_", "rpl_"].iter().any(|kind| word.starts_with(kind))
}

/// The id of a letter or of an instance.
fn is_name(word: &str) -> bool {
    [22, 26].contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The service of the first page, as `cargo test` built it with the other examples of this package.
fn service() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("examples/cafe");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/cafe.rs");
    let modified = |path: &std::path::Path| fs::metadata(path).and_then(|found| found.modified());
    let is_new = modified(&binary).is_ok_and(|built| built >= modified(source.as_ref()).unwrap());
    assert!(
        is_new,
        "first run `cargo build -p tidewire-cli --examples`: `--test verbs` alone builds none"
    );
    binary
}

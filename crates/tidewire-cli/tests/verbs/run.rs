//! The command as a child process, and what it printed in a form that is the same each time.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use tidewire_server::Server;
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{sleep, timeout},
};

/// The longest that one run may take.
const BOUND: Duration = Duration::from_secs(60);

/// The longest that a service may take to get there: a client that a malformed header killed is made anew meanwhile.
const THERE_WITHIN: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub(crate) async fn within(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + THERE_WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {THERE_WITHIN:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The first run that `is_whole`, or else the last: where an answer came late it is made again.
pub(crate) async fn whole(is_whole: impl Fn(&Ran) -> bool, mut run: impl AsyncFnMut() -> Ran) -> Ran {
    let deadline = Instant::now() + THERE_WITHIN;
    loop {
        let ran = run().await;
        if is_whole(&ran) || Instant::now() > deadline {
            return ran;
        }
    }
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    args: Vec<String>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, as if nothing of NATS were set up on this machine.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NATS_") {
            command.env_remove(name);
        }
    }
    command
        .args(args)
        .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The command on this server.
pub(crate) fn on(server: &Server, args: &[&str]) -> Command {
    let mut command = command(args);
    command.env("NATS_URL", server.url());
    command
}

pub(crate) async fn run(server: &Server, args: &[&str]) -> Ran {
    ended(on(server, args)).await
}

pub(crate) async fn run_with_input(server: &Server, args: &[&str], input: &str) -> Ran {
    let mut command = on(server, args);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .await
        .unwrap();
    let output = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
    Ran::new(&command, output)
}

pub(crate) async fn ended(command: Command) -> Ran {
    ended_within(BOUND, command).await
}

pub(crate) async fn ended_within(bound: Duration, mut command: Command) -> Ran {
    let output = timeout(bound, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("not over after {bound:?}: {command:?}"));
    Ran::new(&command, output.unwrap())
}

impl Ran {
    fn new(command: &Command, output: std::process::Output) -> Self {
        let args: Vec<_> = command
            .as_std()
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        let args: Vec<_> = args.iter().map(|arg| &**arg).collect();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Self::of(&args, output.status.code(), stdout, stderr)
    }

    pub(crate) fn of(args: &[&str], code: Option<i32>, stdout: String, stderr: String) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self {
            args,
            code,
            stdout,
            stderr,
        }
    }

    /// All of it, without what differs from run to run; `also` are texts of this run and what stands for them.
    pub(crate) fn shown(&self, also: &[(&str, &str)]) -> String {
        let quoted = |arg: &String| {
            let quote = if arg.contains(|c: char| " {}\"*>|".contains(c)) {
                "'"
            } else {
                ""
            };
            format!("{quote}{arg}{quote}")
        };
        let args: Vec<_> = self.args.iter().map(quoted).collect();
        let code = self.code.map_or("none".into(), |code| code.to_string());
        let errors = match self.stderr.as_str() {
            "" => String::new(),
            errors => format!("--- standard error\n{errors}"),
        };
        let mut text = format!(
            "$ tidewire {}\n{}{errors}--- exit status {code}",
            args.join(" "),
            self.stdout
        );
        for (run, stands) in also {
            text = text.replace(run, stands);
        }
        // The numbers of errors differ from system to system.
        let mut parts = text.split("(os error ");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text += "(os error N";
            text += part.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        redacted(&text)
    }

    /// What was printed, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Each printed line as JSON.
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}")))
            .collect()
    }
}

/// The text with a word in place of every identity and every time.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = identity(rest) {
            out.push_str(&rest[..4]);
            out.push_str("ID");
            rest = &rest[length..];
        } else if let Some(length) = time(rest) {
            out.push_str("TIME");
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn identity(text: &str) -> Option<usize> {
    let known = ["evt_", "cmd_", "qry_", "rpl_"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    let digits = text.get(4..30)?;
    (known && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(30)
}

fn time(text: &str) -> Option<usize> {
    let shape = text.bytes().zip("0000-00-00T00:00:00".bytes());
    let fits = shape.clone().count() == 19
        && shape.clone().all(|(found, wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            _ => found == wanted,
        });
    let end = text.get(19..)?.find('Z')?;
    (fits && end < 10).then_some(19 + end + 1)
}

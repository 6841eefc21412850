//! An example prints what its header says; for the tests of each package that has examples.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// An example runs for less than half a second, unless it has to fetch a nats-server.
const LONGEST: Duration = Duration::from_secs(120);

pub(crate) fn prints_what_its_header_says(name: &str) {
    let source = folder().join(name).with_extension("rs");
    let said = output_in_header(name, &fs::read_to_string(&source).unwrap());
    assert_eq!(run(&binary(name, &source)), said);
}

/// What follows the command in the header, up to the end of its block.
fn output_in_header(name: &str, source: &str) -> String {
    let command = format!("//! $ cargo run --example {name}");
    // Behind it may be a feature that the example needs.
    let after = source
        .lines()
        .skip_while(|line| !line.starts_with(&command))
        .skip(1);
    let output = after.map_while(|line| line.strip_prefix("//! ").filter(|line| *line != "```"));
    let output: String = output.flat_map(|line| [line, "\n"]).collect();
    assert!(!output.is_empty(), "no output behind `{command}` in the header");
    output
}

/// The example as `cargo test` built it, which builds all examples of a package before it runs the package's tests.
fn binary(name: &str, source: &Path) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let binary = profile
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    let is_new = modified(&binary).is_ok_and(|built| built >= modified(source).unwrap());
    assert!(
        is_new,
        "first run `cargo build --examples` for this package: `--test examples` alone builds none"
    );
    binary
}

/// What the program prints; it must end well and in time.
fn run(binary: &Path) -> String {
    let mut program = Command::new(binary).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + LONGEST;
    let status = loop {
        match program.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            None => {
                program.kill().unwrap();
                panic!("it still runs after {LONGEST:?}");
            }
        }
    };
    let mut printed = String::new();
    program.stdout.unwrap().read_to_string(&mut printed).unwrap();
    assert!(
        status.success(),
        "it ended with {status} after printing\n{printed}"
    );
    printed
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

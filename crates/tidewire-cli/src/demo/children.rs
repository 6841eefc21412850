//! The services of the shop as processes: this program itself, with its hidden verb.

use std::{
    env, fs,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{ChildStdin, Command},
    sync::mpsc::UnboundedSender,
    task::JoinSet,
    time::timeout,
};

use super::{
    args::ShopService,
    breakers::{self, News},
    error::DemoError,
    folder::Folder,
};

/// Who plays; payments twice, so that one sees them share the work.
pub(super) const CAST: [ShopService; 5] = [
    ShopService::Orders,
    ShopService::Inventory,
    ShopService::Payments,
    ShopService::Payments,
    ShopService::Notifications,
];

/// How long all of them may take to stop: a little more than a service's grace period.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// How many lines of a log an error shows.
const SHOWN: usize = 20;

/// The processes that run.
#[derive(Debug)]
pub(super) struct Children {
    alive: Vec<Child>,
    /// One task for each, which ends with it; dropped, it kills it.
    waiting: JoinSet<(u32, std::io::Result<ExitStatus>)>,
}

/// One process.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) service: ShopService,
    pub(super) name: String,
    pub(super) pid: u32,
    log: PathBuf,
    /// Ends when this program does, however it ends; the child ends with it.
    _stdin: Option<ChildStdin>,
}

/// A process that has ended.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) child: Child,
    status: Option<ExitStatus>,
}

impl Children {
    pub(super) fn start(url: &str, folder: &Folder, news: &UnboundedSender<News>) -> Result<Self, DemoError> {
        let mut children = Self {
            alive: Vec::new(),
            waiting: JoinSet::new(),
        };
        for service in CAST {
            children.spawn(service, url, folder, news)?;
        }
        Ok(children)
    }

    fn spawn(
        &mut self,
        service: ShopService,
        url: &str,
        folder: &Folder,
        news: &UnboundedSender<News>,
    ) -> Result<(), DemoError> {
        let name = match self.of(service).count() {
            0 if CAST.iter().filter(|other| **other == service).count() == 1 => service.name().to_owned(),
            before => format!("{}-{}", service.name(), before + 1),
        };
        let path = folder.log(&name);
        let failed = |error| DemoError::system(format!("start {name}"), error);
        let log = fs::File::create(&path).map_err(failed)?;
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command
            .args(["shop-service", service.name()])
            .env("NATS_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        // A group of its own: Ctrl-C is for this program, which lets orders come to their end first.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        if let Some(stdout) = child.stdout.take() {
            breakers::listen(name.clone(), stdout, news.clone());
        }
        self.alive.push(Child {
            service,
            name: name.clone(),
            pid,
            log: path,
            _stdin: child.stdin.take(),
        });
        self.waiting.spawn(async move { (pid, child.wait().await) });
        Ok(())
    }

    pub(super) fn alive(&self) -> &[Child] {
        &self.alive
    }

    pub(super) fn of(&self, service: ShopService) -> impl Iterator<Item = &Child> {
        self.alive.iter().filter(move |child| child.service == service)
    }

    /// Returns when the next one ends; never where none is left. It may be dropped and called again.
    pub(super) async fn death(&mut self) -> Death {
        loop {
            match self.waiting.join_next().await {
                Some(Ok((pid, status))) => {
                    if let Some(index) = self.alive.iter().position(|child| child.pid == pid) {
                        let child = self.alive.remove(index);
                        return Death {
                            child,
                            status: status.ok(),
                        };
                    }
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Asks all of them to stop, and waits until they have, in good order.
    pub(super) async fn stop(mut self) -> Result<(), DemoError> {
        for child in &mut self.alive {
            child.ask_to_stop();
        }
        let stopped = timeout(STOPPED_WITHIN, async {
            while !self.alive.is_empty() {
                let death = self.death().await;
                if !death.in_good_order() {
                    return Err(death.bad_end());
                }
            }
            Ok(())
        });
        let done = stopped.await;
        done.unwrap_or_else(|_| match self.alive.into_iter().next() {
            Some(child) => Err(DemoError::BadEnd {
                tail: child.log_tail(),
                how: format!("it still ran after {STOPPED_WITHIN:?}"),
                name: child.name,
                log: child.log,
            }),
            None => Ok(()),
        })
    }
}

impl Child {
    /// SIGTERM; where there is none, the end of standard input.
    fn ask_to_stop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // One that has just ended cannot be asked any more, and is reported by `death`.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        #[cfg(not(unix))]
        drop(self._stdin.take());
    }

    fn log_tail(&self) -> String {
        let log = match fs::read(&self.log) {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(error) => return format!("(it cannot be read: {error})"),
        };
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

impl Death {
    /// What became of it, such as `signal: 9 (SIGKILL)`.
    pub(super) fn how(&self) -> String {
        self.status
            .map_or_else(|| "for an unknown reason".into(), |status| status.to_string())
    }

    /// Whether somebody killed it: then it is not at fault itself.
    pub(super) fn was_killed(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt as _;
            self.status.and_then(|status| status.signal()) == Some(9)
        }
        #[cfg(not(unix))]
        false
    }

    fn in_good_order(&self) -> bool {
        self.status.is_some_and(|status| status.success()) || cfg!(not(unix))
    }

    pub(super) fn into_error(self) -> DemoError {
        DemoError::Died {
            how: self.how(),
            tail: self.child.log_tail(),
            name: self.child.name,
            log: self.child.log,
        }
    }

    fn bad_end(self) -> DemoError {
        DemoError::BadEnd {
            how: self.how(),
            tail: self.child.log_tail(),
            name: self.child.name,
            log: self.child.log,
        }
    }
}

//! Where there is no `sh` and there are no signals: the server is a plain child, and outlives a killed parent.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::deadline::Deadline;

/// A running server; dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    server: Child,
}

impl Process {
    pub(crate) fn spawn(binary: &Path, config: &Path, log: File, _temporary: &Path) -> io::Result<Self> {
        let server = Command::new(binary)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { server })
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(None))
    }

    pub(crate) fn terminate(&mut self, _deadline: Deadline) -> io::Result<()> {
        self.kill()
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.server.kill()?;
        self.server.wait().map(drop)
    }

    pub(crate) fn pause(&mut self) -> io::Result<()> {
        let _ = self;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn resume(&mut self) -> io::Result<()> {
        let _ = self;
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

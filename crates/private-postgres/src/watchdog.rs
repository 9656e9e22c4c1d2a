//! A small process that removes a server when this process ends, even if it is killed.
//!
//! It reads from a pipe that only this process can write to. Nothing is ever written: the read returns when the kernel
//! closes the write end, however the process ends. (The alternative, `PR_SET_PDEATHSIG`, is bound to the thread that
//! started the server, and test threads end early.)

use crate::error::{Doing, Error};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Stops the server and removes its directories when dropped, or when this process ends.
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Watches the server with this data directory. If this process runs as root, so does the watchdog, so that it can
    /// remove everything.
    pub(crate) fn start(home: &Path, data: &Path) -> Result<Self, Error> {
        let shell = Command::new("/bin/sh")
            .args(["-c", include_str!("watchdog.sh"), "private-postgres-watchdog"])
            .args([home, data])
            .current_dir("/")
            // Ctrl-C in a terminal goes to the whole process group of the tests.
            .process_group(0)
            // std opens our end of the pipe with CLOEXEC, so that no other child keeps it open.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(|| "start the watchdog with /bin/sh".into())?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

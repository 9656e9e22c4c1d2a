//! A progress line on the terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

/// The interval between updates.
const EVERY: Duration = Duration::from_millis(100);

/// Shows progress if standard error is a terminal; otherwise does nothing.
pub(crate) struct Progress {
    is_watched: bool,
    told: Mutex<Option<Instant>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_watched: io::stderr().is_terminal(), told: Mutex::new(None) }
    }

    /// Shows that `done` of `of` units are done.
    pub(crate) fn tell(&self, what: &str, done: u64, of: u64) {
        let Ok(mut told) = self.told.lock() else { return };
        let is_due = told.is_none_or(|at| at.elapsed() >= EVERY) || done >= of;
        if self.is_watched && is_due {
            let percent = (done * 100).checked_div(of).unwrap_or(100);
            // Progress is optional: write errors are ignored.
            _ = write!(io::stderr(), "\r\x1b[K{what}: {done} of {of} ({percent} %)");
            *told = Some(Instant::now());
        }
    }
}

/// Ends the progress line.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.lock().is_ok_and(|told| told.is_some()) {
            eprintln!();
        }
    }
}

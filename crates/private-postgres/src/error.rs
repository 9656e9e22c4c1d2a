//! Errors of private servers, and how to fix them.

use std::path::PathBuf;
use std::{fmt, io};

/// The oldest supported major version of PostgreSQL.
pub(crate) const OLDEST_VERSION: u32 = 15;

/// Why a private server could not be started, used or stopped.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No PostgreSQL server of a sufficient version is installed.
    #[error(
        "no PostgreSQL {} or newer in {looked}: run `make setup`, which installs Debian's `postgresql` package, \
         or set PORTTASK_PG_BIN to the directory that contains `postgres` and `initdb`",
        OLDEST_VERSION
    )]
    NoServerPrograms {
        /// The places that were searched.
        looked: String,
    },
    /// `PORTTASK_PG_BIN` names a directory without usable programs.
    #[error(
        "PORTTASK_PG_BIN is {bin:?}, which does not contain `postgres` {} or newer and `initdb`: correct it, or unset \
         it and run `make setup`",
        OLDEST_VERSION
    )]
    UnusableDirectory {
        /// The value of the variable.
        bin: PathBuf,
    },
    /// The process runs as root and there is no account to run PostgreSQL as.
    #[error("PostgreSQL refuses to run as root, and /etc/passwd has neither `postgres` nor `nobody`: add one of them")]
    NoAccount,
    /// A program of PostgreSQL ran and failed.
    #[error("`{program}` failed: {output}")]
    Program {
        /// The program's name.
        program: String,
        /// Its standard error, and a hint if there is one.
        output: String,
    },
    /// The server exited, or did not accept connections in time.
    #[error("the PostgreSQL server {what}; its log ends with:\n{log}")]
    NotRunning {
        /// What the server did, or failed to do.
        what: String,
        /// The last lines of the log since this start.
        log: String,
    },
    /// The operating system refused something.
    #[error("cannot {doing}: {cause}")]
    System {
        /// What was attempted.
        doing: String,
        /// The system's error.
        cause: io::Error,
    },
}

/// The same text as `Display`: tests print errors with `unwrap`, and the hints must be readable there, too.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Adds what was attempted to a system error.
pub(crate) trait Doing<T> {
    /// Converts the system's error into [`Error::System`].
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|cause| Error::System { doing: what(), cause: cause.into() })
    }
}

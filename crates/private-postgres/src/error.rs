//! What can go wrong with a private server, and what to do about it.

use std::path::PathBuf;
use std::{fmt, io};

/// Why a private server could not be started, used or stopped.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No PostgreSQL server of a sufficient version is installed.
    #[error(
        "no PostgreSQL {} or newer in {looked}: run `make setup`, which installs Debian's `postgresql` package, \
         or set PORTTASK_PG_BIN to the directory that holds `postgres` and `initdb`",
        crate::programs::OLDEST_VERSION
    )]
    NoServerPrograms {
        /// The places that were searched.
        looked: String,
    },
    /// `PORTTASK_PG_BIN` names a directory without usable programs.
    #[error(
        "PORTTASK_PG_BIN is {bin:?}, which holds no `postgres` {} or newer with its `initdb`: correct it, or unset it \
         and run `make setup`",
        crate::programs::OLDEST_VERSION
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
        /// What it printed on standard error, and a hint where there is one.
        output: String,
    },
    /// The server exited, or accepted no connections in time.
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
        /// The system's answer.
        cause: io::Error,
    },
}

/// The same text as `Display`: tests print errors with `unwrap`, and the advice has to be readable there too.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Says what was attempted when the system refuses it.
pub(crate) trait Doing<T> {
    /// Turns the system's error into [`Error::System`].
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|cause| Error::System { doing: what(), cause: cause.into() })
    }
}

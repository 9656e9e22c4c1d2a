//! The data directory and the directory of its socket and log: created, configured, and removed with the server.

use crate::account::Account;
use crate::error::{Doing, Error};
use crate::programs::Programs;
use crate::{Options, SUPERUSER};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The path of a socket is limited to 107 bytes, and ours adds up to 45 to that of the temporary directory.
const LONGEST_TEMPORARY_DIRECTORY_BYTES: usize = 60;

/// Durability stays at PostgreSQL's defaults (`fsync`, `synchronous_commit`): benchmarks measure durable commits.
const SETTINGS: [(&str, &str); 3] = [("shared_buffers", "256MB"), ("max_connections", "400"), ("max_wal_size", "4GB")];

/// The directories of one server.
pub(crate) struct Cluster {
    home: TempDir,
    data: PathBuf,
    /// Set if the data is elsewhere; held because dropping it removes the directory.
    _elsewhere: Option<TempDir>,
}

impl Cluster {
    /// Creates the empty directories, owned by the account.
    pub(crate) fn create(account: &Account, data_parent: Option<&Path>) -> Result<Self, Error> {
        let mut temporary = std::env::temp_dir();
        if temporary.as_os_str().len() > LONGEST_TEMPORARY_DIRECTORY_BYTES {
            temporary = PathBuf::from("/tmp");
        }
        let home = directory_in(&temporary, account)?;
        let elsewhere = data_parent.map(|parent| directory_in(parent, account)).transpose()?;
        let data = elsewhere.as_ref().map_or_else(|| home.path().join("data"), |directory| directory.path().into());
        Ok(Self { home, data, _elsewhere: elsewhere })
    }

    /// Initializes the data directory and configures it.
    pub(crate) fn initialise(&self, programs: &Programs, account: &Account, options: &Options) -> Result<(), Error> {
        self.initdb(programs, account, options.password.as_deref())?;
        if let Some((certificate, key)) = &options.tls {
            self.write_private("server.crt", certificate, account)?;
            self.write_private("server.key", key, account)?;
        }
        let ours = SETTINGS.into_iter().chain(options.tls.is_some().then_some(("ssl", "on")));
        let extra = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // If a setting is repeated, PostgreSQL uses the last line.
        let lines: String = ours.chain(extra).map(|(name, value)| setting_line(name, value)).collect();
        let path = self.data.join("postgresql.conf");
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.as_bytes())).doing(|| format!("write to {path:?}"))
    }

    fn initdb(&self, programs: &Programs, account: &Account, password: Option<&str>) -> Result<(), Error> {
        let password_file = self.home.path().join("password");
        if let Some(password) = password {
            write_private(&password_file, password, account)?;
        }
        let run = |locale: &str| {
            let mut command = account.command(programs.path("initdb"));
            command.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--username", SUPERUSER, "--locale", locale]);
            command.arg("--pgdata").arg(&self.data).current_dir(self.home.path());
            if password.is_some() {
                command.arg("--auth-host=scram-sha-256").arg("--pwfile").arg(&password_file);
            }
            account.output(&mut command).map(drop)
        };
        let result = match run("C.UTF-8") {
            Err(Error::Program { output, .. }) if output.contains("locale") => run("C"),
            result => result,
        };
        let _ = fs::remove_file(&password_file);
        result.map_err(|error| self.with_hint(error, account))
    }

    /// Root's temporary directory is often inaccessible to other accounts, so that the programs cannot start in it.
    fn with_hint(&self, error: Error, account: &Account) -> Error {
        let Some(name) = account.other_name().filter(|_| error.to_string().contains("ermission denied")) else {
            return error;
        };
        let parents: Vec<_> = [self.home.path(), &self.data].into_iter().filter_map(Path::parent).collect();
        let hint = format!("the account {name} must be able to enter {parents:?} (TMPDIR chooses the first)");
        match error {
            Error::Program { program, output } => Error::Program { program, output: format!("{output}; {hint}") },
            error => Error::Program { program: "initdb".into(), output: format!("{error}; {hint}") },
        }
    }

    fn write_private(&self, name: &str, content: &str, account: &Account) -> Result<(), Error> {
        write_private(&self.data.join(name), content, account)
    }

    /// The directory with the socket and the log.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Opens the log for the server to append to. It is never stored with the data, so that it can report a full disk.
    pub(crate) fn open_log(&self) -> Result<File, Error> {
        let path = self.log_path();
        OpenOptions::new().create(true).append(true).open(&path).doing(|| format!("open {path:?}"))
    }

    /// The last lines of the log after a byte offset.
    pub(crate) fn log_since(&self, offset: u64) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let new = log.get(usize::try_from(offset).unwrap_or(0)..).unwrap_or_default();
        let text = String::from_utf8_lossy(new);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

fn directory_in(parent: &Path, account: &Account) -> Result<TempDir, Error> {
    // PostgreSQL and the watchdog have other working directories, so the path must be absolute.
    let parent = parent.canonicalize().doing(|| format!("find the directory {parent:?}"))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix("private-postgres-").permissions(Permissions::from_mode(0o700));
    let directory = builder.tempdir_in(&parent);
    let directory = directory.doing(|| format!("create a directory in {parent:?}"))?;
    account.give(directory.path())?;
    Ok(directory)
}

/// PostgreSQL rejects a key that others can read.
fn write_private(path: &Path, content: &str, account: &Account) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).doing(|| format!("write {path:?}"))?;
    account.give(path)
}

fn setting_line(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_quoted() {
        assert_eq!(setting_line("search_path", r"'a'\b"), "search_path = '''a''\\\\b'\n");
    }
}

//! The account that the server's programs run as.

use crate::error::{Doing, Error};
use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// The account that runs PostgreSQL: another one if this process runs as root, otherwise its own.
pub(crate) struct Account {
    other: Option<Ids>,
}

#[derive(Debug, PartialEq)]
struct Ids {
    name: String,
    user: u32,
    group: u32,
}

impl Account {
    /// For root, `postgres` or else `nobody`; otherwise the caller's own account.
    pub(crate) fn for_server() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let passwd = fs::read_to_string("/etc/passwd").doing(|| "read /etc/passwd".into())?;
        let other = ["postgres", "nobody"].into_iter().find_map(|name| look_up(&passwd, name));
        other.map(|ids| Self { other: Some(ids) }).ok_or(Error::NoAccount)
    }

    /// A command that runs as this account, without input, and without the caller's `PG…` variables and locale.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if let Some(ids) = &self.other {
            command.uid(ids.user).gid(ids.group);
        }
        command
    }

    /// Runs a command to completion and returns its standard output.
    pub(crate) fn output(&self, command: &mut Command) -> Result<String, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.output().doing(|| format!("run {program}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Program { program, output: format!("{} ({})", said.trim(), output.status) })
    }

    /// Makes this account the owner of a file or directory.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        let Some(ids) = &self.other else { return Ok(()) };
        chown(path, Some(ids.user), Some(ids.group)).doing(|| format!("change the owner of {path:?} to {}", ids.name))
    }

    /// The name of the account, if it is not the caller's.
    pub(crate) fn other_name(&self) -> Option<&str> {
        self.other.as_ref().map(|ids| ids.name.as_str())
    }
}

/// Parses `name:password:uid:gid:…`.
fn look_up(passwd: &str, name: &str) -> Option<Ids> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // PostgreSQL refuses to run with user id 0, whatever its name.
        (user != 0).then(|| Ids { name: name.into(), user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npostgresql:x:9:9::/:/bin/sh\npostgres:x:104:112:,,,:/var:/bin/sh\n";
        let postgres = Ids { name: "postgres".into(), user: 104, group: 112 };
        assert_eq!(look_up(passwd, "postgres"), Some(postgres));
        assert_eq!(look_up(passwd, "nobody"), None);
        assert_eq!(look_up(passwd, "root"), None);
    }
}

//! Finds the PostgreSQL server programs.

use crate::error::{Error, OLDEST_VERSION};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The parent of the directories that Debian installs for each major version.
const DEBIAN_DIRECTORY: &str = "/usr/lib/postgresql";

/// A directory with `postgres` and `initdb`.
pub(crate) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// `$PORTTASK_PG_BIN` if set; otherwise Debian's newest version, that of `pg_config`, or the first on `PATH`.
    pub(crate) fn find() -> Result<Self, Error> {
        if let Some(bin) = env::var_os("PORTTASK_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from) {
            // An unusable directory is an error: the caller wants to test with a specific version.
            return if is_usable(&bin) { Ok(Self { bin }) } else { Err(Error::UnusableDirectory { bin }) };
        }
        newest_in(Path::new(DEBIAN_DIRECTORY))
            .or_else(|| configured().filter(|bin| is_usable(bin)))
            .or_else(|| env::split_paths(&env::var_os("PATH")?).find(|bin| is_usable(bin)))
            .map(|bin| Self { bin })
            .ok_or_else(|| Error::NoServerPrograms {
                looked: format!("{DEBIAN_DIRECTORY}/*/bin, `pg_config --bindir` and PATH"),
            })
    }

    /// The path of a server program.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// `psql`: next to the server if it is there, otherwise on `PATH`; some systems package the client separately.
    pub(crate) fn psql(&self) -> PathBuf {
        let own = self.path("psql");
        if own.is_file() { own } else { PathBuf::from("psql") }
    }
}

fn newest_in(directory: &Path) -> Option<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|version| *version >= OLDEST_VERSION)
        .collect();
    versions.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
    versions.into_iter().map(|version| directory.join(version.to_string()).join("bin")).find(|bin| is_usable(bin))
}

fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end()))
}

fn is_usable(bin: &Path) -> bool {
    bin.join("initdb").is_file() && major_version(bin).is_some_and(|version| version >= OLDEST_VERSION)
}

/// The number in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    // Also `18beta1`.
    number.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn install(directory: &Path, version: &str) {
        let bin = directory.join(version).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}.3 (Debian)'\n");
            fs::write(bin.join(program), script).unwrap();
            fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn the_newest_complete_version_is_taken_by_number() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17"] {
            install(directory.path(), version);
        }
        // Only the client of 18 is installed.
        fs::create_dir_all(directory.path().join("18/bin")).unwrap();
        assert_eq!(newest_in(directory.path()), Some(directory.path().join("17/bin")));
    }

    #[test]
    fn an_old_version_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        install(directory.path(), "14");
        assert_eq!(newest_in(directory.path()), None);
        assert!(!is_usable(&directory.path().join("14/bin")));
    }

    #[test]
    fn the_error_says_to_run_make_setup() {
        let error = Error::NoServerPrograms { looked: "nowhere".into() };
        assert!(error.to_string().contains("run `make setup`"), "{error}");
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}

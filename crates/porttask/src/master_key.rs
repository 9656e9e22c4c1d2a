//! The master key: given by whoever runs the service, or made once beside the embedded log.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use porttask_infra::log::Storage;
use porttask_runtime::vault::{MasterKey, MasterKeys};

use crate::{cli::Error, storage::StorageArgs};

const VARIABLE: &str = "PORTTASK_MASTER_KEY";
const FILE: &str = "master.key";
/// A key that was made and may not be in force yet.
const NEW_FILE: &str = "master.key.new";

/// The master keys, and where a key that was just made must be kept once it is in force.
pub(crate) struct Given {
    pub(crate) keys: MasterKeys,
    made: Option<PathBuf>,
}

impl Given {
    /// As it was given, or for an embedded log from its folder, where one is made if there is none.
    pub(crate) fn find(arguments: &StorageArgs) -> Result<Self, Error> {
        match (arguments.master_key()?, arguments.storage()?) {
            (Some(text), _) => Ok(Self { keys: parse(&text)?, made: None }),
            (None, Storage::Sqlite(directory)) => Self::beside(&directory),
            (None, Storage::Postgres(_)) => Err(format!(
                "with DATABASE_URL, {VARIABLE} or {VARIABLE}_FILE must be set: 32 random bytes in base64, as \
                 `openssl rand -base64 32` makes them; keep them apart from the database"
            )
            .into()),
        }
    }

    fn beside(directory: &Path) -> Result<Self, Error> {
        let (file, new) = (directory.join(FILE), directory.join(NEW_FILE));
        if file.exists() {
            let mode = fs::metadata(&file)?.permissions().mode();
            if mode & 0o077 != 0 {
                let place = file.display();
                return Err(
                    format!("{place} can be read by others (mode {:o}): chmod 600 {place}", mode & 0o777).into()
                );
            }
            return Ok(Self { keys: parse(&read(&file)?)?, made: None });
        }
        if !new.exists() {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| format!("no random numbers: {error}"))?;
            write_private(&new, format!("{}\n", STANDARD.encode(key)).as_bytes())
                .map_err(|error| format!("{} cannot be written: {error}", new.display()))?;
        }
        // Left by a start that was interrupted, it may be in force already.
        Ok(Self { keys: parse(&read(&new)?)?, made: Some(directory.to_owned()) })
    }

    /// The keys have opened the vault: one that was just made is kept from now on.
    pub(crate) fn in_force(&self) -> Result<(), Error> {
        if let Some(directory) = &self.made {
            let file = directory.join(FILE);
            fs::rename(directory.join(NEW_FILE), &file)?;
            eprintln!(
                "Made a master key in {}. Keep a copy of it apart from the log: without it, nothing personal can be read.",
                file.display()
            );
        }
        Ok(())
    }

    /// The keys are not those of the log: one that was just made is of no use.
    pub(crate) fn not_in_force(&self) {
        if let Some(directory) = &self.made {
            _ = fs::remove_file(directory.join(NEW_FILE));
        }
    }
}

/// In production a key is given, never made: one beside the data protects nothing.
pub(crate) fn must_be_given(storage: &StorageArgs) -> Result<(), Error> {
    if storage.master_key()?.is_some() {
        return Ok(());
    }
    let place = match storage.storage()? {
        Storage::Sqlite(_) => "when the service listens beyond this machine",
        Storage::Postgres(_) => "with DATABASE_URL",
    };
    Err(format!("{place}, {VARIABLE} or {VARIABLE}_FILE must be set: 32 random bytes in base64").into())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// One key or several, separated by blanks or commas: the first wraps from now on, the others are former ones.
fn parse(text: &str) -> Result<MasterKeys, Error> {
    let words = text.split(|it: char| it.is_whitespace() || it == ',').filter(|word| !word.is_empty());
    let mut keys = Vec::new();
    for word in words {
        let bytes = STANDARD.decode(word).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        // The key itself is never shown.
        let bytes = bytes.ok_or("a master key must be 32 bytes in base64, as `openssl rand -base64 32` makes them")?;
        keys.push(MasterKey::new(&bytes));
    }
    if keys.is_empty() {
        return Err("no master key was given: 32 bytes in base64, as `openssl rand -base64 32` makes them".into());
    }
    let former = keys.split_off(1);
    Ok(MasterKeys::new(keys.remove(0), former))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_the_current_one() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        for text in [format!("{one},{two}"), format!("{one}\n{two}\n"), format!("  {one} , {two} ")] {
            assert_eq!(parse(&text).unwrap().current_id(), MasterKey::new(&[1; 32]).id());
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for text in ["", " ", "secret", "c2VjcmV0", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
            let error = parse(text).err().unwrap().to_string();
            assert!(error.contains("openssl") && (text.trim().is_empty() || !error.contains(text)), "{error}");
        }
    }
}

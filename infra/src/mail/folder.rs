//! Writes emails to a folder, for installations without a mail server: each is a complete message file.
//!
//! They contain names, addresses and links that grant access, so only the service's own account can read them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use porttask_runtime::ports::mail::{Mail, MailError, MailTransport};
use uuid::Uuid;

use super::{
    UnusableMail,
    message::{Sender, Transparency},
};

pub(super) struct Folder {
    path: PathBuf,
    sender: Sender,
}

impl Folder {
    /// Creates the folder if it is missing.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn open(path: PathBuf, sender: Sender) -> Result<Self, UnusableMail> {
        make(&path).map_err(|error| UnusableMail(format!("cannot write emails to {}: {error}", path.display())))?;
        Ok(Self { path, sender })
    }
}

#[async_trait]
impl MailTransport for Folder {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.sender.message(mail, Transparency::EightBit)?.formatted();
        let (path, id) = (self.path.clone(), mail.id);
        let left = tokio::task::spawn_blocking(move || leave(&path, id, &message)).await;
        let failed = |error: &dyn std::fmt::Display| MailError::Temporary(format!("cannot write the email: {error}"));
        left.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

/// Deletes emails that were written longer ago than this; returns their number. A folder that does not exist has none.
///
/// # Errors
/// If the folder cannot be read, or a file not be deleted.
pub fn delete_old(folder: &Path, age: Duration) -> io::Result<u64> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files?,
    };
    let mut deleted = 0;
    for file in files {
        let path = file?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == "eml" || extension == "unfinished");
        let written = if is_ours { fs::metadata(&path).and_then(|it| it.modified()).ok() } else { None };
        if written.and_then(|written| written.elapsed().ok()).is_some_and(|it| it > age) {
            match fs::remove_file(&path) {
                // Another node has deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map(|()| deleted += 1)?,
            }
        }
    }
    Ok(deleted)
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes the message atomically; a retry overwrites the earlier file.
fn leave(folder: &Path, id: Uuid, message: &[u8]) -> io::Result<()> {
    make(folder)?;
    let unfinished = folder.join(format!(".{}.unfinished", Uuid::now_v7()));
    let written = write(&unfinished, message).and_then(|()| fs::rename(&unfinished, folder.join(format!("{id}.eml"))));
    if written.is_err() {
        _ = fs::remove_file(&unfinished);
    }
    written
}

fn write(path: &Path, message: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(message)?;
    file.sync_all()
}

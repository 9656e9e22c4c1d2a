//! Writes emails to a folder, for installations without a mail server: each is a complete message file.
//!
//! They contain names, addresses and links that grant access, so only the service's own account can read them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
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

//! Mails in a folder, for whoever has no mail server: each a whole message that mail programs open.
//!
//! They hold names, addresses and links that let people in: only the service's own account can read them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use porttask_runtime::ports::mail::{Mail, MailError, MailTransport};
use uuid::Uuid;

use super::{UnusableMail, message::Sender};

pub(super) struct Folder {
    path: PathBuf,
    sender: Sender,
}

impl Folder {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// If that is not possible.
    pub(super) fn open(path: PathBuf, sender: Sender) -> Result<Self, UnusableMail> {
        make(&path).map_err(|error| UnusableMail(format!("no mail can be left in {}: {error}", path.display())))?;
        Ok(Self { path, sender })
    }
}

#[async_trait]
impl MailTransport for Folder {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.sender.message(mail)?.formatted();
        let (path, id) = (self.path.clone(), mail.id);
        let left = tokio::task::spawn_blocking(move || leave(&path, id, &message)).await;
        let failed = |error: &dyn std::fmt::Display| MailError::Temporary(format!("the folder for mail: {error}"));
        left.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Under its own name at once or not at all; the same mail again takes the place of the first.
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

//! Email transports: SMTP, or a folder if no server is configured.
//!
//! | file | what it owns |
//! |---|---|
//! | `message.rs` | an email as an RFC 5322 message |
//! | `smtp.rs` | sends emails by SMTP |
//! | `folder.rs` | writes emails to a folder |
//! | `read.rs` | reads emails in that folder |

mod folder;
mod message;
pub mod read;
mod smtp;

use porttask_runtime::ports::mail::MailTransport;
use std::{path::PathBuf, sync::Arc};

pub use self::folder::delete_old;
use self::{folder::Folder, message::Sender, smtp::Smtp};

/// Settings of the email transport.
#[derive(Clone)]
pub struct MailSettings {
    /// The server: `smtps://user:password@host` or `smtp://user:password@host?tls=required`.
    pub smtp_url: Option<String>,
    /// The sender: an email address, or a name and an address in angle brackets.
    pub from: String,
    /// The folder to which emails are written if there is no server.
    pub folder: PathBuf,
}

/// Why the settings are unusable. Contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableMail(String);

/// Opens the configured transport. Does not connect to the server yet.
///
/// # Errors
/// If a setting is invalid, or the folder cannot be created.
pub fn open(settings: &MailSettings) -> Result<Arc<dyn MailTransport>, UnusableMail> {
    let sender = Sender::new(&settings.from)?;
    Ok(match &settings.smtp_url {
        Some(url) => Arc::new(Smtp::open(url, sender)?),
        None => Arc::new(Folder::open(settings.folder.clone(), sender)?),
    })
}

//! Ways for mail to leave: to a server by SMTP, or into a folder where no server is configured.
//!
//! | file | what it owns |
//! |---|---|
//! | `message.rs` | a mail as the standards have it |
//! | `smtp.rs` | handing mails to a server |
//! | `folder.rs` | leaving mails in a folder |

mod folder;
mod message;
mod smtp;

use porttask_runtime::ports::mail::MailTransport;
use std::{path::PathBuf, sync::Arc};

use self::{folder::Folder, message::Sender, smtp::Smtp};

/// How mail leaves.
#[derive(Clone)]
pub struct MailSettings {
    /// The server: `smtps://user:password@host` or `smtp://user:password@host?tls=required`.
    pub smtp_url: Option<String>,
    /// Who mails are from: an address, or a name and an address in angle brackets.
    pub from: String,
    /// Where mails are left if there is no server.
    pub folder: PathBuf,
}

/// Why no mail could ever leave this way. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableMail(String);

/// Opens the way that is configured. A server is not asked yet whether it is there.
///
/// # Errors
/// If a setting has no meaning, or the folder cannot be made.
pub fn open(settings: &MailSettings) -> Result<Arc<dyn MailTransport>, UnusableMail> {
    let sender = Sender::new(&settings.from)?;
    Ok(match &settings.smtp_url {
        Some(url) => Arc::new(Smtp::open(url, sender)?),
        None => Arc::new(Folder::open(settings.folder.clone(), sender)?),
    })
}

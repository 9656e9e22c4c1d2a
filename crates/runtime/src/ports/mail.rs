//! Port: sending email.

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::reactors::TaskError;

/// An email to one recipient. The sender is up to the transport.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id, the same for every delivery attempt, so that mail clients show duplicates once.
    pub id: Uuid,
    /// The recipient's name.
    pub to_name: String,
    /// The recipient's email address.
    pub to_address: String,
    /// The subject.
    pub subject: String,
    /// The body in plain text; lines end with `\n`.
    pub text: String,
    /// The body in HTML.
    pub html: String,
    /// The attached files.
    pub attachments: Vec<Attachment>,
}

/// A file that is attached to an email.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type, such as `application/pdf`.
    pub media_type: &'static str,
    /// Its content.
    pub content: Bytes,
}

/// Omits the content.
impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment").field("name", &self.name).field("bytes", &self.content.len()).finish()
    }
}

/// Omits personal data.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why an email was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Transient failure: a retry may succeed.
    #[error("{0}")]
    Temporary(String),
    /// Permanent failure: a retry cannot succeed.
    #[error("{0}")]
    Permanent(String),
}

/// Sends email.
#[async_trait]
pub trait MailTransport: Send + Sync {
    /// Sends an email; returns once the next system has accepted responsibility for it.
    ///
    /// # Errors
    /// If it was not accepted.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

impl From<MailError> for TaskError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Temporary(error) => Self::Temporary(error),
            MailError::Permanent(error) => Self::Permanent(error),
        }
    }
}

//! The port through which mail leaves.

use async_trait::async_trait;
use uuid::Uuid;

use crate::reactors::TaskError;

/// A mail to one person. Who it is from is the transport's business.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its identity: a mail that is sent again has the same, so that mail programs show it once.
    pub id: Uuid,
    /// What the person is called.
    pub to_name: String,
    /// Where it goes.
    pub to_address: String,
    /// What it is about.
    pub subject: String,
    /// What it says, in plain text; lines end with `\n`.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// Nothing of the person is shown.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a mail was not taken over by anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It may go later.
    #[error("{0}")]
    Temporary(String),
    /// It will never go as things are.
    #[error("{0}")]
    Permanent(String),
}

/// Takes mail over, to bring it to where it belongs.
#[async_trait]
pub trait MailTransport: Send + Sync {
    /// Sends a mail; ready once somebody else is responsible for it.
    ///
    /// # Errors
    /// Why it was not taken over.
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

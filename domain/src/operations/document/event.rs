//! What can happen to a document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContentType, DocumentId, DocumentName, Subject, expiry};
use crate::{Personal, UserId};

/// Events of a document. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Its upload was started.
    #[serde(rename = "document.upload_started.v1")]
    UploadStarted {
        /// Its name.
        name: Personal,
        /// The maximum number of bytes that follow.
        bytes: u64,
        /// When the upload must be finished.
        expires_at: Timestamp,
        /// What it belongs to, if to something.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        subject: Option<Subject>,
    },
    /// Its content was received completely, and is kept.
    #[serde(rename = "document.stored.v1")]
    Stored {
        /// The hash of the content, in hexadecimal.
        sha256: String,
        /// The number of bytes.
        bytes: u64,
        /// What it is.
        content_type: ContentType,
    },
    /// Its content was not received completely.
    #[serde(rename = "document.upload_failed.v1")]
    UploadFailed {},
    /// Somebody downloaded it, for the first time within an hour.
    #[serde(rename = "document.downloaded.v1")]
    Downloaded {
        /// Who: the user, or the owner of an API key.
        by: UserId,
        /// When.
        at: Timestamp,
    },
    /// It was deleted.
    #[serde(rename = "document.deleted.v1")]
    Deleted {
        /// The number of bytes that it had.
        bytes: u64,
    },
}

impl Event {
    pub(super) fn started(
        document: DocumentId,
        name: &DocumentName,
        bytes: u64,
        subject: Option<Subject>,
        now: Timestamp,
    ) -> Self {
        let name = Personal::identity(document, name.as_str());
        Self::UploadStarted { name, bytes, expires_at: expiry(now), subject }
    }
}

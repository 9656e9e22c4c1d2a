//! Documents: files of an organization. Their content is kept outside of the log, under its SHA-256 hash.

mod content_type;
mod event;
mod existing;
mod name;
mod rejection;
mod subject;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};

use self::existing::{Existing, State};
pub use self::{content_type::ContentType, event::Event, name::DocumentName, rejection::Rejection, subject::Subject};
use crate::{Aggregate, Constraint, Kind, PersonId, Scope, UserId, Violation};

crate::ids! {
    /// A file of an organization.
    DocumentId = "doc";
}

/// The name of a file may be that of a person: it belongs to the document.
impl From<DocumentId> for PersonId {
    fn from(document: DocumentId) -> Self {
        Self(document.0)
    }
}

crate::texts! {
    /// The status of a document.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DocumentStatus))]
    pub enum Status {
        /// Its content is being received.
        Uploading = "uploading",
        /// It can be downloaded.
        Stored = "stored",
        /// Its content was not received completely.
        Failed = "failed",
        /// It was deleted.
        Deleted = "deleted",
    }
}

/// The counter of the bytes that an organization stores or uploads.
pub const STORAGE_BYTES: &str = "storage_bytes";
/// How long an upload may take.
pub const UPLOAD_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// When an upload expires.
fn expiry(started_at: Timestamp) -> Timestamp {
    started_at + UPLOAD_LIFETIME
}

const NO_STORAGE_LEFT: Violation = Violation::new(
    Kind::LimitReached,
    "limit-reached",
    "the documents of the organization may have at most {bound} bytes: delete some first",
);

/// What can be asked of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start to upload it. A retry at another time takes over an upload in progress: its connection may be lost.
    StartUpload {
        /// The new document.
        document: DocumentId,
        /// Its name.
        name: DocumentName,
        /// The maximum number of bytes that follow.
        bytes: u64,
        /// What it belongs to, if to something.
        subject: Option<Subject>,
        /// When it is started.
        now: Timestamp,
    },
    /// Keep what was received.
    Store {
        /// The hash of the content, in hexadecimal.
        sha256: String,
        /// The number of bytes.
        bytes: u64,
        /// What it is.
        content_type: ContentType,
    },
    /// Give up an upload, unless a retry took it over.
    FailUpload {
        /// When it was started.
        started_at: Timestamp,
    },
    /// Give up an upload that was not finished in time.
    ExpireUpload {
        /// The current time.
        now: Timestamp,
    },
    /// Record that somebody downloads it: once per hour.
    Download {
        /// Who: the user, or the owner of an API key.
        by: UserId,
        /// When.
        now: Timestamp,
    },
    /// Delete it.
    Delete,
}

/// The content of a stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// The number of bytes.
    pub bytes: u64,
    /// What it is.
    pub content_type: ContentType,
}

/// A document, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Document(Option<Existing>);

impl Document {
    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(Existing::status)
    }

    /// Its name; `None` if it does not exist, or its name was erased.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().and_then(|existing| existing.name.value())
    }

    /// Its content, if it is stored.
    pub fn content(&self) -> Option<&Content> {
        match &self.0.as_ref()?.state {
            State::Stored(content) => Some(content),
            State::Uploading { .. } | State::Failed | State::Deleted => None,
        }
    }
}

impl Aggregate for Document {
    const CATEGORY: &'static str = "document";
    type Id = DocumentId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::StartUpload { document, name, bytes, subject, now }) => {
                Ok(vec![Event::started(*document, name, *bytes, *subject, *now)])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match &mut self.0 {
            Some(existing) => existing.evolve(event),
            None => self.0 = Existing::of(event),
        }
    }

    /// What is uploaded counts from its start, with its announced size; what is stored, with its own.
    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        let held = self.0.as_ref().map_or(0, Existing::held);
        let holds = match event {
            Event::UploadStarted { bytes, .. } | Event::Stored { bytes, .. } => *bytes,
            Event::UploadFailed {} | Event::Deleted { .. } => 0,
            Event::Downloaded { .. } => held,
        };
        let by = i64::try_from(holds).unwrap_or(i64::MAX).saturating_sub(i64::try_from(held).unwrap_or(i64::MAX));
        if by == 0 {
            return Vec::new();
        }
        vec![Constraint::Count {
            scope: Scope::Organization,
            name: STORAGE_BYTES.into(),
            by,
            minimum: None,
            maximum: None,
            violation: NO_STORAGE_LEFT,
        }]
    }
}

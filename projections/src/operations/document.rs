//! Documents.

use jiff::Timestamp;
use porttask_domain::{
    Actor, OrganizationId, TextEnum, UserId,
    operations::document::{ContentType, DocumentId, Event, Status, Subject},
};

use crate::{
    Change, ColumnType, Index, Kind, ReadModel, Recorded, Value,
    audit_text::{DescriptionSink, DisplayValue},
    id_columns, normalized, row, text_columns,
};

id_columns!(DocumentId);
text_columns!(ContentType, Status);

impl ColumnType for Subject {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(id) = value { id.parse().ok() } else { None }
    }
}

row! {
    /// A document that is stored or being uploaded.
    pub struct Document {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            document: DocumentId,
        }
        row {
            /// Its name; `None` once it was erased.
            name: Option<String>,
            /// The name as it is sorted and searched.
            normalized_name: String,
            /// The status.
            status: Status,
            /// The number of bytes; while it is being uploaded, the announced one.
            bytes: u64,
            /// The hash of its content, in hexadecimal; empty while it is being uploaded.
            sha256: String,
            /// What it is; `None` while it is being uploaded.
            content_type: Option<ContentType>,
            /// What it belongs to.
            subject: Option<Subject>,
            /// Who uploaded it; `None` for an API key.
            uploaded_by: Option<UserId>,
            /// When its upload was started.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which files does an organization have?
pub struct Documents;

impl ReadModel for Documents {
    const NAME: &'static str = "documents";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "normalized_name", "document"] },
        Index { name: "by_age", columns: &["organization", "created_at", "document"] },
        Index { name: "by_size", columns: &["organization", "bytes", "document"] },
        Index { name: "by_subject", columns: &["organization", "subject", "normalized_name", "document"] },
        Index { name: "by_content", columns: &["organization", "sha256"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name"];
    type Source = Event;
    type Row = Document;

    fn project(row: Option<Document>, event: &Event, recorded: &Recorded) -> Change<Document> {
        let version = recorded.version;
        if let Event::UploadStarted { name, bytes, expires_at: _, subject } = event {
            return Change::Put(Document {
                organization: recorded.organization,
                document: DocumentId(recorded.subject),
                name: name.value().map(str::to_owned),
                normalized_name: name.value().map(normalized).unwrap_or_default(),
                status: Status::Uploading,
                bytes: *bytes,
                sha256: String::new(),
                content_type: None,
                subject: *subject,
                uploaded_by: user_of(&recorded.actor),
                created_at: recorded.time(),
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        match event {
            Event::UploadStarted { .. } => Change::Keep,
            Event::Downloaded { .. } => Change::Put(Document { version, ..row }),
            Event::Stored { sha256, bytes, content_type } => {
                let (sha256, bytes, content_type) = (sha256.clone(), *bytes, Some(*content_type));
                Change::Put(Document { status: Status::Stored, sha256, bytes, content_type, version, ..row })
            }
            Event::UploadFailed {} | Event::Deleted { .. } => Change::Delete,
        }
    }
}

fn user_of(actor: &Actor) -> Option<UserId> {
    match actor {
        Actor::User { user, .. } => Some(*user),
        Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::UploadStarted { name, bytes, expires_at: _, subject } => {
            sink.words("started to upload the document ");
            sink.value(DisplayValue::Personal(name));
            sink.change("name", None, Some(DisplayValue::Personal(name)));
            sink.change("bytes", None, Some(DisplayValue::Filtered(bytes)));
            if let Some(subject) = subject {
                sink.words(match subject {
                    Subject::PortCall(_) => " for the port call ",
                    Subject::ServiceOrder(_) => " for the service order ",
                });
                sink.value(DisplayValue::Written(subject));
                sink.change("subject", None, Some(DisplayValue::Filtered(subject)));
            }
        }
        Event::Stored { sha256, bytes, content_type } => {
            sink.words("stored the uploaded document");
            sink.change("status", None, Some(DisplayValue::Text(Status::Stored.as_str())));
            sink.change("bytes", None, Some(DisplayValue::Filtered(bytes)));
            sink.change("content_type", None, Some(DisplayValue::Text(content_type.as_str())));
            sink.change("sha256", None, Some(DisplayValue::Filtered(sha256)));
        }
        Event::UploadFailed {} => {
            sink.words("the upload of the document failed");
            sink.change("status", None, Some(DisplayValue::Text(Status::Failed.as_str())));
        }
        Event::Downloaded { .. } => sink.words("downloaded the document"),
        Event::Deleted { .. } => {
            sink.words("deleted the document");
            sink.change("status", None, Some(DisplayValue::Text(Status::Deleted.as_str())));
        }
    }
}

//! Documents in requests and responses.

use jiff::Timestamp;
use porttask_domain::{
    UserId,
    operations::{
        document::{ContentType, DocumentId, Status, Subject},
        port_call::PortCallId,
        service_order::ServiceOrderId,
        vendor::Service,
    },
};
use porttask_projections::operations::document as view;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{listing::Page, problem::Problem, request::ListFormat};

/// A document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentResponse {
    pub(super) id: DocumentId,
    /// The name of the file; null once it was erased.
    pub(super) name: Option<String>,
    pub(super) status: Status,
    /// The number of bytes; while it is being uploaded, the announced one.
    pub(super) bytes: u64,
    /// The SHA-256 hash of the content, in hexadecimal; null while it is being uploaded.
    #[schema(example = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    pub(super) sha256: Option<String>,
    /// What the content is, judged by its first bytes; null while it is being uploaded.
    pub(super) content_type: Option<ContentType>,
    /// The port call or service order that it belongs to: its id; null if it belongs to none.
    pub(super) subject: Option<Subject>,
    /// The service that is ordered, if it belongs to a service order.
    pub(super) service: Option<Service>,
    /// The vessel of the port call that it belongs to, also by a service order; null once that port call was deleted.
    pub(super) vessel: Option<String>,
    /// The name of the port; null once that port call was deleted.
    pub(super) port_name: Option<String>,
    /// The user who uploaded it; null if it was an API key.
    pub(super) uploaded_by: Option<UserId>,
    /// When its upload was started.
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    pub(super) version: u64,
}

/// A page of documents.
pub(super) type DocumentPage = Page<DocumentResponse>;

impl From<view::Document> for DocumentResponse {
    fn from(row: view::Document) -> Self {
        Self {
            id: row.document,
            name: row.name,
            status: row.status,
            bytes: row.bytes,
            sha256: Some(row.sha256).filter(|sha256| !sha256.is_empty()),
            content_type: row.content_type,
            subject: row.subject,
            service: None,
            vessel: None,
            port_name: None,
            uploaded_by: row.uploaded_by,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// Filters of documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentFilter {
    /// Only documents with this status: `stored` or `uploading`.
    pub(super) status: Option<Status>,
    /// Only documents of this type.
    pub(super) content_type: Option<ContentType>,
    /// Only documents that belong to this port call or service order.
    pub(super) subject: Option<Subject>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

/// The parameters of an upload.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadParameters {
    /// The name of the file. Default: that in the header `Content-Disposition`. Folders, and characters that file systems
    /// do not allow, are left out.
    #[param(example = "Bill of lading.pdf")]
    pub(super) name: Option<String>,
    /// The port call that it belongs to; one that is not canceled.
    port_call: Option<PortCallId>,
    /// The service order that it belongs to, instead of a port call; one that is not canceled.
    service_order: Option<ServiceOrderId>,
}

impl UploadParameters {
    /// What the document belongs to.
    ///
    /// # Errors
    /// If two things are named.
    pub(super) fn subject(&self) -> Result<Option<Subject>, Problem> {
        match (self.port_call, self.service_order) {
            (Some(_), Some(_)) => {
                let detail = "a document belongs to a port call or to a service order: name only one of them";
                Err(Problem::invalid("service_order", detail))
            }
            (port_call, order) => Ok(port_call.map(Subject::PortCall).or(order.map(Subject::ServiceOrder))),
        }
    }
}

/// A document that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadedDocument {
    pub(super) id: DocumentId,
    /// The name of the file, as it is kept.
    pub(super) name: String,
    /// The number of bytes.
    pub(super) bytes: u64,
    /// The SHA-256 hash of the content, in hexadecimal.
    #[schema(example = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    pub(super) sha256: String,
    /// What the content is, judged by its first bytes.
    pub(super) content_type: ContentType,
    /// The port call or service order that it belongs to: its id; null if it belongs to none.
    pub(super) subject: Option<Subject>,
    /// Whether the same document was uploaded before, with the same `Idempotency-Key`.
    pub(super) repeated: bool,
    /// The position of the upload, for `Porttask-At-Least`; absent if it is a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    pub(super) position: Option<String>,
}

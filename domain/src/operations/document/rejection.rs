//! Why a command on a document is rejected.

use crate::Kind;

/// Why a command on a document is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist, or was deleted.
    #[error("there is no such document")]
    NotFound,
    /// A different document with this id exists.
    #[error("a different document with this id already exists")]
    Exists,
    /// Its upload has failed.
    #[error("the upload of this document has failed: upload it again")]
    UploadFailed,
    /// It is still being uploaded.
    #[error("the document is still being uploaded")]
    Uploading,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::UploadFailed | Self::Uploading => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "document-not-found",
            Self::Exists => "document-exists",
            Self::UploadFailed => "document-upload-failed",
            Self::Uploading => "document-uploading",
        }
    }
}

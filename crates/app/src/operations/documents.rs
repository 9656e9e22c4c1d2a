//! What documents belong to.

use porttask_domain::operations::{PortCall, ServiceOrder, document::Subject, port_call, service_order};
use porttask_runtime::execute::{ExecuteError, Tx};

/// Why no document can be uploaded for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSubject {
    /// The organization has no such port call or service order, or it was deleted.
    #[error("there is no such port call or service order")]
    NotFound,
    /// The port call is canceled.
    #[error("the port call is canceled: reopen it first, or upload the document without a port call")]
    PortCallCanceled,
    /// The service order is canceled.
    #[error("the service order is canceled: upload the document for its port call")]
    ServiceOrderCanceled,
}

/// Whether a document can be uploaded for something.
///
/// # Errors
/// If it cannot be read.
pub async fn check_subject(tx: &Tx, subject: Subject) -> Result<Result<(), UnusableSubject>, ExecuteError> {
    Ok(match subject {
        Subject::PortCall(id) => match tx.read::<PortCall>(id).await?.status() {
            None => Err(UnusableSubject::NotFound),
            Some(port_call::Status::Canceled) => Err(UnusableSubject::PortCallCanceled),
            Some(_) => Ok(()),
        },
        Subject::ServiceOrder(id) => match tx.read::<ServiceOrder>(id).await?.status() {
            None => Err(UnusableSubject::NotFound),
            Some(service_order::Status::Canceled) => Err(UnusableSubject::ServiceOrderCanceled),
            Some(_) => Ok(()),
        },
    })
}

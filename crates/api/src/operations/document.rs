//! The documents of an organization.

mod bodies;
mod content;
mod disposition;
mod exported;
mod related;
mod upload;

use axum::{extract::State, response::Response};
use porttask_domain::{
    OrganizationId,
    operations::{Document, document::Command},
};
use porttask_projections::{ColumnType, operations::document as view};
use porttask_runtime::views::Condition;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{DocumentFilter, DocumentPage, DocumentResponse};
use crate::http::{
    app::App,
    document::tagged,
    listing::Sort,
    permissions::{Impersonable, ReadOperations, WriteOperations},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::CommandResult,
};

/// The routes of documents.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("documents", "Files of an organization.")
        .routes(routes!(upload::upload_document, list_documents))
        .routes(routes!(get_document_details, delete_document))
        .routes(routes!(content::download_document))
}

impl Listed for view::Documents {
    type Item = DocumentResponse;
    type Filter = DocumentFilter;
    const SORTS: &'static [Sort] = &[
        ("name", &["normalized_name", "document"]),
        ("created_at", &["created_at", "document"]),
        ("bytes", &["bytes", "document"]),
    ];

    fn conditions(filter: DocumentFilter) -> Result<Vec<Condition>, Problem> {
        let DocumentFilter { status, content_type, subject, format: _ } = filter;
        let conditions = [
            status.map(|status| Condition::Equal("status", status.to_value())),
            content_type.map(|it| Condition::Equal("content_type", it.to_value())),
            subject.map(|subject| Condition::Equal("subject", subject.to_value())),
        ];
        Ok(conditions.into_iter().flatten().collect())
    }

    async fn complete(
        app: &App,
        organization: OrganizationId,
        items: Vec<DocumentResponse>,
    ) -> Result<Vec<DocumentResponse>, Problem> {
        related::named(app, organization, items).await
    }
}

/// List documents.
///
/// Those that are being uploaded are listed, too. Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/documents", tag = "documents",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Documents>),
    responses((status = 200, description = "The documents", content(
        (DocumentPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_documents(
    State(app): State<App>,
    documents: List<Impersonable<ReadOperations>, view::Documents>,
) -> Result<Response, Problem> {
    documents.answer(&app).await
}

/// Get the details of a document.
///
/// Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/documents/{document}", tag = "documents",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = DocumentResponse)))]
pub(crate) async fn get_document_details(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOperations>>,
    document: Id<Document>,
) -> Result<Resource<DocumentResponse>, Problem> {
    caller.get::<view::Documents>(&app, &[document.get()?.to_value()], Id::<Document>::not_found).await
}

/// Delete a document.
///
/// Its history stays; its content is deleted within two days, unless another document has the same. Needs
/// `operations:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/documents/{document}", tag = "documents",
    params(CommandParameters), responses((status = 200, body = CommandResult)))]
pub(crate) async fn delete_document(
    State(app): State<App>,
    document: Id<Document>,
    request: CommandRequest<WriteOperations, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<Document>(&app, &document, Command::Delete).await
}

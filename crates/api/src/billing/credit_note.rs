//! The credit notes of an organization, and of all (`all.rs`).

mod all;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_app::billing::invoices::rendering::Wanted;
use porttask_domain::{
    OrganizationId, Personal, TextEnum,
    billing::{
        CreditNote,
        billing_document::{CreditNoteId, InvoiceId},
        credit_note::CreditReason,
    },
    compliance::export::{self, Format},
};
use porttask_projections::{ColumnType, billing::credit_note as view};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    billing_file::{self, FileKind},
    invoice::bodies::IssuedBody,
};
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::{Impersonable, ReadBilling},
    problem::Problem,
    request::{Authorized, Exported, Id, List, ListFormat, ListParameters, Listed, Resource},
};

/// The routes of credit notes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("invoices", "Invoices and credit notes of organizations.")
        .routes(routes!(list_credit_notes))
        .routes(routes!(get_credit_note))
        .routes(routes!(get_credit_note_pdf))
        .routes(routes!(get_credit_note_xml))
        .routes(routes!(all::list_all_credit_notes))
}

/// A credit note, in a list. Amounts are minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreditNote)]
pub(crate) struct CreditNoteResponse {
    id: CreditNoteId,
    organization: OrganizationId,
    /// The invoice that it credits.
    invoice: InvoiceId,
    invoice_number: String,
    reason: CreditReason,
    #[schema(example = "PT-CN-2026-000001")]
    number: String,
    #[schema(format = Date)]
    issue_date: String,
    currency: String,
    /// Without tax.
    net: u64,
    tax: u64,
    /// With tax.
    total: u64,
    /// How much went to the balance of the organization.
    to_balance: u64,
    to_refund: u64,
    has_pdf: bool,
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

impl From<view::CreditNote> for CreditNoteResponse {
    fn from(row: view::CreditNote) -> Self {
        Self {
            id: row.credit_note,
            organization: row.organization,
            invoice: row.invoice,
            invoice_number: row.invoice_number,
            reason: row.reason,
            number: row.credit_note_number,
            issue_date: row.issue_date,
            currency: row.currency,
            net: row.net,
            tax: row.tax,
            total: row.total,
            to_balance: row.to_balance,
            to_refund: row.to_refund,
            has_pdf: !row.pdf.is_empty(),
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// Filters of credit notes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreditNoteFilter {
    /// Only credit notes of this invoice.
    invoice: Option<InvoiceId>,
    /// Only credit notes with this reason.
    reason: Option<CreditReason>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// The filters of both lists.
fn conditions(invoice: Option<InvoiceId>, reason: Option<CreditReason>) -> impl Iterator<Item = Condition> {
    let invoice = invoice.map(|it| Condition::Equal("invoice", it.to_value()));
    invoice.into_iter().chain(reason.map(|it| Condition::Equal("reason", it.to_value())))
}

/// The command that records an export of either list.
fn taken(selection: export::CreditNoteSelection) -> export::Command {
    export::Command::Take(export::Event::CreditNotesTaken { format: Format::Csv, selection })
}

/// The fields of a line, with the name of the organization where there are several.
fn fields(it: CreditNoteResponse, organization_name: Option<Option<String>>) -> Vec<String> {
    let organization = [Some(it.organization.to_string()), organization_name.map(Option::unwrap_or_default)];
    let rest = [
        it.invoice.to_string(),
        it.invoice_number,
        it.reason.as_str().to_owned(),
        it.number,
        it.issue_date,
        it.currency,
        it.net.to_string(),
        it.tax.to_string(),
        it.total.to_string(),
        it.to_balance.to_string(),
        it.to_refund.to_string(),
        it.created_at.to_string(),
    ];
    [it.id.to_string()].into_iter().chain(organization.into_iter().flatten()).chain(rest).collect()
}

impl Listed for view::CreditNotes {
    type Item = CreditNoteResponse;
    type Filter = CreditNoteFilter;
    const SORTS: &'static [Sort] =
        &[("-created_at", &["created_at", "credit_note"]), ("number", &["credit_note_number", "credit_note"])];

    fn conditions(
        CreditNoteFilter { invoice, reason, format: _ }: CreditNoteFilter,
    ) -> Result<Vec<Condition>, Problem> {
        Ok(conditions(invoice, reason).collect())
    }
}

impl Exported for view::CreditNotes {
    const FILE: &'static str = "credit-notes";
    const NAMES: &'static [&'static str] = &[
        "id",
        "organization",
        "invoice",
        "invoice_number",
        "reason",
        "number",
        "issue_date",
        "currency",
        "net",
        "tax",
        "total",
        "to_balance",
        "to_refund",
        "created_at",
    ];

    fn format(filter: &CreditNoteFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &CreditNoteFilter, text: Option<Personal>) -> export::Command {
        let (invoice, reason) = (filter.invoice, filter.reason);
        taken(export::CreditNoteSelection { organization: None, invoice, reason, text })
    }

    fn fields(it: CreditNoteResponse) -> Vec<String> {
        fields(it, None)
    }
}

/// A page of credit notes.
type CreditNotePage = Page<CreditNoteResponse>;

/// A credit note with its lines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditNoteDetail {
    id: CreditNoteId,
    invoice: InvoiceId,
    invoice_number: String,
    reason: CreditReason,
    issued: IssuedBody,
    /// How much lowered what was due, in minor units.
    to_due: i64,
    to_balance: i64,
    to_refund: i64,
    has_pdf: bool,
    /// The version: the ETag.
    version: u64,
}

/// List credit notes.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/credit-notes", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::CreditNotes>),
    responses((status = 200, description = "The credit notes", content(
        (CreditNotePage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_credit_notes(
    State(app): State<App>,
    notes: List<Impersonable<ReadBilling>, view::CreditNotes>,
) -> Result<Response, Problem> {
    notes.answer(&app).await
}

/// Get a credit note.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/credit-notes/{credit_note}", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = CreditNoteDetail)))]
pub(crate) async fn get_credit_note(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    credit_note: Id<CreditNote>,
) -> Result<Resource<CreditNoteDetail>, Problem> {
    let id = credit_note.get()?;
    let (state, version) = app.executor.load::<CreditNote>(caller.organization, id).await?;
    let note = state.note().ok_or_else(Id::<CreditNote>::not_found)?;
    let shown = CreditNoteDetail {
        id,
        invoice: note.invoice,
        invoice_number: note.invoice_number.clone(),
        reason: note.reason,
        issued: (&note.document).into(),
        to_due: note.to_due,
        to_balance: note.to_balance,
        to_refund: note.to_refund,
        has_pdf: state.pdf().is_some(),
        version: version.0,
    };
    caller.shows_items(std::slice::from_ref(&shown));
    Ok(Resource::new(shown, Some(version.0)))
}

/// Download the PDF of a credit note.
///
/// 202 while it is rendered. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/credit-notes/{credit_note}/pdf", tag = "invoices",
    extensions(("x-impersonable" = json!(true))),
    responses((status = 200, content_type = "application/pdf"), (status = 202, description = "It is being rendered.")))]
pub(crate) async fn get_credit_note_pdf(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    credit_note: Id<CreditNote>,
) -> Result<Response, Problem> {
    file(&app, caller.organization, &credit_note, FileKind::Pdf).await
}

/// Download the electronic credit note: UN/CEFACT CII of EN 16931.
///
/// 202 while it is rendered. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/credit-notes/{credit_note}/xml", tag = "invoices",
    extensions(("x-impersonable" = json!(true))),
    responses((status = 200, content_type = "application/xml"), (status = 202, description = "It is being rendered.")))]
pub(crate) async fn get_credit_note_xml(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    credit_note: Id<CreditNote>,
) -> Result<Response, Problem> {
    file(&app, caller.organization, &credit_note, FileKind::Xml).await
}

async fn file(
    app: &App,
    organization: OrganizationId,
    note: &Id<CreditNote>,
    kind: FileKind,
) -> Result<Response, Problem> {
    let id = note.get()?;
    let (state, _) = app.executor.load::<CreditNote>(organization, id).await?;
    let issued = state.note().ok_or_else(Id::<CreditNote>::not_found)?;
    let document = (issued.document.number.as_str(), Wanted::CreditNote(id));
    billing_file::send(app, organization, state.pdf(), document, kind).await
}

//! The credit notes of all organizations.

use axum::{extract::State, response::Response};
use porttask_domain::{
    OrganizationId, Personal,
    billing::{billing_document::InvoiceId, credit_note::CreditReason},
    compliance::export,
};
use porttask_projections::{
    Change, ColumnType, EventOf, Index, ReadModel, Recorded,
    billing::credit_note::{CreditNote, CreditNotes},
};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{CreditNoteResponse, conditions, fields, taken};
use crate::{
    billing::all::names_of,
    http::{
        app::App,
        listing::{Page, Sort},
        permissions::AdministerBilling,
        problem::Problem,
        request::{Exported, List, ListFormat, ListParameters, Listed},
    },
};

/// The same read model as [`CreditNotes`], listed for all organizations.
pub(crate) struct AllCreditNotes;

impl ReadModel for AllCreditNotes {
    const NAME: &'static str = CreditNotes::NAME;
    const VERSION: u32 = CreditNotes::VERSION;
    const INDEXES: &'static [Index] = CreditNotes::INDEXES;
    const CROSS_PARTITION_INDEXES: &'static [Index] = CreditNotes::CROSS_PARTITION_INDEXES;
    const FULL_TEXT_COLUMNS: &'static [&'static str] = CreditNotes::FULL_TEXT_COLUMNS;
    type Source = <CreditNotes as ReadModel>::Source;
    type Row = CreditNote;

    fn project(row: Option<CreditNote>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<CreditNote> {
        CreditNotes::project(row, event, recorded)
    }
}

/// A credit note with the name of its organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundCreditNote {
    #[serde(flatten)]
    note: CreditNoteResponse,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
}

impl From<CreditNote> for FoundCreditNote {
    fn from(row: CreditNote) -> Self {
        Self { note: row.into(), organization_name: None }
    }
}

/// A page of credit notes of any organizations.
type FoundCreditNotePage = Page<FoundCreditNote>;

/// Filters of the credit notes of all organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllCreditNotesFilter {
    /// Only credit notes of this organization.
    organization: Option<OrganizationId>,
    /// Only credit notes of this invoice.
    invoice: Option<InvoiceId>,
    /// Only credit notes with this reason.
    reason: Option<CreditReason>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for AllCreditNotes {
    type Item = FoundCreditNote;
    type Filter = AllCreditNotesFilter;
    const SORTS: &'static [Sort] = &[
        ("-created_at", &["created_at", "organization", "credit_note"]),
        ("number", &["credit_note_number", "organization", "credit_note"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(filter: AllCreditNotesFilter) -> Result<Vec<Condition>, Problem> {
        let AllCreditNotesFilter { organization, invoice, reason, format: _ } = filter;
        let organization = organization.map(|it| Condition::Equal("organization", it.to_value()));
        Ok(organization.into_iter().chain(conditions(invoice, reason)).collect())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<FoundCreditNote>,
    ) -> Result<Vec<FoundCreditNote>, Problem> {
        let names = names_of(app, items.iter().map(|item| item.note.organization)).await?;
        for item in &mut items {
            item.organization_name = names.get(&item.note.organization).cloned().flatten();
        }
        Ok(items)
    }
}

impl Exported for AllCreditNotes {
    const FILE: &'static str = "credit-notes";
    const NAMES: &'static [&'static str] = &[
        "id",
        "organization",
        "organization_name",
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

    fn format(filter: &AllCreditNotesFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &AllCreditNotesFilter, text: Option<Personal>) -> export::Command {
        let AllCreditNotesFilter { organization, invoice, reason, format: _ } = *filter;
        taken(export::CreditNoteSelection { organization, invoice, reason, text })
    }

    fn fields(FoundCreditNote { note, organization_name }: FoundCreditNote) -> Vec<String> {
        fields(note, Some(organization_name))
    }
}

/// List the credit notes of all organizations.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/credit-notes", tag = "invoices",
    params(ListParameters<AllCreditNotes>), responses((status = 200, description = "The credit notes", content(
        (FoundCreditNotePage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_all_credit_notes(
    State(app): State<App>,
    notes: List<AdministerBilling, AllCreditNotes>,
) -> Result<Response, Problem> {
    notes.answer(&app).await
}

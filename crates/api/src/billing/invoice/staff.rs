//! What staff does with invoices: drafts, transfers, credit notes, void, correction.

use axum::{extract::State, response::Response};
use jiff::civil::Date;
use porttask_app::billing::invoices::{issuing::today, settling};
use porttask_domain::{
    Reason,
    billing::{
        Currency, Invoice,
        billing_document::{CreditNoteId, InvoiceId},
        credit_note::CreditReason,
        invoice::{Command, CreditedLine, ManualLine},
        payment::PaymentId,
        settlement::Target,
    },
    identity::Capability,
};
use porttask_runtime::execute::Tx;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::account::check_before_use;
use crate::http::{
    app::App,
    permissions::AdministerBilling,
    problem::Problem,
    request::{CommandParameters, CommandRequest, EmptyBody, Id},
    response::CommandResult,
};

/// An invoice to be drafted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvoice {
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// 1 to 200.
    lines: Vec<ManualLine>,
}

/// A change of a draft: its lines are replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceDraftPatch {
    /// 1 to 200.
    lines: Vec<ManualLine>,
}

/// Draft an invoice by hand.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices", tag = "invoices", params(CommandParameters),
    request_body = NewInvoice, responses((status = 201, body = CommandResult)))]
pub(crate) async fn draft_invoice(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, NewInvoice>,
) -> Result<Response, Problem> {
    let request = request.needing(Capability::Settle);
    let id: InvoiceId = request.new_id(&app);
    let draft = Command::Draft { currency: request.body.currency, lines: request.body.lines.clone() };
    request.create::<Invoice>(&app, id, draft).await
}

/// Change the draft of an invoice.
///
/// Needs `billing:administer`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/billing/invoices/{invoice}", tag = "invoices",
    params(CommandParameters),
    request_body(content = InvoiceDraftPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_invoice_draft(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, InvoiceDraftPatch>,
) -> Result<CommandResult, Problem> {
    let change = Command::ChangeDraft { lines: request.body.lines.clone() };
    request.needing(Capability::Settle).change::<Invoice>(&app, &invoice, change).await
}

/// Discard the draft of an invoice.
///
/// It uses no number. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/discard", tag = "invoices",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn discard_invoice_draft(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.needing(Capability::Settle).change::<Invoice>(&app, &invoice, Command::DiscardDraft).await
}

/// Issue a drafted invoice.
///
/// It gets the next number of the series, and is mailed with its PDF. Needs `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/issue", tag = "invoices",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn issue_invoice(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, request) = (invoice.get()?, request.needing(Capability::Settle));
    if !request.dry_run {
        check_before_use(&app, &request.caller).await;
    }
    let issue = move |tx: Tx| async move { Ok(settling::issue_draft(&tx, id).await?) };
    request.run::<Invoice, _>(&app, id, issue).await
}

/// A transfer that arrived.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    /// In minor units of the invoice's currency; what is above due goes to the balance.
    #[schema(minimum = 1)]
    amount: i64,
    /// The invoice's currency.
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// When it arrived; not in the future.
    #[schema(value_type = String, format = Date)]
    paid_on: Date,
    /// Its text; up to 140 characters.
    #[schema(max_length = 140, example = "PT-2026-000001")]
    reference: String,
    /// Whether another transfer may have the same text.
    #[serde(default)]
    allow_duplicate: bool,
}

/// Record a transfer that pays an invoice, or some of it.
///
/// Needs `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/mark-paid", tag = "invoices",
    params(CommandParameters), request_body = Transfer, responses((status = 200, body = CommandResult)))]
pub(crate) async fn mark_invoice_paid(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, Transfer>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, payment): (InvoiceId, PaymentId) = (invoice.get()?, request.new_id(&app));
    let request = request.needing(Capability::Settle);
    let Transfer { amount, currency, paid_on, reference, allow_duplicate } = &request.body;
    let reference = reference.trim();
    if reference.is_empty() || reference.chars().count() > 140 || reference.chars().any(char::is_control) {
        return Err(Problem::invalid("/reference", "must have 1 to 140 printable characters"));
    }
    let pay = move |tx: Tx| async move {
        let known: Invoice = tx.read(id).await?;
        let of_invoice = known.existing().ok_or_else(Id::<Invoice>::not_found)?.currency();
        if of_invoice.is_some_and(|it| it != *currency) {
            return Err(Problem::invalid("/currency", "must be that of the invoice"));
        }
        let (reference, today) = (reference.to_owned(), today(&tx).await?);
        let (amount, paid_on, allow_duplicate) = (*amount, *paid_on, *allow_duplicate);
        let pay = Command::MarkPaid { payment, amount, reference, paid_on, allow_duplicate, today };
        Ok(settling::mark_paid(&tx, id, &pay).await?)
    };
    request.run::<Invoice, _>(&app, id, pay).await
}

/// Why something is done to an invoice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceReason {
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "sent twice")]
    reason: Reason,
}

/// Void an invoice that has no payments.
///
/// A cancellation credit note over what is left of it is issued; the number stays used. Needs `billing:administer`, and an
/// `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/void", tag = "invoices",
    params(CommandParameters), request_body = InvoiceReason, responses((status = 200, body = CommandResult)))]
pub(crate) async fn void_invoice(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, InvoiceReason>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, note): (InvoiceId, CreditNoteId) = (invoice.get()?, request.new_id(&app));
    let request = request.needing(Capability::Settle);
    let reason = &request.body.reason;
    let void = move |tx: Tx| async move { Ok(settling::void(&tx, id, note, reason.clone()).await?) };
    request.run::<Invoice, _>(&app, id, void).await
}

/// What is credited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceCredit {
    /// At least one.
    lines: Vec<CreditedLine>,
    reason: CreditReason,
    /// Where what was paid beyond what is due goes: to the balance by default.
    #[serde(default = "to_balance")]
    to: Target,
}

fn to_balance() -> Target {
    Target::Balance
}

/// Credit lines of an invoice.
///
/// It lowers what is due first. `line` is the id of a line, `net` minor units without tax. Needs `billing:administer`, and an
/// `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/credit", tag = "invoices",
    params(CommandParameters), request_body = InvoiceCredit, responses((status = 200, body = CommandResult)))]
pub(crate) async fn credit_invoice(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, InvoiceCredit>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, note): (InvoiceId, CreditNoteId) = (invoice.get()?, request.new_id(&app));
    let request = request.needing(Capability::Settle);
    let InvoiceCredit { lines, reason, to } = &request.body;
    if lines.is_empty() {
        return Err(Problem::invalid("/lines", "must have at least one line"));
    }
    let credit = move |tx: Tx| async move { Ok(settling::credit(&tx, id, note, lines, (*reason, *to)).await?) };
    request.run::<Invoice, _>(&app, id, credit).await
}

/// Correct an invoice: credit it as a whole, and issue it again with the present data of the buyer.
///
/// Also if it is paid: payments and balance move over. Needs `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/correct", tag = "invoices",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn correct_invoice(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, new): (InvoiceId, InvoiceId) = (invoice.get()?, request.new_id(&app));
    let note = settling::note_of(id, "correction");
    let request = request.needing(Capability::Settle);
    if !request.dry_run {
        check_before_use(&app, &request.caller).await;
    }
    let correct = move |tx: Tx| async move { Ok(settling::correct(&tx, id, note, new).await?) };
    request.run::<Invoice, _>(&app, id, correct).await
}

/// Mark an overdue invoice as uncollectible.
///
/// A payment that arrives later still counts. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/mark-uncollectible", tag = "invoices",
    params(CommandParameters), request_body = InvoiceReason, responses((status = 200, body = CommandResult)))]
pub(crate) async fn mark_invoice_uncollectible(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<AdministerBilling, InvoiceReason>,
) -> Result<CommandResult, Problem> {
    let (id, request) = (invoice.get()?, request.needing(Capability::Settle));
    let reason = &request.body.reason;
    let mark = move |tx: Tx| async move {
        let (reason, today) = (reason.as_str().to_owned(), today(&tx).await?);
        Ok(tx.decide::<Invoice>(id, &Command::MarkUncollectible { reason, today }).await?)
    };
    request.run::<Invoice, _>(&app, id, mark).await
}

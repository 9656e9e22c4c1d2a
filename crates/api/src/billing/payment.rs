//! The payments of an organization, and of all; what the payer has to confirm (`confirmation.rs`).

mod confirmation;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_app::billing::invoices::settling;
use porttask_domain::{
    OrganizationId, Personal, Reason, TextEnum,
    billing::{
        Payment,
        payment::{Command, PaymentId, Status},
        payment_method::PaymentMethodId,
    },
    compliance::export::{self, Format, PaymentSelection},
    identity::Capability,
};
use porttask_projections::{Change, ColumnType, EventOf, Index, ReadModel, Recorded, billing::payment as view};
use porttask_runtime::{execute::Tx, views::Condition};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::all::names_of;
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::{AdministerBilling, Impersonable, ReadBilling},
    problem::Problem,
    request::{
        Authorized, CommandParameters, CommandRequest, Exported, Id, List, ListFormat, ListParameters, Listed, Resource,
    },
    response::CommandResult,
};

/// The routes of payments.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("payments", "What organizations paid, and what became of it.")
        .routes(routes!(list_payments))
        .routes(routes!(get_payment))
        .routes(routes!(reverse_payment))
        .routes(routes!(confirmation::confirm_payment))
        .routes(routes!(confirmation::simulate_payment_confirmation))
        .routes(routes!(list_all_payments))
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentResponse {
    id: PaymentId,
    organization: OrganizationId,
    /// What it is for: the id of a change of the subscription, or of an invoice.
    #[schema(example = "chg_01h455vb4pex5vsknk084sn02q")]
    target: String,
    /// In minor units.
    amount: u64,
    #[schema(example = "EUR")]
    currency: String,
    /// What was charged; null if it was recorded by hand.
    method: Option<PaymentMethodId>,
    /// The payment provider; null if it was recorded by hand.
    #[schema(example = "stripe")]
    provider: Option<String>,
    /// Which attempt it is, from 1; null if it was recorded by hand.
    attempt: Option<u64>,
    status: Status,
    /// Why it failed.
    #[schema(example = "insufficient_funds")]
    code: Option<String>,
    /// What the provider calls it, or the text of the transfer.
    reference: Option<String>,
    /// How much was refunded, in minor units.
    refunded: u64,
    /// How much the payer's bank took back, in minor units.
    reversed: u64,
    started_at: Timestamp,
    /// When its outcome became known.
    settled_at: Option<Timestamp>,
    /// The version: the ETag.
    version: u64,
}

impl From<view::Payment> for PaymentResponse {
    fn from(row: view::Payment) -> Self {
        Self {
            id: row.payment,
            organization: row.organization,
            target: row.target,
            amount: row.amount,
            currency: row.currency,
            method: row.method,
            provider: row.provider,
            attempt: row.attempt,
            status: row.status,
            code: row.code,
            reference: row.reference,
            refunded: row.refunded,
            reversed: row.reversed,
            started_at: row.started_at,
            settled_at: row.settled_at,
            version: row.version,
        }
    }
}

/// A page of payments.
type PaymentPage = Page<PaymentResponse>;

/// Filters of payments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentFilter {
    /// Only payments with this status.
    status: Option<Status>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

fn with_status(status: Option<Status>) -> Option<Condition> {
    status.map(|status| Condition::Equal("status", status.to_value()))
}

/// The header line of CSV.
const NAMES: [&str; 14] = [
    "id",
    "organization",
    "target",
    "amount",
    "currency",
    "method",
    "provider",
    "attempt",
    "status",
    "code",
    "reference",
    "refunded",
    "reversed",
    "started_at",
];

fn fields(it: PaymentResponse) -> Vec<String> {
    vec![
        it.id.to_string(),
        it.organization.to_string(),
        it.target,
        it.amount.to_string(),
        it.currency,
        it.method.map(|method| method.to_string()).unwrap_or_default(),
        it.provider.unwrap_or_default(),
        it.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        it.status.as_str().to_owned(),
        it.code.unwrap_or_default(),
        it.reference.unwrap_or_default(),
        it.refunded.to_string(),
        it.reversed.to_string(),
        it.started_at.to_string(),
    ]
}

impl Listed for view::Payments {
    type Item = PaymentResponse;
    type Filter = PaymentFilter;
    const SORTS: &'static [Sort] = &[("-started_at", &["started_at", "payment"]), ("amount", &["amount", "payment"])];

    fn conditions(PaymentFilter { status, format: _ }: PaymentFilter) -> Result<Vec<Condition>, Problem> {
        Ok(with_status(status).into_iter().collect())
    }
}

impl Exported for view::Payments {
    const FILE: &'static str = "payments";
    const NAMES: &'static [&'static str] = &NAMES;

    fn format(filter: &PaymentFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &PaymentFilter, _: Option<Personal>) -> export::Command {
        let selection = PaymentSelection { organization: None, status: filter.status };
        export::Command::Take(export::Event::PaymentsTaken { format: Format::Csv, selection })
    }

    fn fields(item: PaymentResponse) -> Vec<String> {
        fields(item)
    }
}

/// List the payments of an organization.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/payments", tag = "payments",
    params(ListParameters<view::Payments>), extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = PaymentPage)))]
pub(crate) async fn list_payments(
    State(app): State<App>,
    payments: List<Impersonable<ReadBilling>, view::Payments>,
) -> Result<Response, Problem> {
    payments.answer(&app).await
}

/// Get a payment.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/payments/{payment}", tag = "payments",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = PaymentResponse)))]
pub(crate) async fn get_payment(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    payment: Id<Payment>,
) -> Result<Resource<PaymentResponse>, Problem> {
    caller.get::<view::Payments>(&app, &[payment.get()?.to_value()], Id::<Payment>::not_found).await
}

/// A chargeback.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chargeback {
    /// How much, in minor units; all that is left if absent.
    #[serde(default)]
    #[schema(minimum = 1)]
    amount: Option<i64>,
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "the cardholder disputes it")]
    reason: Reason,
}

/// Record that the payer's bank took a payment back.
///
/// Needs `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payments/{payment}/reverse", tag = "payments",
    params(CommandParameters), request_body = Chargeback, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reverse_payment(
    State(app): State<App>,
    payment: Id<Payment>,
    request: CommandRequest<AdministerBilling, Chargeback>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let request = request.needing(Capability::Settle);
    let Chargeback { amount, reason } = &request.body;
    let (id, reverse) = (payment.get()?, &Command::Reverse { amount: *amount, reason: reason.as_str().to_owned() });
    let work = move |tx: Tx| async move { Ok(settling::reverse(&tx, id, reverse).await?) };
    request.run::<Payment, _>(&app, id, work).await
}

/// The same read model as [`view::Payments`], listed for all organizations.
pub(crate) struct AllPayments;

impl ReadModel for AllPayments {
    const NAME: &'static str = view::Payments::NAME;
    const VERSION: u32 = view::Payments::VERSION;
    const INDEXES: &'static [Index] = view::Payments::INDEXES;
    type Source = <view::Payments as ReadModel>::Source;
    type Row = view::Payment;

    fn project(row: Option<view::Payment>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<view::Payment> {
        view::Payments::project(row, event, recorded)
    }
}

/// A payment, with the name of its organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundPayment {
    #[serde(flatten)]
    payment: PaymentResponse,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
}

impl From<view::Payment> for FoundPayment {
    fn from(row: view::Payment) -> Self {
        Self { payment: row.into(), organization_name: None }
    }
}

/// A page of payments of any organizations.
type FoundPaymentPage = Page<FoundPayment>;

/// Filters of the payments of all organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllPaymentsFilter {
    /// Only payments of this organization.
    organization: Option<OrganizationId>,
    /// Only payments with this status.
    status: Option<Status>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for AllPayments {
    type Item = FoundPayment;
    type Filter = AllPaymentsFilter;
    const SORTS: &'static [Sort] = &[
        ("-started_at", &["started_at", "organization", "payment"]),
        ("amount", &["amount", "organization", "payment"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(filter: AllPaymentsFilter) -> Result<Vec<Condition>, Problem> {
        let AllPaymentsFilter { organization, status, format: _ } = filter;
        let organization = organization.map(|it| Condition::Equal("organization", it.to_value()));
        Ok(organization.into_iter().chain(with_status(status)).collect())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<FoundPayment>,
    ) -> Result<Vec<FoundPayment>, Problem> {
        let names = names_of(app, items.iter().map(|item| item.payment.organization)).await?;
        for item in &mut items {
            item.organization_name = names.get(&item.payment.organization).cloned().flatten();
        }
        Ok(items)
    }
}

impl Exported for AllPayments {
    const FILE: &'static str = "payments";
    const NAMES: &'static [&'static str] = &NAMES;

    fn format(filter: &AllPaymentsFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &AllPaymentsFilter, _: Option<Personal>) -> export::Command {
        let selection = PaymentSelection { organization: filter.organization, status: filter.status };
        export::Command::Take(export::Event::PaymentsTaken { format: Format::Csv, selection })
    }

    fn fields(item: FoundPayment) -> Vec<String> {
        fields(item.payment)
    }
}

/// List the payments of all organizations.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/payments", tag = "payments", params(ListParameters<AllPayments>),
    responses((status = 200, body = FoundPaymentPage)))]
pub(crate) async fn list_all_payments(
    State(app): State<App>,
    payments: List<AdministerBilling, AllPayments>,
) -> Result<Response, Problem> {
    payments.answer(&app).await
}

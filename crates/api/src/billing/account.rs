//! The billing account of an organization: to whom its documents are addressed, and how it pays.

use axum::extract::State;
use jiff::Timestamp;
use porttask_app::billing::accounts::{ask, check_if_due};
use porttask_domain::{
    Capability, OrganizationId, Reason,
    billing::{
        BillingAccount, Currency, Subscription,
        billing_account::{
            AccountPatch, BillingAccountId, Check, CheckResult, CheckSource, Collection, Command, NewPersons, Rejection,
        },
        billing_document::{Address, Name},
        tax::VatIdState,
        terms::Feature,
    },
};
use porttask_runtime::{
    execute::{self, Tx},
    log::{Position, Version},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::{AdministerBilling, Impersonable, Permission, ReadBilling, WriteBilling},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Resource},
    response::CommandResult,
};

/// The routes of billing accounts.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("billing-account", "To whom an organization's documents are addressed, its VAT id, and how it pays.")
        .routes(routes!(get_billing_account, change_billing_account))
        .routes(routes!(check_vat_id))
        .routes(routes!(request_invoice_billing))
        .routes(routes!(change_collection))
        .routes(routes!(grant_balance))
}

/// A postal address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Address)]
pub(crate) struct AddressResponse {
    /// Its lines; null for one that was erased.
    street: Vec<Option<String>>,
    /// Empty if the country has none.
    postcode: String,
    city: String,
    region: Option<String>,
    /// ISO 3166-1, two letters.
    #[schema(example = "PT")]
    country: String,
}

impl From<&Address> for AddressResponse {
    fn from(address: &Address) -> Self {
        let Address { street, postcode, city, region, country } = address.clone();
        let street = street.iter().map(|line| line.text().map(str::to_owned)).collect();
        Self { street, postcode, city, region, country }
    }
}

/// What is known of a VAT id.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VatIdStatus {
    /// None was entered.
    Missing,
    /// No registry has answered yet.
    Pending,
    Valid,
    Invalid,
}

/// A check of a VAT id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VatIdCheck {
    result: CheckResult,
    source: CheckSource,
    /// The registry's reference.
    reference: Option<String>,
    checked_at: Timestamp,
}

/// How invoices are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CollectionKind {
    /// With a payment method, when they are issued.
    Automatic,
    /// By transfer.
    Invoice,
}

/// How invoices are paid.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionBody {
    kind: CollectionKind,
    /// Within how many days, by transfer: at most 180.
    #[serde(default)]
    #[schema(maximum = 180)]
    days: Option<u16>,
}

impl From<Collection> for CollectionBody {
    fn from(collection: Collection) -> Self {
        match collection {
            Collection::Automatic => Self { kind: CollectionKind::Automatic, days: None },
            Collection::Invoice { days } => Self { kind: CollectionKind::Invoice, days: Some(days) },
        }
    }
}

/// The person to whom documents are sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BillingContact {
    /// Null if it was erased.
    name: Option<String>,
    /// Null if it was erased.
    email: Option<String>,
}

/// An amount that we owe an organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Balance {
    /// In minor units.
    amount: i64,
    #[schema(example = "EUR")]
    currency: String,
}

/// The billing account of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingAccount)]
pub(crate) struct AccountResponse {
    id: BillingAccountId,
    organization: OrganizationId,
    legal_name: Option<String>,
    address: Option<AddressResponse>,
    is_business: bool,
    /// In canonical form.
    #[schema(example = "PT501964843")]
    vat_id: Option<String>,
    vat_id_status: VatIdStatus,
    vat_id_check: Option<VatIdCheck>,
    purchase_order: Option<String>,
    #[schema(example = "en")]
    language: String,
    contact: Option<BillingContact>,
    collection: CollectionBody,
    /// Whether invoices that are paid by transfer were asked for, and nobody decided.
    invoice_billing_requested: bool,
    balances: Vec<Balance>,
    /// What is missing before invoices can be issued.
    missing: Vec<&'static str>,
    /// The version: the ETag. 0 before something was entered.
    version: u64,
}

impl AccountResponse {
    fn new(organization: OrganizationId, state: &BillingAccount, version: u64) -> Self {
        let profile = state.profile();
        let text = |name: &Name| name.text().map(str::to_owned);
        let check = |Check { result, source, reference, checked_at, .. }: &Check| VatIdCheck {
            result: *result,
            source: *source,
            reference: reference.clone(),
            checked_at: *checked_at,
        };
        let owned = |value: Option<&str>| value.map(str::to_owned);
        Self {
            id: organization.into(),
            organization,
            legal_name: profile.legal_name.as_ref().and_then(text),
            address: profile.address.as_ref().map(AddressResponse::from),
            is_business: profile.is_business,
            vat_id: owned(state.tax_id()),
            vat_id_status: match state.vat_id_state() {
                VatIdState::Missing => VatIdStatus::Missing,
                VatIdState::Pending => VatIdStatus::Pending,
                VatIdState::Valid => VatIdStatus::Valid,
                VatIdState::Invalid => VatIdStatus::Invalid,
            },
            vat_id_check: state.check().map(check),
            purchase_order: profile.purchase_order.clone(),
            language: profile.language.clone(),
            contact: profile
                .contact
                .as_ref()
                .map(|it| BillingContact { name: owned(it.name.value()), email: owned(it.email.value()) }),
            collection: state.collection().into(),
            invoice_billing_requested: state.has_requested_invoice_billing(),
            balances: state
                .balances()
                .map(|(currency, amount)| Balance { amount, currency: currency.to_string() })
                .collect(),
            missing: state.missing(),
            version,
        }
    }
}

/// Get the billing account.
///
/// Every organization has one. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/account", tag = "billing-account",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = AccountResponse)))]
pub(crate) async fn get_billing_account(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
) -> Result<Resource<AccountResponse>, Problem> {
    let organization = paying(caller.organization)?;
    let (state, version) = app.executor.load::<BillingAccount>(organization, organization.into()).await?;
    let shown = AccountResponse::new(organization, &state, version.0);
    caller.shows_items(std::slice::from_ref(&shown));
    Ok(Resource::new(shown, Some(version.0)))
}

/// Change the billing account.
///
/// A VAT id is checked at once. Needs `billing:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/billing/account", tag = "billing-account",
    params(CommandParameters),
    request_body(content = AccountPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_billing_account(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, AccountPatch>,
) -> Result<CommandResult, Problem> {
    let (patch, id) = (Box::new(request.body.clone()), BillingAccountId::from(paying(request.caller.organization)?));
    let request = request.needing(Capability::BeAdministered);
    let work = |tx: Tx| {
        let patch = patch.clone();
        async move {
            let new = NewPersons { buyer: tx.new_id(), contact: tx.new_id() };
            Ok(tx.decide::<BillingAccount>(id, &Command::Change { patch, new }).await?)
        }
    };
    let result = request.run::<BillingAccount, _>(&app, id, work).await?;
    if request.dry_run || !result.is_change() {
        return Ok(result);
    }
    let caller = &request.caller;
    let Some((position, version)) = check_before_use(&app, caller).await else { return Ok(result) };
    Ok(result.at(app.positions.seal(caller.identity.organization, position), version.0))
}

/// Checks the VAT id of an organization if that is due: before it is used for a document or a charge. Returns the position
/// and the version of the account if something was recorded. A check that fails is made up for before the next use.
pub(super) async fn check_before_use<P: Permission>(app: &App, caller: &Authorized<P>) -> Option<(Position, Version)> {
    let asked = execute::Request::new(caller.organization, caller.meta.clone());
    let checked = match check_if_due(&app.executor, &*app.settings.tax_registry, &asked).await {
        Ok(checked) => checked.and_then(|it| Some((it.position?, it.events.last()?.version))),
        Err(error) => {
            tracing::warn!(%error, "a VAT id could not be checked");
            None
        }
    };
    let (position, version) = checked?;
    app.last_changes.insert(caller.identity.credential.id(), position);
    Some((position, version))
}

/// Check the VAT id of the billing account.
///
/// A registry that does not answer leaves it pending. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/account/check-tax-id", tag = "billing-account",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn check_vat_id(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let organization = paying(request.caller.organization)?;
    let (account, _) = app.executor.load::<BillingAccount>(organization, organization.into()).await?;
    let tax_id = account.tax_id().ok_or_else(|| execute::Rejected::from(Rejection::NoTaxId))?;
    let check = ask(&*app.settings.tax_registry, tax_id, app.clock.now()).await;
    change(&app, request, Command::RecordCheck(check)).await
}

/// Ask for invoices that are paid by transfer.
///
/// Staff of the platform decides. Needs `billing:write`, and the feature `invoice_billing` of the plan.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/account/request-invoice-billing",
    tag = "billing-account", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn request_invoice_billing(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let organization = paying(request.caller.organization)?;
    let id = BillingAccountId::from(organization);
    let request = request.needing(Capability::BeAdministered);
    let work = |tx: Tx| async move {
        if !tx.read::<Subscription>(organization.into()).await?.has(Feature::InvoiceBilling) {
            return Err(Problem::without_feature("invoices that are paid by transfer", "Enterprise"));
        }
        Ok(tx.decide::<BillingAccount>(id, &Command::RequestInvoiceBilling).await?)
    };
    request.run::<BillingAccount, _>(&app, id, work).await
}

/// Change how an organization pays its invoices.
///
/// It also answers a request for invoices that are paid by transfer. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/account/collection", tag = "billing-account",
    params(CommandParameters), request_body = CollectionBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_collection(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, CollectionBody>,
) -> Result<CommandResult, Problem> {
    let collection = match (request.body.kind, request.body.days) {
        (CollectionKind::Automatic, None) => Collection::Automatic,
        (CollectionKind::Invoice, Some(days)) => Collection::Invoice { days },
        _ => return Err(Problem::invalid("/days", "goes with `kind` `invoice`, and only with it")),
    };
    change(&app, request, Command::ChangeCollection(collection)).await
}

/// Balance that is granted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantedBalance {
    /// In minor units; negative takes some back. The balance never becomes negative.
    amount: i64,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "an outage of two days")]
    reason: Reason,
}

/// Grant balance to an organization, or take some back.
///
/// Invoices are paid from it first. Needs `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/account/grant-balance", tag = "billing-account",
    params(CommandParameters), request_body = GrantedBalance, responses((status = 200, body = CommandResult)))]
pub(crate) async fn grant_balance(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, GrantedBalance>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let GrantedBalance { amount: by, currency, reason } = &request.body;
    let (organization, by, currency) = (request.caller.organization, *by, *currency);
    if by == 0 {
        return Err(Problem::invalid("/amount", "must not be 0"));
    }
    let command = Command::GrantBalance { organization, by, currency, reason: reason.clone() };
    change(&app, request, command).await
}

/// An organization with a billing account: the platform pays nothing for itself.
fn paying(organization: OrganizationId) -> Result<OrganizationId, Problem> {
    match organization {
        OrganizationId::PLATFORM => Err(Problem::not_found("billing-account")),
        organization => Ok(organization),
    }
}

/// Executes a command on the billing account of the request's organization.
async fn change<P: Permission, B>(
    app: &App,
    request: CommandRequest<P, B>,
    command: Command,
) -> Result<CommandResult, Problem> {
    let id = BillingAccountId::from(paying(request.caller.organization)?);
    request.needing(Capability::BeAdministered).change_all::<BillingAccount>(app, id, &[command]).await
}

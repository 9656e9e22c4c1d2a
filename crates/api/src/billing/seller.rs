//! The seller: the legal entity that issues documents, its registrations, tax rates and exchange rates.

use axum::{Json, extract::State};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use porttask_domain::{
    OrganizationId,
    billing::{
        Currency, Seller,
        seller::{Command, ProfilePatch, Registration, Scheme, SellerId},
        vat_id::VatId,
    },
};
use porttask_runtime::execute::Tx;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::account::AddressResponse;
use crate::http::{
    app::App,
    document::tagged,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Params, Resource},
    response::CommandResult,
};

/// The routes of the seller.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("seller", "The legal entity that issues documents: profile, registrations, rates.")
        .routes(routes!(get_seller, change_seller))
        .routes(routes!(add_seller_registration))
        .routes(routes!(remove_seller_registration))
        .routes(routes!(set_tax_rate))
        .routes(routes!(list_exchange_rates, set_exchange_rate))
}

/// A registration of the seller for tax.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SellerRegistration)]
pub(crate) struct RegistrationResponse {
    #[schema(example = "CH")]
    country: String,
    scheme: Scheme,
    #[schema(example = "CHE107787577IVA")]
    vat_id: String,
    /// The first date on which it holds.
    #[schema(value_type = String, format = Date)]
    from: Date,
}

impl From<&Registration> for RegistrationResponse {
    fn from(registration: &Registration) -> Self {
        let Registration { country, scheme, vat_id, from } = registration.clone();
        Self { country, scheme, vat_id, from }
    }
}

/// The standard tax rate of a country, over the built-in table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxRate {
    #[schema(example = "DE")]
    country: String,
    /// In percent.
    #[schema(example = "19")]
    rate: String,
    /// The first date on which it holds.
    #[schema(value_type = String, format = Date)]
    from: Date,
}

/// The logo of the seller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SellerLogo {
    /// The SHA-256 hash, in hexadecimal.
    sha256: String,
    bytes: u64,
    #[schema(example = "image/png")]
    content_type: String,
}

/// The seller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Seller)]
pub(crate) struct SellerResponse {
    id: SellerId,
    legal_name: Option<String>,
    address: Option<AddressResponse>,
    /// In canonical form.
    #[schema(example = "DE136695976")]
    vat_id: Option<String>,
    /// The number in a commercial register.
    registration_number: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// The time zone in which documents are dated.
    #[schema(example = "Europe/Berlin")]
    zone: Option<String>,
    /// The currency in which taxes are accounted for.
    #[schema(example = "EUR")]
    accounting_currency: Option<String>,
    /// The colour of headings.
    accent_colour: Option<String>,
    logo: Option<SellerLogo>,
    /// How numbers of invoices begin.
    #[schema(example = "PT")]
    prefix: String,
    /// How numbers of credit notes begin.
    #[schema(example = "PT-CN")]
    credit_note_prefix: String,
    /// After how many days an invoice is due that is paid by transfer.
    payment_days: u16,
    registrations: Vec<RegistrationResponse>,
    tax_rates: Vec<TaxRate>,
    /// What is missing before documents can be issued.
    missing: Vec<&'static str>,
    /// The version: the ETag. 0 before something was entered.
    version: u64,
}

impl SellerResponse {
    fn new(seller: &Seller, version: u64) -> Self {
        let profile = seller.profile().clone();
        let rate = |(country, from, rate): (&str, Date, Decimal)| TaxRate {
            country: country.to_owned(),
            rate: rate.to_string(),
            from,
        };
        Self {
            id: SellerId::PLATFORM,
            legal_name: profile.legal_name,
            address: profile.address.as_ref().map(AddressResponse::from),
            vat_id: profile.vat_id,
            registration_number: profile.registration_number,
            iban: profile.iban,
            bic: profile.bic,
            email: profile.email,
            phone: profile.phone,
            zone: profile.zone,
            accounting_currency: profile.accounting_currency.map(|currency| currency.to_string()),
            accent_colour: profile.accent_colour,
            logo: profile.logo.map(|it| SellerLogo {
                sha256: it.sha256,
                bytes: it.bytes,
                content_type: it.content_type,
            }),
            prefix: profile.prefix,
            credit_note_prefix: seller.credit_note_prefix(),
            payment_days: profile.payment_days,
            registrations: seller.registrations().map(RegistrationResponse::from).collect(),
            tax_rates: seller.tax_rates().map(rate).collect(),
            missing: seller.missing(),
            version,
        }
    }
}

/// Get the seller.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/seller", tag = "seller",
    responses((status = 200, body = SellerResponse)))]
pub(crate) async fn get_seller(
    State(app): State<App>,
    _caller: Authorized<AdministerBilling>,
) -> Result<Resource<SellerResponse>, Problem> {
    let (state, version) = app.executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    Ok(Resource::new(SellerResponse::new(&state, version.0), Some(version.0)))
}

/// Change the profile of the seller.
///
/// What was issued keeps what it says. Needs `billing:administer`.
#[utoipa::path(patch, path = "/v1/platform/billing/seller", tag = "seller", params(CommandParameters),
    request_body(content = ProfilePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_seller(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, ProfilePatch>,
) -> Result<CommandResult, Problem> {
    let command = Command::ChangeProfile(Box::new(request.body.clone()));
    request.change_all::<Seller>(&app, SellerId::PLATFORM, &[command]).await
}

/// A registration to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRegistration {
    /// ISO 3166-1, two letters.
    #[schema(example = "CH")]
    country: String,
    scheme: Scheme,
    /// The VAT id under it, with its prefix: of this country.
    #[schema(value_type = String, example = "CHE-107.787.577 IVA")]
    vat_id: VatId,
    /// The first date on which it holds.
    #[schema(value_type = String, format = Date)]
    from: Date,
}

/// Add a registration of the seller.
///
/// One of the scheme `local` outside the European Union makes sales there taxed at that country's rate; one of the scheme
/// `oss` makes sales to consumers of other member states taxed at their rates. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/registrations", tag = "seller", params(CommandParameters),
    request_body = NewRegistration, responses((status = 200, body = CommandResult)))]
pub(crate) async fn add_seller_registration(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, NewRegistration>,
) -> Result<CommandResult, Problem> {
    let NewRegistration { country, scheme, vat_id, from } = &request.body;
    let (country, vat_id) = (country.clone(), vat_id.clone());
    let command = Command::AddRegistration { country, scheme: *scheme, vat_id, from: *from };
    request.change_all::<Seller>(&app, SellerId::PLATFORM, &[command]).await
}

/// A registration to be removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovedRegistration {
    #[schema(example = "CH")]
    country: String,
    scheme: Scheme,
}

/// Remove a registration of the seller.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/registrations/remove", tag = "seller",
    params(CommandParameters), request_body = RemovedRegistration, responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_seller_registration(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, RemovedRegistration>,
) -> Result<CommandResult, Problem> {
    let RemovedRegistration { country, scheme } = &request.body;
    let command = Command::RemoveRegistration { country: country.clone(), scheme: *scheme };
    request.change_all::<Seller>(&app, SellerId::PLATFORM, &[command]).await
}

/// A tax rate to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTaxRate {
    /// ISO 3166-1, two letters.
    #[schema(example = "DE")]
    country: String,
    /// In percent, as a decimal number.
    #[schema(example = "19")]
    rate: String,
    /// The first date on which it holds: today in the seller's time zone, or later.
    #[schema(value_type = String, format = Date)]
    from: Date,
}

/// Set the standard tax rate of a country from a date on.
///
/// It holds over the built-in table; territories with a rate of their own keep it. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/tax-rates", tag = "seller", params(CommandParameters),
    request_body = NewTaxRate, responses((status = 200, body = CommandResult)))]
pub(crate) async fn set_tax_rate(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, NewTaxRate>,
) -> Result<CommandResult, Problem> {
    let NewTaxRate { country, rate, from } = &request.body;
    let rate = decimal(rate)?;
    let work = |tx: Tx| async move {
        let today = today(&tx.read::<Seller>(SellerId::PLATFORM).await?, tx.now());
        let command = Command::SetTaxRate { country: country.clone(), rate, from: *from, today };
        Ok(tx.decide::<Seller>(SellerId::PLATFORM, &command).await?)
    };
    request.run::<Seller, _>(&app, SellerId::PLATFORM, work).await
}

/// An exchange rate of the accounting currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExchangeRate)]
pub(crate) struct ExchangeRateResponse {
    #[schema(value_type = String, format = Date)]
    date: Date,
    #[schema(example = "USD")]
    currency: String,
    /// How much of the accounting currency one unit is.
    #[schema(example = "0.8612")]
    rate: String,
    #[schema(example = "ECB")]
    source: String,
}

/// An exchange rate to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExchangeRate {
    /// Not in the future.
    #[schema(value_type = String, format = Date)]
    date: Date,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// How much of the accounting currency one unit is, as a decimal number.
    #[schema(example = "0.8612")]
    rate: String,
    /// Who published it; up to 100 characters.
    #[schema(max_length = 100, example = "ECB")]
    source: String,
}

/// Set an exchange rate.
///
/// It holds on its date and, without a newer one, for seven days. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/exchange-rates", tag = "seller",
    params(CommandParameters), request_body = NewExchangeRate, responses((status = 200, body = CommandResult)))]
pub(crate) async fn set_exchange_rate(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, NewExchangeRate>,
) -> Result<CommandResult, Problem> {
    let NewExchangeRate { date, currency, rate, source } = &request.body;
    let rate = decimal(rate)?;
    let source =
        porttask_domain::Reason::new(source).map_err(|error| Problem::invalid("/source", error.to_string()))?;
    let source = &source;
    let work = |tx: Tx| async move {
        let today = today(&tx.read::<Seller>(SellerId::PLATFORM).await?, tx.now());
        let (date, currency, source) = (*date, *currency, source.as_str().to_owned());
        let command = Command::SetExchangeRate { date, currency, rate, source, today };
        Ok(tx.decide::<Seller>(SellerId::PLATFORM, &command).await?)
    };
    request.run::<Seller, _>(&app, SellerId::PLATFORM, work).await
}

/// The most exchange rates of a response.
const MOST_RATES: usize = 500;

/// Which exchange rates are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExchangeRateFilter {
    /// Only those of this currency.
    #[param(value_type = Option<String>, example = "USD")]
    currency: Option<Currency>,
}

/// Exchange rates, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeRates {
    /// At most 500.
    items: Vec<ExchangeRateResponse>,
}

/// List the exchange rates of the accounting currency, the newest first.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/seller/exchange-rates", tag = "seller", params(ExchangeRateFilter),
    responses((status = 200, body = ExchangeRates)))]
pub(crate) async fn list_exchange_rates(
    State(app): State<App>,
    _caller: Authorized<AdministerBilling>,
    Params(filter): Params<ExchangeRateFilter>,
) -> Result<Json<ExchangeRates>, Problem> {
    let (seller, _) = app.executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    let rates = seller.exchange_rates().filter(|(currency, _)| filter.currency.is_none_or(|it| it == *currency));
    let shown = rates.map(|(currency, rate)| ExchangeRateResponse {
        date: rate.on,
        currency: currency.to_string(),
        rate: rate.rate.to_string(),
        source: rate.source,
    });
    let mut items: Vec<ExchangeRateResponse> = shown.collect();
    items.sort_by(|one, other| (other.date, &one.currency).cmp(&(one.date, &other.currency)));
    items.truncate(MOST_RATES);
    Ok(Json(ExchangeRates { items }))
}

fn decimal(rate: &str) -> Result<Decimal, Problem> {
    rate.trim().parse().map_err(|_| Problem::invalid("/rate", "must be a number such as 19.5"))
}

/// The current date in the seller's zone; in UTC before it has one.
fn today(seller: &Seller, now: Timestamp) -> Date {
    now.to_zoned(seller.zone().unwrap_or(TimeZone::UTC)).date()
}

//! The plans that the platform sells.

mod exported;

use std::{collections::BTreeSet, str::FromStr};

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        Currency, Plan,
        period::Interval,
        plan::{Code, Command, PlanId, ProductName, Visibility},
        terms::{Feature, Limits, Meter, Offer, Overage, PlanPrice},
    },
};
use porttask_projections::{ColumnType, billing::plan as view};
use porttask_runtime::{execute::Tx, views::Condition};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::WritePlans,
    problem::{FieldError, Problem},
    request::{
        Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListFormat, ListParameters, Listed,
        Resource, not_null,
    },
    response::CommandResult,
};

/// The routes of plans.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("plans", "The plans that the platform sells, in versions that never change.")
        .routes(routes!(create_plan, list_plans))
        .routes(routes!(get_plan, change_plan))
        .routes(routes!(publish_plan_version))
        .routes(routes!(retire_plan))
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanResponse {
    id: PlanId,
    #[schema(example = "starter")]
    code: String,
    #[schema(example = "Starter")]
    name: String,
    visibility: Visibility,
    /// The only organization that it is for; null for all.
    for_organization: Option<OrganizationId>,
    /// Whether it is sold no longer.
    retired: bool,
    /// The last version, which new subscriptions get; null before the first.
    offer: Option<PlanOffer>,
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

/// A version of a plan: prices, features and limits.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlanOffer {
    /// 1, 2, …
    version: u64,
    prices: Vec<PlanOfferPrice>,
    /// The users that the price includes.
    included_seats: u32,
    prices_include_tax: bool,
    features: BTreeSet<Feature>,
    limits: PlanLimits,
    overage: Vec<PlanOverage>,
    trial_days: u32,
}

/// What a plan costs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanOfferPrice {
    #[schema(example = "EUR")]
    currency: String,
    interval: Interval,
    /// In minor units.
    #[schema(example = 4_900)]
    price: i64,
    /// Of an extra seat, in minor units; null if none is sold.
    #[schema(example = 500)]
    #[serde(default)]
    seat_price: Option<i64>,
}

/// What a plan limits; null means no limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanLimits {
    /// Of a plan that sells no seats.
    #[serde(default)]
    users: Option<u64>,
    /// In a usage month.
    #[serde(default)]
    port_calls: Option<u64>,
    #[serde(default)]
    storage_bytes: Option<u64>,
    /// In a usage month.
    #[serde(default)]
    api_calls: Option<u64>,
}

/// What is billed beyond a limit, which then only says what is included.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanOverage {
    meter: Meter,
    #[schema(example = "EUR")]
    currency: String,
    /// How many are one unit.
    #[schema(minimum = 1)]
    unit: u64,
    /// The price of a unit that has begun, as a decimal number of the currency.
    #[schema(example = "1.50")]
    price_per_unit: String,
}

impl PlanOffer {
    pub(super) fn new(version: u64, offer: &Offer) -> Self {
        let price = |it: &PlanPrice| PlanOfferPrice {
            currency: it.currency.to_string(),
            interval: it.interval,
            price: it.price,
            seat_price: it.seat_price,
        };
        let overage = |it: &Overage| PlanOverage {
            meter: it.meter,
            currency: it.currency.to_string(),
            unit: it.unit,
            price_per_unit: it.price_per_unit.to_string(),
        };
        let Limits { users, port_calls, storage_bytes, api_calls } = offer.limits;
        Self {
            version,
            prices: offer.prices.iter().map(price).collect(),
            included_seats: offer.included_seats,
            prices_include_tax: offer.prices_include_tax,
            features: offer.features.clone(),
            limits: PlanLimits { users, port_calls, storage_bytes, api_calls },
            overage: offer.overage.iter().map(overage).collect(),
            trial_days: offer.trial_days,
        }
    }
}

impl From<view::Plan> for PlanResponse {
    fn from(row: view::Plan) -> Self {
        let offer = row.offer.as_deref().and_then(|json| serde_json::from_str::<Offer>(json).ok());
        Self {
            id: row.plan,
            code: row.code,
            name: row.name,
            visibility: row.visibility,
            for_organization: row.for_organization,
            retired: row.is_retired,
            offer: offer.zip(row.offer_version).map(|(offer, version)| PlanOffer::new(version, &offer)),
            created_at: row.created_at,
            version: row.version,
        }
    }
}

impl PlanResponse {
    /// Its id.
    pub(super) fn id(&self) -> PlanId {
        self.id
    }

    /// Its last version.
    pub(super) fn offer_version(&self) -> Option<u64> {
        self.offer.as_ref().map(|offer| offer.version)
    }

    /// Whether an organization can choose it by itself, or, if staff asks, be given it.
    pub(super) fn is_on_offer_for(&self, organization: OrganizationId, by_staff: bool) -> bool {
        let is_for = self.for_organization == Some(organization);
        let is_open = self.visibility == Visibility::Public || by_staff;
        !self.retired && self.offer.is_some() && (is_for || is_open && self.for_organization.is_none())
    }
}

/// A page of plans.
type PlanPage = Page<PlanResponse>;

/// Filters of plans.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFilter {
    /// Only plans with this visibility.
    visibility: Option<Visibility>,
    /// Only plans that are retired; with `false`, only others.
    retired: Option<bool>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for view::Plans {
    type Item = PlanResponse;
    type Filter = PlanFilter;
    const SORTS: &'static [Sort] = &[("name", &["normalized_name", "plan"]), ("created_at", &["created_at", "plan"])];

    fn conditions(PlanFilter { visibility, retired, format: _ }: PlanFilter) -> Result<Vec<Condition>, Problem> {
        let visibility = visibility.map(|it| Condition::Equal("visibility", it.to_value()));
        let retired = retired.map(|it| Condition::Equal("is_retired", it.to_value()));
        Ok(visibility.into_iter().chain(retired).collect())
    }
}

/// The content of a version to be published.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlanVersion {
    /// One for each currency and interval that is sold.
    prices: Vec<PlanOfferPrice>,
    included_seats: u32,
    #[serde(default)]
    prices_include_tax: bool,
    #[serde(default)]
    features: BTreeSet<Feature>,
    limits: PlanLimits,
    #[serde(default)]
    overage: Vec<PlanOverage>,
    /// 14 by default.
    #[serde(default = "trial_days")]
    trial_days: u32,
}

fn trial_days() -> u32 {
    14
}

impl NewPlanVersion {
    fn offer(&self, place: &str) -> Result<Offer, Problem> {
        let mut errors = Vec::new();
        let mut invalid = |pointer: String, detail: String| errors.push(FieldError { pointer, detail });
        let mut prices = Vec::new();
        for (index, it) in self.prices.iter().enumerate() {
            match Currency::from_str(&it.currency) {
                Ok(currency) => {
                    let (interval, price, seat_price) = (it.interval, it.price, it.seat_price);
                    prices.push(PlanPrice { currency, interval, price, seat_price });
                }
                Err(error) => invalid(format!("{place}/prices/{index}/currency"), error.to_string()),
            }
        }
        let mut overage = Vec::new();
        for (index, it) in self.overage.iter().enumerate() {
            match (Currency::from_str(&it.currency), Decimal::from_str(&it.price_per_unit)) {
                (Ok(currency), Ok(price_per_unit)) => {
                    overage.push(Overage { meter: it.meter, currency, unit: it.unit, price_per_unit });
                }
                (Err(error), _) => invalid(format!("{place}/overage/{index}/currency"), error.to_string()),
                (_, Err(_)) => {
                    let detail = "must be a decimal number such as 1.50".to_owned();
                    invalid(format!("{place}/overage/{index}/price_per_unit"), detail);
                }
            }
        }
        if !errors.is_empty() {
            return Err(Problem::invalid_fields(errors));
        }
        let PlanLimits { users, port_calls, storage_bytes, api_calls } = self.limits;
        Ok(Offer {
            prices,
            included_seats: self.included_seats,
            prices_include_tax: self.prices_include_tax,
            features: self.features.clone(),
            limits: Limits { users, port_calls, storage_bytes, api_calls },
            overage,
            trial_days: self.trial_days,
        })
    }
}

/// A plan to be created, with its first version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlan {
    /// Unique on the platform.
    #[schema(value_type = String, max_length = 40, example = "harbour-2027")]
    code: Code,
    #[schema(value_type = String, max_length = 100, example = "Harbour")]
    name: ProductName,
    visibility: Visibility,
    /// The only organization that it is for; the plan must be private.
    #[serde(default)]
    for_organization: Option<OrganizationId>,
    offer: NewPlanVersion,
}

/// A change of a plan: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 100)]
    name: Option<ProductName>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Visibility, required = false)]
    visibility: Option<Visibility>,
}

/// Create a plan and publish its first version.
///
/// Needs `plans:write`.
#[utoipa::path(post, path = "/v1/platform/billing/plans", tag = "plans", params(CommandParameters),
    request_body = NewPlan, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_plan(
    State(app): State<App>,
    request: CommandRequest<WritePlans, NewPlan>,
) -> Result<Response, Problem> {
    let (plan, offer): (PlanId, Offer) = (request.new_id(&app), request.body.offer.offer("/offer")?);
    if let Some(organization) = request.body.for_organization
        && app.database.partition_of(organization).await.map_err(|error| Problem::unavailable(&error))?.is_none()
    {
        return Err(Problem::invalid("/for_organization", "there is no such organization"));
    }
    let NewPlan { code, name, visibility, for_organization, .. } = &request.body;
    let (code, name, visibility, for_organization) = (code.clone(), name.clone(), *visibility, *for_organization);
    let commands = &[Command::Create { code, name, visibility, for_organization }, Command::Publish { offer }];
    let work = move |tx: Tx| async move {
        tx.decide_new::<Plan>(plan, &commands[0]).await?;
        Ok(tx.decide::<Plan>(plan, &commands[1]).await?)
    };
    request.create_with::<Plan, _>(&app, plan, work).await
}

/// List plans.
///
/// Needs `plans:write`.
#[utoipa::path(get, path = "/v1/platform/billing/plans", tag = "plans", params(ListParameters<view::Plans>),
    responses((status = 200, description = "The plans", content(
        (PlanPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_plans(
    State(app): State<App>,
    plans: List<WritePlans, view::Plans>,
) -> Result<Response, Problem> {
    plans.answer(&app).await
}

/// Get a plan.
///
/// Needs `plans:write`.
#[utoipa::path(get, path = "/v1/platform/billing/plans/{plan}", tag = "plans",
    responses((status = 200, body = PlanResponse)))]
pub(crate) async fn get_plan(
    State(app): State<App>,
    caller: Authorized<WritePlans>,
    plan: Id<Plan>,
) -> Result<Resource<PlanResponse>, Problem> {
    caller.get::<view::Plans>(&app, &[plan.get()?.to_value()], Id::<Plan>::not_found).await
}

/// Change a plan's name and visibility.
///
/// Needs `plans:write`.
#[utoipa::path(patch, path = "/v1/platform/billing/plans/{plan}", tag = "plans", params(CommandParameters),
    request_body(content = PlanPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_plan(
    State(app): State<App>,
    plan: Id<Plan>,
    request: CommandRequest<WritePlans, PlanPatch>,
) -> Result<CommandResult, Problem> {
    let name = request.body.name.clone().map(|name| Command::Rename { name });
    let visibility = request.body.visibility.map(|visibility| Command::ChangeVisibility { visibility });
    let commands: Vec<Command> = name.into_iter().chain(visibility).collect();
    request.change_all::<Plan>(&app, plan.get()?, &commands).await
}

/// Publish another version of a plan.
///
/// New subscriptions get it; present ones keep theirs until they are migrated. Needs `plans:write`.
#[utoipa::path(post, path = "/v1/platform/billing/plans/{plan}/versions", tag = "plans", params(CommandParameters),
    request_body = NewPlanVersion, responses((status = 200, body = CommandResult)))]
pub(crate) async fn publish_plan_version(
    State(app): State<App>,
    plan: Id<Plan>,
    request: CommandRequest<WritePlans, NewPlanVersion>,
) -> Result<CommandResult, Problem> {
    let offer = request.body.offer("")?;
    request.change::<Plan>(&app, &plan, Command::Publish { offer }).await
}

/// Retire a plan.
///
/// It is sold no longer; who holds it keeps it. Needs `plans:write`.
#[utoipa::path(post, path = "/v1/platform/billing/plans/{plan}/retire", tag = "plans", params(CommandParameters),
    request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn retire_plan(
    State(app): State<App>,
    plan: Id<Plan>,
    request: CommandRequest<WritePlans, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<Plan>(&app, &plan, Command::Retire).await
}

//! The coupons that organizations redeem.

mod exported;

use std::str::FromStr;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_app::billing::subscriptions::counted;
use porttask_domain::{
    OrganizationId,
    billing::{
        Coupon, Currency,
        coupon::{AppliesTo, Command, CouponId, DiscountTerms, Duration, Off, Redemption},
        plan::{Code, PlanId, ProductName},
        subscription::REDEMPTIONS,
    },
};
use porttask_projections::{ColumnType, billing::coupon as view};
use porttask_runtime::views::Condition;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::AdministerBilling,
    problem::Problem,
    request::{
        Authorized, CommandParameters, CommandRequest, EmptyBody, Id, Instant, List, ListFormat, ListParameters,
        Listed, Resource, not_null,
    },
    response::CommandResult,
};

/// The routes of coupons.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("coupons", "Codes that organizations redeem for a discount.")
        .routes(routes!(create_coupon, list_coupons))
        .routes(routes!(get_coupon, change_coupon))
        .routes(routes!(retire_coupon))
}

/// For how many periods a discount holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DiscountDuration {
    /// One period.
    Once,
    /// The periods in `periods`.
    Periods,
    /// Always.
    Forever,
}

/// What a discount takes off: either `percent`, or `amount` and `currency`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscountBody {
    /// Above 0, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "10")]
    percent: Option<String>,
    /// For each period, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    /// It does not apply to subscriptions in another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    duration: DiscountDuration,
    /// How many, if `duration` is `periods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    periods: Option<u32>,
    /// All recurring lines by default.
    #[serde(default = "all")]
    applies_to: AppliesTo,
    /// The plans that it applies to; all if empty.
    #[serde(default)]
    plans: Vec<PlanId>,
}

fn all() -> AppliesTo {
    AppliesTo::All
}

impl From<&DiscountTerms> for DiscountBody {
    fn from(terms: &DiscountTerms) -> Self {
        let (percent, amount, currency) = match &terms.off {
            Off::Percent(percent) => (Some(percent.to_string()), None, None),
            Off::Amount { amount, currency } => (None, Some(*amount), Some(currency.to_string())),
        };
        let (duration, periods) = match terms.duration {
            Duration::Once => (DiscountDuration::Once, None),
            Duration::Periods(periods) => (DiscountDuration::Periods, Some(periods)),
            Duration::Forever => (DiscountDuration::Forever, None),
        };
        let (applies_to, plans) = (terms.applies_to, terms.plans.clone());
        Self { percent, amount, currency, duration, periods, applies_to, plans }
    }
}

impl DiscountBody {
    pub(super) fn terms(&self, place: &str) -> Result<DiscountTerms, Problem> {
        let at = |field: &str| format!("{place}/{field}");
        let off = match (&self.percent, self.amount, &self.currency) {
            (Some(percent), None, None) => {
                let percent = Decimal::from_str(percent);
                Off::Percent(percent.map_err(|_| Problem::invalid(at("percent"), "must be a number such as 12.5"))?)
            }
            (None, Some(amount), Some(currency)) => {
                let currency = Currency::from_str(currency);
                let currency = currency.map_err(|error| Problem::invalid(at("currency"), error.to_string()))?;
                Off::Amount { amount, currency }
            }
            _ => return Err(Problem::invalid(at("percent"), "give either `percent`, or `amount` and `currency`")),
        };
        let duration = match (self.duration, self.periods) {
            (DiscountDuration::Once, None) => Duration::Once,
            (DiscountDuration::Forever, None) => Duration::Forever,
            (DiscountDuration::Periods, Some(periods)) => Duration::Periods(periods),
            _ => return Err(Problem::invalid(at("periods"), "goes with `duration` `periods`, and only with it")),
        };
        let (applies_to, plans) = (self.applies_to, self.plans.clone());
        Ok(DiscountTerms { off, duration, applies_to, plans })
    }
}

/// Until when and how often a coupon can be redeemed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CouponBounds {
    redeem_from: Option<Timestamp>,
    /// Exclusive.
    redeem_until: Option<Timestamp>,
    /// On the whole platform; null for no maximum.
    max_redemptions: Option<u32>,
}

/// A coupon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Coupon)]
pub(crate) struct CouponResponse {
    id: CouponId,
    #[schema(example = "WELCOME10")]
    code: String,
    name: String,
    discount: Option<DiscountBody>,
    redemption: CouponBounds,
    /// How often it was redeemed.
    redemptions: u64,
    /// Whether it is accepted no longer.
    retired: bool,
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

impl From<view::Coupon> for CouponResponse {
    fn from(row: view::Coupon) -> Self {
        let terms: Option<DiscountTerms> = serde_json::from_str(&row.terms).ok();
        let redemption: Redemption = serde_json::from_str(&row.redemption).unwrap_or_default();
        Self {
            id: row.coupon,
            code: row.code,
            name: row.name,
            discount: terms.as_ref().map(DiscountBody::from),
            redemption: CouponBounds {
                redeem_from: redemption.redeem_from,
                redeem_until: redemption.redeem_until,
                max_redemptions: redemption.max_redemptions,
            },
            redemptions: 0,
            retired: row.is_retired,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A page of coupons.
type CouponPage = Page<CouponResponse>;

/// Filters of coupons.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CouponFilter {
    /// Only coupons that are retired; with `false`, only others.
    retired: Option<bool>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for view::Coupons {
    type Item = CouponResponse;
    type Filter = CouponFilter;
    const SORTS: &'static [Sort] =
        &[("name", &["normalized_name", "coupon"]), ("created_at", &["created_at", "coupon"])];

    fn conditions(CouponFilter { retired, format: _ }: CouponFilter) -> Result<Vec<Condition>, Problem> {
        Ok(retired.map(|it| Condition::Equal("is_retired", it.to_value())).into_iter().collect())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<CouponResponse>,
    ) -> Result<Vec<CouponResponse>, Problem> {
        for item in &mut items {
            let name = format!("{REDEMPTIONS} {}", item.id);
            let redemptions = counted(&app.executor, OrganizationId::PLATFORM, name).await;
            item.redemptions = redemptions.map_err(|error| Problem::unavailable(&error))?;
        }
        Ok(items)
    }
}

/// A coupon to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCoupon {
    /// Unique on the platform, whatever the case.
    #[schema(value_type = String, max_length = 40, example = "WELCOME10")]
    code: Code,
    #[schema(value_type = String, max_length = 100, example = "Welcome")]
    name: ProductName,
    discount: DiscountBody,
    #[serde(default)]
    redemption: CouponRedemption,
}

/// A change of a coupon: a JSON merge patch (RFC 7396), but that `redemption` is replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CouponPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 100)]
    name: Option<ProductName>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = CouponRedemption, required = false)]
    redemption: Option<CouponRedemption>,
}

/// Until when and how often a coupon can be redeemed; null or absent means no bound.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CouponRedemption {
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    redeem_from: Option<Instant>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    redeem_until: Option<Instant>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_redemptions: Option<u32>,
}

impl CouponRedemption {
    fn bounds(&self) -> Redemption {
        let Self { redeem_from, redeem_until, max_redemptions } = self;
        let [redeem_from, redeem_until] = [redeem_from, redeem_until].map(|it| it.map(|it| it.0));
        Redemption { redeem_from, redeem_until, max_redemptions: *max_redemptions }
    }
}

/// Create a coupon.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/coupons", tag = "coupons", params(CommandParameters),
    request_body = NewCoupon, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_coupon(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, NewCoupon>,
) -> Result<Response, Problem> {
    let (coupon, body): (CouponId, _) = (request.new_id(&app), &request.body);
    let create = Command::Create {
        code: body.code.clone(),
        name: body.name.clone(),
        terms: body.discount.terms("/discount")?,
        redemption: body.redemption.bounds(),
    };
    request.create::<Coupon>(&app, coupon, create).await
}

/// List coupons.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/coupons", tag = "coupons", params(ListParameters<view::Coupons>),
    responses((status = 200, description = "The coupons", content(
        (CouponPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_coupons(
    State(app): State<App>,
    coupons: List<AdministerBilling, view::Coupons>,
) -> Result<Response, Problem> {
    coupons.answer(&app).await
}

/// Get a coupon.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/coupons/{coupon}", tag = "coupons",
    responses((status = 200, body = CouponResponse)))]
pub(crate) async fn get_coupon(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
    coupon: Id<Coupon>,
) -> Result<Resource<CouponResponse>, Problem> {
    caller.get::<view::Coupons>(&app, &[coupon.get()?.to_value()], Id::<Coupon>::not_found).await
}

/// Change a coupon's name, and until when and how often it can be redeemed.
///
/// Needs `billing:administer`.
#[utoipa::path(patch, path = "/v1/platform/billing/coupons/{coupon}", tag = "coupons", params(CommandParameters),
    request_body(content = CouponPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_coupon(
    State(app): State<App>,
    coupon: Id<Coupon>,
    request: CommandRequest<AdministerBilling, CouponPatch>,
) -> Result<CommandResult, Problem> {
    let CouponPatch { name, redemption: bounds } = &request.body;
    let bounds = bounds.as_ref().map(CouponRedemption::bounds);
    request.change::<Coupon>(&app, &coupon, Command::Change { name: name.clone(), redemption: bounds }).await
}

/// Retire a coupon.
///
/// It is accepted no longer; discounts that were redeemed go on. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/coupons/{coupon}/retire", tag = "coupons",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn retire_coupon(
    State(app): State<App>,
    coupon: Id<Coupon>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<Coupon>(&app, &coupon, Command::Retire).await
}

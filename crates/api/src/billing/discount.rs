//! The discounts of a subscription.

use axum::{extract::State, http::StatusCode};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::attempts::WRONG_CODES;
use porttask_domain::{
    Kind, OrganizationId,
    billing::{
        Coupon, Subscription,
        coupon::{CODES, CouponId, DiscountId},
        plan::Code,
        subscription::{Command, HeldDiscount, REDEMPTIONS, SubscriptionId},
    },
    identity::Capability,
};
use porttask_runtime::execute::{Rejected, Tx};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{coupon::DiscountBody, subscription::change};
use crate::http::{
    app::App,
    document::tagged,
    permissions::{AdministerBilling, WriteBilling},
    problem::Problem,
    request::{CommandParameters, CommandRequest, EmptyBody},
    response::CommandResult,
};

/// The routes of discounts.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("discounts", "The discounts of a subscription.")
        .routes(routes!(redeem_coupon))
        .routes(routes!(add_discount))
        .routes(routes!(remove_discount))
}

/// A discount of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldDiscount)]
pub(crate) struct HeldDiscountResponse {
    id: DiscountId,
    discount: DiscountBody,
    redeemed_at: Timestamp,
    /// The periods that are left after the current one; null means always.
    periods_left: Option<u32>,
}

impl HeldDiscountResponse {
    pub(super) fn new(id: DiscountId, held: &HeldDiscount) -> Self {
        let (discount, redeemed_at, periods_left) = ((&held.terms).into(), held.redeemed_at, held.periods_left);
        Self { id, discount, redeemed_at, periods_left }
    }
}

/// A coupon to be redeemed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemedCode {
    /// The code, whatever the case.
    #[schema(example = "WELCOME10", max_length = 40)]
    code: String,
}

const NOT_REDEEMABLE: &str = "coupon-not-redeemable";

/// One answer for all codes that cannot be redeemed, so that none can be guessed.
fn not_redeemable() -> Problem {
    Rejected {
        kind: Kind::Conflict,
        slug: NOT_REDEEMABLE,
        message: "the coupon cannot be redeemed: it is unknown, expired or used up, or was redeemed before".to_owned(),
        retry_after_seconds: None,
    }
    .into()
}

fn too_many_wrong_codes(pause: SignedDuration) -> Problem {
    let seconds = u32::try_from(pause.as_secs()).unwrap_or_default().saturating_add(1);
    let detail = format!(
        "Your organization has entered {WRONG_CODES} codes within an hour that cannot be redeemed. Retry after {seconds} s."
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail).after(seconds)
}

/// Redeem a coupon.
///
/// Its discount applies from the next period on. A coupon is redeemed once per organization. After 10 codes within an hour
/// that cannot be redeemed (`coupon-not-redeemable`), also in dry runs, an organization gets 429 `too-many-attempts` until the
/// hour is over. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/discounts", tag = "discounts",
    params(CommandParameters), request_body = RedeemedCode, responses((status = 200, body = CommandResult)))]
pub(crate) async fn redeem_coupon(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, RedeemedCode>,
) -> Result<CommandResult, Problem> {
    let code = Code::new(&request.body.code).map_err(|_| not_redeemable())?;
    let attempt = app.attempts.begin_code(request.caller.organization, app.clock.now()).await;
    let attempt = attempt.map_err(too_many_wrong_codes)?;
    let redeemed = redeem(&app, request, &code).await;
    if !redeemed.as_ref().is_err_and(|problem| problem.slug() == NOT_REDEEMABLE) {
        app.attempts.withdraw_code(attempt);
    }
    redeemed
}

async fn redeem(
    app: &App,
    request: CommandRequest<WriteBilling, RedeemedCode>,
    code: &Code,
) -> Result<CommandResult, Problem> {
    let request = request.needing(Capability::BeAdministered);
    let (organization, discount): (OrganizationId, DiscountId) = (request.caller.organization, request.new_id(app));
    let key = app.vault.claim_key(OrganizationId::PLATFORM, CODES, &code.comparable());
    let holder = app.database.holder(&key).await.map_err(|error| Problem::unavailable(&error))?;
    let coupon = holder.and_then(|id| id.parse::<CouponId>().ok()).ok_or_else(not_redeemable)?;
    let id = SubscriptionId::from(organization);
    let work = move |tx: Tx| async move {
        let state: Coupon = tx.read_in(OrganizationId::PLATFORM, coupon).await?;
        let (terms, maximum) = state.redeemable(tx.now()).ok_or_else(not_redeemable)?;
        if let Some(maximum) = maximum {
            tx.limit(REDEMPTIONS, maximum.into());
        }
        let (coupon, terms, now) = (Some(coupon), terms.clone(), tx.now());
        Ok(tx.decide::<Subscription>(id, &Command::AddDiscount { discount, coupon, terms, now }).await?)
    };
    request.run::<Subscription, _>(app, id, work).await
}

/// Add a promotional discount.
///
/// It applies from the next period on. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/discounts/add", tag = "discounts",
    params(CommandParameters), request_body = DiscountBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn add_discount(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, DiscountBody>,
) -> Result<CommandResult, Problem> {
    let terms = request.body.terms("")?;
    terms.must_be_valid().map_err(Rejected::from)?;
    let (discount, now) = (request.new_id(&app), app.clock.now());
    change(&app, request, Command::AddDiscount { discount, coupon: None, terms, now }).await
}

/// Remove a discount, from the next period on.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/discounts/{discount}/remove",
    tag = "discounts", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_discount(
    State(app): State<App>,
    discount: axum::extract::Path<Vec<(String, String)>>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let found = discount.0.iter().find_map(|(_, text)| text.parse::<DiscountId>().ok());
    let discount = found.ok_or_else(|| Problem::not_found("discount"))?;
    change(&app, request, Command::RemoveDiscount { discount }).await
}

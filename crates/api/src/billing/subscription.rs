//! The subscription of an organization; its changes (`change.rs`).

mod change;

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    OrganizationId, Reason,
    billing::{
        Subscription,
        quote::Change,
        subscription::{Cause, ChangeId, Command, Period, Scheduled, Status, SubscriptionId},
        terms::Feature,
    },
    identity::{Capability, settings::ZoneName},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    discount::HeldDiscountResponse,
    plan::{PlanOffer, PlanResponse},
    quote::{HeldPlan, QuoteResponse},
};
use crate::http::{
    app::App,
    changes::Undo,
    document::tagged,
    permissions::{AdministerBilling, Impersonable, Permission, ReadBilling, WriteBilling, is_staff},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Resource},
    response::{CommandResult, place_of},
};

/// The routes of subscriptions.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("subscription", "What an organization holds of a plan: its trial, changes, cancellation.")
        .routes(routes!(get_subscription))
        .routes(routes!(list_plans_on_offer))
        .routes(routes!(change::preview_subscription_change))
        .routes(routes!(change::change_subscription))
        .routes(routes!(cancel_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(withdraw_subscription_change))
        .routes(routes!(extend_trial))
        .routes(routes!(end_subscription))
        .routes(routes!(change_billing_zone))
}

/// The subscription of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(crate) struct SubscriptionResponse {
    id: SubscriptionId,
    organization: OrganizationId,
    status: Status,
    /// What is held; null before a plan is paid for.
    held: Option<HeldPlan>,
    /// What begins after the trial; null if nothing was chosen.
    chosen: Option<HeldPlan>,
    /// The name of the plan whose limits hold.
    #[schema(example = "Professional")]
    limits_of: String,
    /// The features that are included.
    features: BTreeSet<Feature>,
    /// The current period; null unless it is active.
    period: Option<SubscriptionPeriod>,
    /// The first date after the trial.
    #[schema(value_type = String, format = Date)]
    trial_until: Option<Date>,
    /// The change that takes effect later.
    scheduled: Option<ScheduledChange>,
    /// The first date on which nothing is held, because it is canceled.
    #[schema(value_type = Option<String>, format = Date)]
    canceled_from: Option<Date>,
    /// The change that is being paid.
    change: Option<ChangeId>,
    discounts: Vec<HeldDiscountResponse>,
    /// The time zone in which days are counted.
    #[schema(example = "Europe/Lisbon")]
    time_zone: String,
    /// The next renewal, as it would be now.
    next: Option<QuoteResponse>,
    /// The version: the ETag.
    version: u64,
}

/// A period that is paid in advance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionPeriod {
    #[schema(value_type = String, format = Date)]
    from: Date,
    /// The date after the last one.
    #[schema(value_type = String, format = Date)]
    until: Date,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// A change that takes effect later.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduledChange {
    /// The first date on which the new terms hold.
    #[schema(value_type = String, format = Date)]
    effective: Date,
    to: HeldPlan,
    cause: Cause,
}

impl SubscriptionResponse {
    fn new(organization: OrganizationId, state: &Subscription, version: u64, now: Timestamp) -> Option<Self> {
        let next = state.quote(&Change::None, now, Default::default()).ok();
        let is_held = state.status() != Some(Status::Trialing);
        let period =
            |Period { from, until, starts_at, ends_at }| SubscriptionPeriod { from, until, starts_at, ends_at };
        let scheduled =
            |it: &Scheduled| ScheduledChange { effective: it.effective, to: (&it.to).into(), cause: it.cause };
        Some(Self {
            id: organization.into(),
            organization,
            status: state.status()?,
            held: state.held().filter(|_| is_held).map(HeldPlan::from),
            chosen: state.chosen().map(HeldPlan::from),
            limits_of: state.terms()?.name.clone(),
            features: state.terms()?.offer.features.clone(),
            period: state.period().map(period),
            trial_until: state.trial_until(),
            scheduled: state.scheduled().map(scheduled),
            canceled_from: state.canceled_from(),
            change: state.in_flight().map(|(change, ..)| change),
            discounts: state.discounts().map(|(id, discount)| HeldDiscountResponse::new(id, discount)).collect(),
            time_zone: state.zone()?.to_owned(),
            next: next.as_ref().map(QuoteResponse::from),
            version,
        })
    }
}

/// Get the subscription, with a quote of its next renewal.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/subscription", tag = "subscription",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = SubscriptionResponse)))]
pub(crate) async fn get_subscription(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
) -> Result<Resource<SubscriptionResponse>, Problem> {
    let organization = caller.organization;
    let (state, version) = app.executor.load::<Subscription>(organization, organization.into()).await?;
    let shown = SubscriptionResponse::new(organization, &state, version.0, app.clock.now());
    let shown = shown.ok_or_else(|| Problem::not_found("subscription"))?;
    caller.shows_items(std::slice::from_ref(&shown));
    Ok(Resource::new(shown, Some(version.0)))
}

/// A plan that an organization can choose.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedPlan {
    #[serde(flatten)]
    plan: PlanResponse,
    /// Whether it is held.
    current: bool,
    /// The version that is held, if it is not the last one.
    held_offer: Option<PlanOffer>,
}

/// The plans that an organization can choose.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedPlans {
    items: Vec<OfferedPlan>,
}

/// List the plans that the organization can choose, and the one that it holds; for staff, also private plans for all.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/plans", tag = "subscription",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = OfferedPlans)))]
pub(crate) async fn list_plans_on_offer(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
) -> Result<Json<OfferedPlans>, Problem> {
    let (organization, by_staff) = (caller.organization, is_staff(&caller.identity));
    let (state, _) = app.executor.load::<Subscription>(organization, organization.into()).await?;
    let held = state.kept().map(|held| &held.terms);
    let mut items = Vec::new();
    for plan in super::all::known_plans(&app).await? {
        let current = held.filter(|terms| terms.plan == plan.id());
        if current.is_none() && !plan.is_on_offer_for(organization, by_staff) {
            continue;
        }
        let held_offer = current.filter(|terms| plan.offer_version() != Some(terms.version.into()));
        let held_offer = held_offer.map(|terms| PlanOffer::new(terms.version.into(), &terms.offer));
        items.push(OfferedPlan { current: current.is_some(), held_offer, plan });
    }
    caller.shows_items(&items);
    Ok(Json(OfferedPlans { items }))
}

/// A cancellation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionCancellation {
    /// The first date on which nothing is held, with a credit: for staff.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    on: Option<Date>,
    /// Why; up to 500 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Reason>,
}

/// Cancel the subscription at the end of its period.
///
/// Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/cancel", tag = "subscription",
    params(CommandParameters), request_body = SubscriptionCancellation, responses((status = 200, body = CommandResult)))]
pub(crate) async fn cancel_subscription(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, SubscriptionCancellation>,
) -> Result<CommandResult, Problem> {
    must_be_staff(is_staff(&request.caller.identity), request.body.on, "/on")?;
    let SubscriptionCancellation { on, reason } = &request.body;
    let command = Command::Cancel { on: *on, reason: reason.clone(), now: app.clock.now() };
    let place = place_of(request.caller.organization);
    let result = change(&app, request, command).await?;
    Ok(result.undone_by(|_| Undo::post(format!("{place}/billing/subscription/resume"))))
}

/// Withdraw the cancellation of the subscription.
///
/// It costs nothing. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/resume", tag = "subscription",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn resume_subscription(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    change(&app, request, Command::Resume).await
}

/// Withdraw the scheduled change of the subscription, or the plan that was chosen in the trial.
///
/// Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/withdraw-change", tag = "subscription",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn withdraw_subscription_change(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    change(&app, request, Command::WithdrawChange).await
}

/// An extension of a trial.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialExtension {
    /// The first date after it.
    #[schema(value_type = String, format = Date)]
    until: Date,
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "a pilot with two ports")]
    reason: Reason,
}

/// Extend the trial of an organization.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/extend-trial", tag = "subscription",
    params(CommandParameters), request_body = TrialExtension, responses((status = 200, body = CommandResult)))]
pub(crate) async fn extend_trial(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, TrialExtension>,
) -> Result<CommandResult, Problem> {
    let TrialExtension { until, reason } = &request.body;
    let command = Command::ExtendTrial { until: *until, reason: reason.clone(), now: app.clock.now() };
    change(&app, request, command).await
}

/// End the subscription of an organization today.
///
/// What was paid for the days after today is credited. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/end", tag = "subscription",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn end_subscription(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let why = porttask_domain::billing::subscription::EndReason::Canceled;
    let command = Command::End { why, now: app.clock.now() };
    change(&app, request, command).await
}

/// Another time zone for billing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BillingZone {
    /// A name of the IANA time zone database.
    #[schema(example = "Europe/Lisbon")]
    time_zone: String,
}

/// Change the time zone of billing from the next period on.
///
/// Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/change-zone", tag = "subscription",
    params(CommandParameters), request_body = BillingZone, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_billing_zone(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, BillingZone>,
) -> Result<CommandResult, Problem> {
    let zone = request.body.time_zone.parse::<ZoneName>();
    let zone = zone.map_err(|error| Problem::invalid("/time_zone", error.to_string()))?;
    change(&app, request, Command::ChangeZone { zone }).await
}

/// Executes a command on the subscription of the request's organization.
pub(super) async fn change<P: Permission, B>(
    app: &App,
    request: CommandRequest<P, B>,
    command: Command,
) -> Result<CommandResult, Problem> {
    let id = SubscriptionId::from(request.caller.organization);
    request.needing(Capability::BeAdministered).change_all::<Subscription>(app, id, &[command]).await
}

/// A date inside a period is only for staff.
fn must_be_staff(by_staff: bool, date: Option<Date>, pointer: &str) -> Result<(), Problem> {
    match date {
        Some(_) if !by_staff => Err(Problem::invalid(pointer, "only staff of the platform can choose a date")),
        Some(_) | None => Ok(()),
    }
}

//! The subscriptions of all organizations.

mod exported;

use std::collections::{BTreeMap, BTreeSet};

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{plan::PlanId, subscription::Status},
};
use porttask_projections::{
    ColumnType,
    billing::{
        plan::Plans,
        subscription::{self as view, NEVER},
    },
    identity::organization::Organizations,
};
use porttask_runtime::{
    log::PartitionId,
    views::{Condition, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::plan::PlanResponse;
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::AdministerBilling,
    problem::Problem,
    request::{List, ListFormat, ListParameters, Listed},
};

/// The routes of the subscriptions of all organizations.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("subscription", "What an organization holds of a plan: its trial, changes, cancellation.")
        .routes(routes!(list_subscriptions))
}

/// The most plans that are offered at a time.
const MOST_PLANS: usize = 1_000;

/// All plans, by name.
///
/// # Errors
/// If the view cannot be read.
pub(super) async fn known_plans(app: &App) -> Result<Vec<PlanResponse>, Problem> {
    let conditions = vec![Condition::Equal("organization", OrganizationId::PLATFORM.to_value())];
    let sort = vec!["organization", "normalized_name", "plan"];
    let query = Query { partition: PartitionId::PLATFORM, conditions, sort, limit: MOST_PLANS, ..Query::default() };
    Ok(app.views.rows::<Plans>(&query).await?.into_iter().map(PlanResponse::from).collect())
}

/// The name of an organization.
///
/// # Errors
/// If the view cannot be read.
pub(super) async fn name_of(app: &App, organization: OrganizationId) -> Result<Option<String>, Problem> {
    let partition = app.partition(organization).await?;
    let row = app.views.row::<Organizations>(partition, [("organization", organization.to_value())]).await?;
    Ok(row.map(|row| row.name))
}

/// The names of organizations, by id; of each once.
///
/// # Errors
/// If the view cannot be read.
pub(super) async fn names_of(
    app: &App,
    organizations: impl Iterator<Item = OrganizationId>,
) -> Result<BTreeMap<OrganizationId, Option<String>>, Problem> {
    let mut names = BTreeMap::new();
    for organization in organizations.collect::<BTreeSet<_>>() {
        names.insert(organization, name_of(app, organization).await?);
    }
    Ok(names)
}

/// The subscription of an organization, in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedSubscription {
    organization: OrganizationId,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    status: Status,
    /// The plan that is held or chosen; null before one is chosen.
    plan: Option<PlanId>,
    #[schema(example = "starter")]
    plan_code: Option<String>,
    plan_version: Option<u64>,
    interval: Option<String>,
    /// Extra seats.
    seats: u64,
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// The recurring revenue of a month, in minor units.
    monthly_revenue: u64,
    /// When the next period begins, or the trial ends.
    next_at: Option<Timestamp>,
    /// The date of that in the time zone of the subscription.
    #[schema(format = Date)]
    next_on: Option<String>,
    /// The code of the plan that is scheduled.
    scheduled_plan: Option<String>,
    /// The first date on which nothing is held, because it is canceled.
    #[schema(format = Date)]
    canceled_from: Option<String>,
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

impl From<view::Subscription> for ListedSubscription {
    fn from(row: view::Subscription) -> Self {
        Self {
            organization: row.organization,
            organization_name: None,
            status: row.status,
            plan: row.plan,
            plan_code: Some(row.plan_code).filter(|code| !code.is_empty()),
            plan_version: row.plan_version,
            interval: row.interval,
            seats: row.seats,
            currency: row.currency,
            monthly_revenue: row.monthly_revenue,
            next_at: Some(row.next_at).filter(|at| *at < NEVER),
            next_on: row.next_on,
            scheduled_plan: row.scheduled_plan,
            canceled_from: row.canceled_from,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A page of subscriptions.
type SubscriptionPage = Page<ListedSubscription>;

/// Filters of subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionFilter {
    /// Only subscriptions with this status.
    status: Option<Status>,
    /// Only subscriptions of this plan.
    plan: Option<PlanId>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for view::Subscriptions {
    type Item = ListedSubscription;
    type Filter = SubscriptionFilter;
    const SORTS: &'static [Sort] = &[
        ("renewal", &["next_at", "organization"]),
        ("revenue", &["monthly_revenue", "organization"]),
        ("created_at", &["created_at", "organization"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(
        SubscriptionFilter { status, plan, format: _ }: SubscriptionFilter,
    ) -> Result<Vec<Condition>, Problem> {
        let status = status.map(|status| Condition::Equal("status", status.to_value()));
        let plan = plan.map(|plan| Condition::Equal("plan", Some(plan).to_value()));
        Ok(status.into_iter().chain(plan).collect())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<ListedSubscription>,
    ) -> Result<Vec<ListedSubscription>, Problem> {
        let names = names_of(app, items.iter().map(|item| item.organization)).await?;
        for item in &mut items {
            item.organization_name = names.get(&item.organization).cloned().flatten();
        }
        Ok(items)
    }
}

/// List the subscriptions of all organizations.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/subscriptions", tag = "subscription",
    params(ListParameters<view::Subscriptions>), responses((status = 200, description = "The subscriptions",
        content((SubscriptionPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_subscriptions(
    State(app): State<App>,
    subscriptions: List<AdministerBilling, view::Subscriptions>,
) -> Result<Response, Problem> {
    subscriptions.answer(&app).await
}

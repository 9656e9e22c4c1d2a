//! Moving subscriptions to the last version of their plan.

use axum::{Json, extract::State};
use porttask_domain::{
    Capability, OrganizationId,
    billing::{
        Plan, Subscription,
        subscription::{Command, Status, SubscriptionId},
    },
};
use porttask_projections::{ColumnType, billing::subscription::Subscriptions};
use porttask_runtime::{
    execute::{self, Tx},
    views::{Condition, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::WritePlans,
    problem::Problem,
    request::{CommandParameters, CommandRequest, Id},
};

/// The route of migrations.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("plans", "The plans that the platform sells, in versions that never change.").routes(routes!(migrate_plan))
}

/// The most subscriptions of a request.
const MOST: usize = 1_000;

/// Which subscriptions are migrated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanMigration {
    /// Only organizations after this one, in the order of their ids: `next` of the response before.
    #[serde(default)]
    after: Option<OrganizationId>,
}

/// The result of a migration, or in a dry run what it would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanMigrated {
    /// How many subscriptions are moved at a border of a period now, which they were not before.
    scheduled: u64,
    /// How many need not be moved, were scheduled before, or are canceled.
    unchanged: u64,
    /// Where to go on, if there are more than 1,000.
    next: Option<OrganizationId>,
    /// Whether this is a dry run: nothing was recorded.
    dry_run: bool,
}

/// Move the subscriptions of a plan to its last version.
///
/// Each changes at the first border of a period at least 30 days from now, or, if it becomes cheaper, at the next one. Their admins
/// get an email. Repeating it has no effect; at most 1,000 are moved at a time. Needs `plans:write`.
#[utoipa::path(post, path = "/v1/platform/billing/plans/{plan}/migrate", tag = "plans", params(CommandParameters),
    request_body = PlanMigration, responses((status = 200, body = PlanMigrated)))]
pub(crate) async fn migrate_plan(
    State(app): State<App>,
    plan: Id<Plan>,
    request: CommandRequest<WritePlans, PlanMigration>,
) -> Result<Json<PlanMigrated>, Problem> {
    let (id, caller) = (plan.get()?, &request.caller);
    caller.catch_up_everywhere(&app, <Subscriptions as porttask_projections::ReadModel>::NAME).await?;
    let (state, _) = app.executor.load::<Plan>(OrganizationId::PLATFORM, id).await?;
    let terms = &state.terms(id).ok_or_else(Id::<Plan>::not_found)?;
    let query = Query {
        is_everywhere: true,
        conditions: vec![
            Condition::Equal("plan", Some(id).to_value()),
            // One that is past due is active all the same.
            Condition::OneOf("status", vec![Status::Active.to_value(), Status::PastDue.to_value()]),
        ],
        sort: vec!["organization"],
        after: request.body.after.map(|organization| vec![organization.to_value()]),
        limit: MOST,
        ..Query::default()
    };
    let rows = app.views.rows::<Subscriptions>(&query).await?;
    let next = rows.last().filter(|_| rows.len() == MOST).map(|row| row.organization);
    let (mut scheduled, mut unchanged) = (0, 0);
    for row in &rows {
        let subscription = SubscriptionId::from(row.organization);
        let of = execute::Request::new(row.organization, caller.meta.clone()).needing(Capability::Settle);
        let of = execute::Request { dry_run: request.dry_run, ..of };
        let work = move |tx: Tx| async move {
            let command = Command::Migrate { terms: terms.clone(), now: tx.now() };
            Ok::<_, Problem>(tx.decide::<Subscription>(subscription, &command).await?)
        };
        let outcome = app.executor.transact(&of, work).await?;
        if outcome.events.is_empty() { unchanged += 1 } else { scheduled += 1 }
    }
    Ok(Json(PlanMigrated { scheduled, unchanged, next, dry_run: request.dry_run }))
}

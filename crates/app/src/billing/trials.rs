//! Trials of organizations that were created before there were subscriptions.

use std::sync::Arc;

use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{Subscription, subscription::Command},
    identity::{Capability, settings::BusinessHours},
};
use porttask_projections::{ColumnType, identity::organization::Organizations};
use porttask_runtime::{
    constraints::{ConstraintChecker, ConstraintsError},
    execute::{ExecuteError, Executor, Request, Tx},
    vault::Vault,
    views::{Query, ViewError, Views},
};

use super::plans::trial_terms;

/// Rows per read.
const PAGE: usize = 200;

/// Why trials cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TrialsError {
    /// A read model cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A trial cannot be recorded.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The counters cannot be rebuilt.
    #[error(transparent)]
    Constraints(#[from] ConstraintsError),
}

/// Starts the trial of each organization without a subscription, at the time of its creation. Repeated, it goes on where
/// it stopped. Returns how many were started.
///
/// # Errors
/// If a read model or the log fails.
pub async fn start_missing(
    executor: &Arc<Executor>,
    vault: &Arc<Vault>,
    views: &Arc<Views>,
) -> Result<u64, TrialsError> {
    let (mut started, mut after) = (0, None);
    loop {
        let query = Query {
            is_everywhere: true,
            sort: vec!["created_at", "organization"],
            after: after.take(),
            limit: PAGE,
            ..Query::default()
        };
        let rows = views.rows::<Organizations>(&query).await?;
        let Some(last) = rows.last() else { return Ok(started) };
        after = Some(vec![last.created_at.to_value(), last.organization.to_value()]);
        for row in rows {
            if row.organization == OrganizationId::PLATFORM {
                continue;
            }
            let (subscription, _) = executor.load::<Subscription>(row.organization, row.organization.into()).await?;
            let Some(trial_ends_at) = row.trial_ends_at.filter(|_| subscription.status().is_none()) else { continue };
            if started == 0 {
                // The seats of users were not counted before there were subscriptions.
                let mut checker = ConstraintChecker::new(Arc::clone(executor.database()), Arc::clone(vault));
                checker.rebuild().await?;
            }
            let (organization, zone, created_at) = (row.organization, &zone_of(&row.business_hours), row.created_at);
            let meta = Meta::by(Actor::System);
            let request = Request::new(organization, meta).needing(Capability::Settle);
            let start = move |tx: Tx| async move {
                let terms = trial_terms(&tx).await?;
                let start = Command::StartTrial { terms, zone: zone.clone(), created_at, trial_ends_at };
                tx.decide::<Subscription>(organization.into(), &start).await
            };
            executor.transact(&request, start).await?;
            started += 1;
        }
    }
}

/// The time zone of business hours, as a row has them.
fn zone_of(business_hours: &str) -> String {
    let hours: BusinessHours = serde_json::from_str(business_hours).unwrap_or_default();
    hours.time_zone
}

//! Locks of accounts: an event when too many failed attempts are first refused, so that admins see it.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{User, user::Command},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request},
    supervise::once,
};

/// Records that an account is locked until this time, unless that was recorded already. In the background, so that
/// response times reveal nothing.
pub fn record_lock(
    executor: &Arc<Executor>,
    (organization, id): (OrganizationId, UserId),
    user: &User,
    until: Option<Timestamp>,
    request_id: Option<String>,
) {
    let Some(until) = until.filter(|until| user.locked_until() < Some(*until)) else { return };
    let (executor, lock) = (Arc::clone(executor), Command::Lock { unlocks: user.unlocks(), until });
    let request = Request::new(organization, Meta { request_id, ..Meta::by(Actor::System) });
    once("lock of an account", async move {
        match executor.execute::<User>(id, lock, &request).await {
            // Rejected: a suspended organization.
            Ok(_) | Err(ExecuteError::Rejected(_)) => {}
            Err(error) => tracing::warn!(%error, "the lock of an account could not be recorded"),
        }
    })
    .detach();
}

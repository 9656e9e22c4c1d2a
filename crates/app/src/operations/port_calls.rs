//! What port calls take from other aggregates.

use porttask_domain::{
    UserId,
    billing::{Subscription, subscription::SubscriptionId},
    identity::{Organization, Role, User},
};
use porttask_runtime::execute::{ExecuteError, Tx};

/// The roles of users who can be responsible for port calls.
pub const AGENT_ROLES: [Role; 2] = [Role::Admin, Role::Agent];

/// The usage month in which a port call counts that is created now: the first date of the month of the subscription, or,
/// without one, the calendar month in the time zone of the organization.
///
/// # Errors
/// If the organization cannot be read.
pub async fn usage_month(tx: &Tx) -> Result<String, ExecuteError> {
    let subscription: Subscription = tx.read(SubscriptionId::from(tx.request().organization)).await?;
    if let Ok(Some(month)) = subscription.usage_month(tx.now()) {
        return Ok(month.from.to_string());
    }
    let organization: Organization = tx.read(tx.request().organization).await?;
    let hours = organization.settings().map(|settings| settings.business_hours.clone());
    // The platform's own organization has no settings.
    Ok(hours.unwrap_or_default().month(tx.now()))
}

/// Whether a user of the organization can be responsible: an active one with such a role.
///
/// # Errors
/// If the user cannot be read.
pub async fn can_be_agent(tx: &Tx, user: UserId) -> Result<bool, ExecuteError> {
    let rights = tx.read::<User>(user).await?.rights();
    Ok(rights.is_some_and(|(role, _)| AGENT_ROLES.contains(&role)))
}

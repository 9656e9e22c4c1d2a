//! Billing accounts: checks of VAT ids.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    Capability, OrganizationId,
    billing::{
        BillingAccount,
        billing_account::{BillingAccountId, Check, Command},
    },
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Outcome, Request, Tx},
    ports::tax_registry::TaxRegistry,
};

/// Asks a registry about a VAT id.
pub async fn ask(registry: &dyn TaxRegistry, tax_id: &str, now: Timestamp) -> Check {
    let answer = registry.check(tax_id).await;
    Check {
        tax_id: tax_id.to_owned(),
        result: answer.result,
        source: answer.source,
        reference: answer.reference,
        checked_at: now,
    }
}

/// Checks the VAT id of an organization if it has one that was not checked, or not lately. Returns what was recorded;
/// `None` if there was nothing to check.
///
/// # Errors
/// If the account cannot be read, or the check cannot be recorded.
pub async fn check_if_due(
    executor: &Arc<Executor>,
    registry: &dyn TaxRegistry,
    request: &Request,
) -> Result<Option<Outcome>, ExecuteError> {
    let organization = request.organization;
    let (account, id) = (BillingAccountId::from(organization), state(executor, organization).await?);
    let now = executor.clock().now();
    let Some(tax_id) = id.tax_id().filter(|_| id.needs_check(now)) else { return Ok(None) };
    let check = ask(registry, tax_id, now).await;
    let request = request.clone().needing(Capability::Settle);
    executor.execute::<BillingAccount>(account, Command::RecordCheck(check), &request).await.map(Some)
}

/// The same in a unit of work that is about to issue a document for the request's organization.
///
/// # Errors
/// If the account cannot be read.
pub async fn check_before_issue(tx: &Tx, registry: &dyn TaxRegistry) -> Result<(), ExecuteError> {
    let id = BillingAccountId::from(tx.request().organization);
    let account: BillingAccount = tx.read(id).await?;
    let Some(tax_id) = account.tax_id().filter(|_| account.needs_check(tx.now())) else { return Ok(()) };
    let check = ask(registry, tax_id, tx.now()).await;
    tx.decide::<BillingAccount>(id, &Command::RecordCheck(check)).await
}

async fn state(executor: &Executor, organization: OrganizationId) -> Result<BillingAccount, ExecuteError> {
    let (state, _) = executor.load::<BillingAccount>(organization, organization.into()).await?;
    Ok(state)
}

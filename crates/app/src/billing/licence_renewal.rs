//! Licences follow their subscription: issued again under the same id when its terms or its period change, and revoked
//! when it ends.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, Reason,
    billing::{
        Licence, LicenceSigningKeys, Subscription,
        licence::{self, Command, Kind, LicenceId, SUBSCRIPTION_ENDED, Status},
        licence_signing_key::{LicenceSigningKeyId, Rejection},
        subscription,
    },
    identity::Capability,
};
use porttask_projections::{ColumnType, ReadModel, billing::licence::Licences};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request, Tx},
    log::{Offset, Position, RecordedEvent},
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{NewTask, Task, TaskId},
    views::{Condition, Query, Views},
};

/// How long a task waits for the read model.
const PATIENCE: Duration = Duration::from_secs(30);
/// Licences of a subscription that are renewed at a time.
const PAGE: usize = 200;
/// The kind of task.
const RENEW: &str = "renew_licences";

/// Issues and revokes licences of subscriptions.
pub struct LicenceRenewal {
    executor: Arc<Executor>,
    views: Arc<Views>,
}

impl LicenceRenewal {
    /// The name of the reactor.
    pub const NAME: &'static str = "licence_renewal";

    /// Records by this executor, and finds licences in these views.
    pub fn new(executor: Arc<Executor>, views: Arc<Views>) -> Self {
        Self { executor, views }
    }

    /// The licences of the subscription that were issued up to the event of a task.
    async fn licences(&self, task: &Task) -> Result<Vec<LicenceId>, TaskError> {
        let temporary = |error: &dyn std::fmt::Display| TaskError::Temporary(error.to_string());
        let Some(partition) = self.executor.database().partition_of(task.organization).await? else {
            return Ok(Vec::new());
        };
        let position = Position { partition, offset: Offset(task.number) };
        let reached = self.views.wait_for(Licences::NAME, position, PATIENCE).await;
        if !reached.map_err(|error| temporary(&error))? {
            return Err(TaskError::Temporary("the licences are not yet known".to_owned()));
        }
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let conditions = vec![
                Condition::Equal("organization", task.organization.to_value()),
                Condition::Equal("kind", Kind::Subscription.to_value()),
                Condition::Equal("status", Status::Active.to_value()),
            ];
            let sort = vec!["organization", "created_at", "licence"];
            let query = Query { partition, conditions, sort, after: after.take(), limit: PAGE, ..Query::default() };
            let rows = self.views.rows::<Licences>(&query).await.map_err(|error| temporary(&error))?;
            let Some(last) = rows.last() else { return Ok(found) };
            after = Some(vec![last.organization.to_value(), last.created_at.to_value(), last.licence.to_value()]);
            found.extend(rows.iter().map(|row| row.licence));
        }
    }

    async fn renew(&self, organization: OrganizationId, licence: LicenceId) -> Result<(), ExecuteError> {
        let request = Request::new(organization, Meta::by(Actor::System)).needing(Capability::Settle);
        self.executor.transact(&request, move |tx: Tx| async move { renew(&tx, licence).await }).await.map(drop)
    }
}

/// Brings a licence in line with the subscription as it is now; a repetition changes nothing.
///
/// # Errors
/// If no key signs, or the log fails.
pub async fn renew(tx: &Tx, licence: LicenceId) -> Result<(), ExecuteError> {
    let subscription: Subscription = tx.read(tx.request().organization.into()).await?;
    if subscription.status() == Some(subscription::Status::Ended) {
        let Ok(reason) = Reason::new(SUBSCRIPTION_ENDED) else { return Ok(()) };
        return tx.decide::<Licence>(licence, &Command::Revoke { reason }).await;
    }
    let Some((terms, expires_at)) = licence::of_subscription(&subscription) else { return Ok(()) };
    let keys: LicenceSigningKeys = tx.read_in(OrganizationId::PLATFORM, LicenceSigningKeyId::ALL).await?;
    let signing = keys.signing().ok_or(ExecuteError::Rejected(Rejection::NoneSigns.into()))?;
    let (kid, now) = (signing.kid.clone(), tx.now());
    tx.decide::<Licence>(licence, &Command::Renew { terms, expires_at, kid, now }).await
}

#[async_trait]
impl Reactor for LicenceRenewal {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn covers(&self, category: &str) -> bool {
        <subscription::Event as porttask_domain::Source>::covers(category)
    }

    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask> {
        use subscription::Event::{Activated, Ended, Renewed, TermsChanged};
        let DomainEvent::Subscription(Activated { .. } | Renewed { .. } | TermsChanged { .. } | Ended { .. }) = event
        else {
            return Vec::new();
        };
        let organization = recorded.stream.organization;
        vec![NewTask {
            id: TaskId::generate(),
            organization,
            kind: RENEW,
            subject: organization.0,
            number: recorded.position.offset.0,
            target: organization.0,
            due_at: None,
        }]
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let licences = self.licences(task).await?;
        if licences.is_empty() {
            return Ok(TaskOutcome::Skipped);
        }
        for licence in licences {
            self.renew(task.organization, licence).await?;
        }
        Ok(TaskOutcome::Done)
    }
}

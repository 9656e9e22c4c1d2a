//! Records that 80% or 100% of a limit are reached: each once per meter and usage month.

use std::sync::Arc;

use async_trait::async_trait;
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, TextEnum,
    billing::{
        Subscription, UsageMonth,
        terms::Meter,
        usage,
        usage_month::{Command, UsageMonthId},
    },
    identity::{Capability, user, user::SEATS},
    operations::{document, document::STORAGE_BYTES, port_call, port_call::PORT_CALLS},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request, Tx},
    log::{CounterKey, RecordedEvent},
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{NewTask, Task, TaskId},
};

/// Records the shares of the limit of a meter that are reached and were not recorded in this usage month. Nothing without
/// a limit.
///
/// # Errors
/// If the log fails.
pub async fn warn_if_crossed(
    executor: &Arc<Executor>,
    organization: OrganizationId,
    meter: Meter,
    used: u64,
) -> Result<(), ExecuteError> {
    let request = Request::new(organization, Meta::by(Actor::System)).needing(Capability::Settle);
    let warn = move |tx: Tx| async move {
        let subscription: Subscription = tx.read(organization.into()).await?;
        let (Some(limit), Ok(Some(month))) = (subscription.limit(meter), subscription.usage_month(tx.now())) else {
            return Ok(());
        };
        let id = UsageMonthId::new(organization, month.from);
        tx.decide::<UsageMonth>(id, &Command::Warn { meter, used, limit }).await
    };
    executor.transact(&request, warn).await.map(drop)
}

porttask_domain::sources! {
    /// The events that can raise the use of a meter.
    enum Source {
        PortCall(port_call::Event),
        User(user::Event),
        Document(document::Event),
    }
}

/// Watches the meters whose use follows from events: port calls, users, stored bytes.
pub struct UsageWarnings {
    executor: Arc<Executor>,
}

impl UsageWarnings {
    /// The name of the reactor.
    pub const NAME: &'static str = "usage_warnings";

    /// Records by this executor.
    pub fn new(executor: Arc<Executor>) -> Self {
        Self { executor }
    }

    /// The use of a meter that can reach a share of its limit; `None` if it cannot.
    async fn used(&self, organization: OrganizationId, meter: Meter) -> Result<Option<u64>, ExecuteError> {
        let (subscription, _) = self.executor.load::<Subscription>(organization, organization.into()).await?;
        let month = subscription.usage_month(self.executor.clock().now());
        let (Some(limit), Ok(Some(month))) = (subscription.limit(meter), month) else { return Ok(None) };
        let name = match meter {
            Meter::PortCalls => format!("{PORT_CALLS} {}", month.from).into(),
            Meter::Users => SEATS.into(),
            Meter::StorageBytes => STORAGE_BYTES.into(),
            Meter::ApiCalls => return Ok(None),
        };
        let count = self.executor.database().count(&CounterKey { organization, name }).await?;
        let used = u64::try_from(count).unwrap_or_default();
        Ok((!usage::warnings(used, Some(limit), &[]).is_empty()).then_some(used))
    }
}

#[async_trait]
impl Reactor for UsageWarnings {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn covers(&self, category: &str) -> bool {
        <Source<'static> as porttask_domain::Source>::covers(category)
    }

    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask> {
        let organization = recorded.stream.organization;
        let event = <Source<'static> as porttask_domain::Source>::of(event);
        let Some(meter) = event.and_then(raised).filter(|_| organization != OrganizationId::PLATFORM) else {
            return Vec::new();
        };
        vec![NewTask {
            id: TaskId::generate(),
            organization,
            kind: meter.as_str(),
            subject: organization.0,
            number: recorded.version.0,
            target: organization.0,
            due_at: None,
        }]
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let Some(meter) = Meter::from_text(&task.kind) else {
            // Recorded by a newer version of the program, which will run again.
            return Err(TaskError::Temporary(format!("this version does not know the meter {:?}", task.kind)));
        };
        let Some(used) = self.used(task.organization, meter).await? else { return Ok(TaskOutcome::Skipped) };
        warn_if_crossed(&self.executor, task.organization, meter, used).await?;
        Ok(TaskOutcome::Done)
    }
}

/// The meter whose use an event raises.
fn raised(event: Source<'_>) -> Option<Meter> {
    match event {
        Source::PortCall(port_call::Event::Created { .. }) => Some(Meter::PortCalls),
        Source::User(
            user::Event::Invited { .. } | user::Event::InvitationSent { .. } | user::Event::Reactivated { .. },
        ) => Some(Meter::Users),
        Source::Document(document::Event::Stored { .. }) => Some(Meter::StorageBytes),
        Source::PortCall(_) | Source::User(_) | Source::Document(_) => None,
    }
}

//! The ports beside the log, which pass through unchecked.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, civil::Date};
use porttask_domain::{ApiKeyId, JobId, PersonId};
use uuid::Uuid;

use super::CheckedLog;
use crate::{
    attempts::{AttemptCount, AttemptCounts},
    clock::{Advance, ClockError, LogClock},
    credential_activity::{ActivityRecord, LastSeen},
    jobs::{Added, Job, JobEnd, JobLimits, JobProgress, Jobs, NewJob, ReachedLimit},
    lease::{Holder, Lease},
    ledger::{ConstraintRepair, ConstraintSnapshot, Ledger, StoredKey},
    log::{
        Checkpoint, ClaimKey, CounterKey, Head, LogError, OrganizationId, PartitionId, PersonKeyId, SecretId,
        SecretKind,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
    nodes::{NodeRecord, NodeRegistry},
    simulated_payments::{SimulatedPayment, SimulatedPayments},
    tasks::{Attempt, NewTask, Task, TaskCounts, TaskFilter, TaskId, Tasks},
    timers::{TimerFailure, TimerLedger},
    usage_counts::{OpenDay, OpenUsage, UsageCount, UsageCounts},
};

/// Implements a port by that of the database.
macro_rules! forward {
    (impl $port:ident; $(async fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)*) => {
        #[async_trait]
        impl $port for CheckedLog {
            $(async fn $name(&self $(, $argument: $type)*) -> $result {
                $port::$name(&*self.database $(, $argument)*).await
            })*
        }
    };
}

forward! {
    impl LogClock;
    async fn database_time(&self) -> Result<Timestamp, LogError>;
    async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError>;
    async fn simulate_clock(&self) -> Result<(), ClockError>;
    async fn advance_clock(&self, advance: Advance) -> Result<SignedDuration, ClockError>;
}

forward! {
    impl Ledger;
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError>;
    async fn idempotency_record(&self, key: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError>;
    async fn secret(&self, id: &SecretId) -> Result<Option<Vec<u8>>, LogError>;
    async fn holder(&self, key: &ClaimKey) -> Result<Option<String>, LogError>;
    async fn count(&self, key: &CounterKey) -> Result<i64, LogError>;
    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError>;
    async fn all_person_keys(&self, after: Option<PersonKeyId>, limit: usize) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError>;
    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError>;
    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError>;
    async fn rewrap_purpose_key(&self, purpose: &str, old: &[u8], new: &[u8]) -> Result<(), LogError>;
    async fn constrained(&self) -> Result<ConstraintSnapshot, LogError>;
    async fn repair(&self, heads: &[Head], repair: &ConstraintRepair) -> Result<bool, LogError>;
    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError>;
}

forward! {
    impl Tasks;
    async fn cursors(&self, reactor: &str) -> Result<Vec<Checkpoint>, LogError>;
    async fn begin(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;
    async fn put_cursors(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;
    async fn schedule(&self, reactor: &str, before: &Checkpoint, after: &Checkpoint, tasks: &[NewTask]) -> Result<bool, LogError>;
    async fn claim(&self, reactor: &str, lease: &Lease, limit: usize) -> Result<Vec<Task>, LogError>;
    async fn renew(&self, id: TaskId, epoch: u64, lease: &Lease) -> Result<bool, LogError>;
    async fn take_over_tasks(&self, reactor: &str, holder: &Holder) -> Result<u64, LogError>;
    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError>;
    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError>;
    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError>;
    async fn tasks_of(&self, organization: OrganizationId, targets: &[Uuid]) -> Result<Vec<Task>, LogError>;
    async fn task(&self, id: TaskId) -> Result<Option<Task>, LogError>;
    async fn retry(&self, id: TaskId, epoch: u64) -> Result<bool, LogError>;
}

forward! {
    impl Jobs;
    async fn add_job(&self, job: NewJob, limits: JobLimits) -> Result<Added, LogError>;
    async fn reached_job_limit(&self, organization: OrganizationId, now: Timestamp, limits: JobLimits) -> Result<Option<ReachedLimit>, LogError>;
    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>, LogError>;
    async fn job_report(&self, organization: OrganizationId, id: JobId) -> Result<Option<Vec<u8>>, LogError>;
    async fn jobs(&self, organization: OrganizationId, after: Option<JobId>, limit: usize) -> Result<Vec<Job>, LogError>;
    async fn take_job(&self, kinds: &[&str], lease: &Lease) -> Result<Option<(Job, Vec<u8>)>, LogError>;
    async fn keep_job(&self, id: JobId, epoch: u64, lease: &Lease, progress: &JobProgress) -> Result<bool, LogError>;
    async fn take_over_jobs(&self, holder: &Holder) -> Result<u64, LogError>;
    async fn end_job(&self, id: JobId, epoch: u64, progress: &JobProgress, end: &JobEnd) -> Result<bool, LogError>;
    async fn forget_jobs(&self, finished_before: Timestamp) -> Result<u64, LogError>;
}

forward! {
    impl LastSeen;
    async fn last_seen(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<ActivityRecord>, LogError>;
    async fn record_activity(&self, activity: &[ActivityRecord]) -> Result<(), LogError>;
    async fn delete_activity(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError>;
}

forward! {
    impl AttemptCounts;
    async fn attempt_counts(&self, counters: &[Uuid]) -> Result<Vec<AttemptCount>, LogError>;
    async fn add_attempts(&self, reset: &[Uuid], added: &[AttemptCount]) -> Result<(), LogError>;
}

forward! {
    impl TimerLedger;
    async fn hold(&self, name: &str, lease: &Lease) -> Result<bool, LogError>;
    async fn release(&self, name: &str, holder: &Holder) -> Result<(), LogError>;
    async fn timer_failures(&self, partition: Option<PartitionId>, limit: usize) -> Result<Vec<TimerFailure>, LogError>;
    async fn record_timer_failure(&self, failure: &TimerFailure) -> Result<(), LogError>;
    async fn delete_timer_failure(&self, organization: OrganizationId, subject: Uuid) -> Result<(), LogError>;
    async fn retry_timer(&self, organization: OrganizationId, subject: Uuid, now: Timestamp) -> Result<bool, LogError>;
}

forward! {
    impl NodeRegistry;
    async fn report_node(&self, holder: &Holder, version: &str, shares_documents: bool) -> Result<(), LogError>;
    async fn remove_node(&self, holder: &Holder) -> Result<(), LogError>;
    async fn nodes(&self) -> Result<Vec<NodeRecord>, LogError>;
}

forward! {
    impl UsageCounts;
    async fn report_usage(&self, counts: &[UsageCount]) -> Result<(), LogError>;
    async fn open_usage(&self, organization: OrganizationId, from: Date) -> Result<Vec<OpenUsage>, LogError>;
    async fn open_days(&self, until: Date, after: Option<(Date, OrganizationId)>, limit: usize) -> Result<Vec<OpenDay>, LogError>;
    async fn take_usage(&self, organization: OrganizationId, day: Date) -> Result<Vec<(ApiKeyId, u64)>, LogError>;
    async fn settle_usage(&self, organization: OrganizationId, day: Date, is_recorded: bool) -> Result<(), LogError>;
    async fn delete_usage(&self, before: Date) -> Result<u64, LogError>;
}

forward! {
    impl SimulatedPayments;
    async fn enter_simulated_payment(&self, new: &SimulatedPayment) -> Result<SimulatedPayment, LogError>;
    async fn simulated_payment(&self, id: Uuid) -> Result<Option<SimulatedPayment>, LogError>;
    async fn move_simulated_payment(&self, id: Uuid, from: &str, to: &str) -> Result<bool, LogError>;
    async fn simulated_payments(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<SimulatedPayment>, LogError>;
}

//! What becomes due for documents: uploads that were not finished in time, such as those of a node that was killed.

use async_trait::async_trait;
use porttask_domain::{
    TextEnum,
    operations::{
        Document,
        document::{Command, DocumentId},
    },
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Tx},
    timers::{Timer, TimerHandler, TimerOutcome},
};

/// Gives up uploads that were not finished in time.
pub struct UploadExpiry;

#[async_trait]
impl TimerHandler for UploadExpiry {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Kind::UploadExpiry.as_str()]
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        tx.decide::<Document>(DocumentId(timer.subject), &Command::ExpireUpload { now: tx.now() }).await?;
        Ok(TimerOutcome::Done)
    }
}

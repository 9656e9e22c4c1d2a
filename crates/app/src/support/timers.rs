//! What becomes due for tickets: response targets of escalations.

use async_trait::async_trait;
use porttask_domain::{
    TextEnum,
    support::{
        Ticket,
        ticket::{Command, TicketId},
    },
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Tx},
    timers::{Timer, TimerHandler, TimerOutcome},
};

/// Records that staff has not replied to an escalated ticket in time.
pub struct MissedResponses;

#[async_trait]
impl TimerHandler for MissedResponses {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Kind::TicketResponse.as_str()]
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        tx.decide::<Ticket>(TicketId(timer.subject), &Command::MissResponse { now: tx.now() }).await?;
        Ok(TimerOutcome::Done)
    }
}

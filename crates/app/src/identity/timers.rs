//! What becomes due for users: links whose time is over.

use async_trait::async_trait;
use porttask_domain::{
    TextEnum, UserId,
    identity::{
        User,
        user::{Command, Link},
    },
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Tx},
    timers::{Timer, TimerHandler, TimerOutcome},
};

/// Voids links whose time is over.
pub struct LinkExpiry;

const LINKS: [(Kind, Link); 3] = [
    (Kind::InvitationExpiry, Link::Invitation),
    (Kind::AddressChangeExpiry, Link::AddressChange),
    (Kind::PasswordResetExpiry, Link::PasswordReset),
];

#[async_trait]
impl TimerHandler for LinkExpiry {
    fn kinds(&self) -> Vec<&'static str> {
        LINKS.iter().map(|(kind, _)| kind.as_str()).collect()
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        if let Some((_, link)) = LINKS.into_iter().find(|(kind, _)| kind.as_str() == timer.kind) {
            tx.decide::<User>(UserId(timer.subject), &Command::ExpireLink { link, now: tx.now() }).await?;
        }
        Ok(TimerOutcome::Done)
    }
}

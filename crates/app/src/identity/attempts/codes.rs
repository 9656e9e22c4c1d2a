//! Limits wrong coupon codes of an organization.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::OrganizationId;
use uuid::Uuid;

use super::{Attempts, HOUR, Tries};

/// Wrong codes that an organization may enter within an hour.
pub const WRONG_CODES: u32 = 10;

/// An attempt to redeem a code.
#[derive(Debug)]
#[must_use = "an attempt counts as failed until it is withdrawn"]
pub struct CodeAttempt(Uuid);

impl Attempts {
    /// Begins an attempt of an organization to redeem a code. It counts as failed until it is
    /// [withdrawn](Self::withdraw_code), so that concurrent attempts do not bypass the limit.
    ///
    /// # Errors
    /// How long to wait if there were too many wrong codes. Such an attempt does not count.
    pub async fn begin_code(
        &self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<CodeAttempt, SignedDuration> {
        let key = self.id("coupon code", &[organization.0.as_bytes()]);
        self.load(&[key], now).await;
        let mut changed = self.counting();
        let known = self.tries.get(&key).filter(|it| now.duration_since(it.since) < it.window);
        let tries = known.unwrap_or_else(|| Tries::none(0, HOUR, now));
        if tries.failures >= WRONG_CODES {
            return Err((HOUR - now.duration_since(tries.since)).max(SignedDuration::from_secs(1)));
        }
        self.tries.insert(key, tries.one_more(now));
        changed.insert(key);
        Ok(CodeAttempt(key))
    }

    /// The code was right, or could not be checked: the attempt does not count.
    pub fn withdraw_code(&self, CodeAttempt(key): CodeAttempt) {
        let mut changed = self.counting();
        if let Some(tries) = self.tries.get(&key) {
            self.tries.insert(key, tries.one_less());
            changed.insert(key);
        }
    }
}

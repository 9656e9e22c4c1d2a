//! Device tokens: hints that a device has signed in to an account before. No credentials: a known device is only exempt
//! from limits on failed attempts by others.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{OrganizationId, UserId};
use porttask_runtime::vault::{Vault, VaultError};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "ptd_";
/// How many days a token is valid; every sign-in returns a new one.
const VALID_DAYS: u32 = 400;
const SECONDS_OF_A_DAY: i64 = 86_400;

/// Issues and recognizes device tokens: the day of issue with a keyed hash over it and the account.
pub(super) struct Devices(Hmac<Sha256>);

impl Devices {
    pub(super) async fn open(vault: &Vault) -> Result<Self, VaultError> {
        Ok(Self(vault.authenticator("devices").await?))
    }

    /// A token that is valid until all sessions of the account are ended, at most [`VALID_DAYS`].
    pub(super) fn token(&self, account: (OrganizationId, UserId), session_epoch: u64, now: Timestamp) -> String {
        self.issued(account, session_epoch, day(now))
    }

    /// Whether a token is valid for an account.
    pub(super) fn is_known(
        &self,
        shown: Option<&str>,
        account: (OrganizationId, UserId),
        session_epoch: u64,
        now: Timestamp,
    ) -> bool {
        let (shown, today) = (shown.unwrap_or_default(), day(now));
        let issued = issued_on(shown).unwrap_or_default();
        let token = self.issued(account, session_epoch, issued);
        // The clock of the node that issued it may have been ahead at midnight.
        let is_valid = issued <= today.saturating_add(1) && today <= issued.saturating_add(VALID_DAYS);
        is_valid & bool::from(shown.as_bytes().ct_eq(token.as_bytes()))
    }

    fn issued(&self, (organization, user): (OrganizationId, UserId), session_epoch: u64, day: u32) -> String {
        let mac = self.0.clone().chain_update(organization.0.as_bytes()).chain_update(user.0.as_bytes());
        let mac = mac.chain_update(session_epoch.to_be_bytes()).chain_update(day.to_be_bytes()).finalize().into_bytes();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&day.to_be_bytes()[..], &mac].concat()))
    }
}

/// The day of an instant, in days since 1970.
fn day(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().div_euclid(SECONDS_OF_A_DAY)).unwrap_or_default()
}

/// The day on which a token was issued; `None` if it is malformed.
fn issued_on(token: &str) -> Option<u32> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit;
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_device_is_known_for_400_days_or_until_all_sessions_are_ended() {
        let devices = Devices(Hmac::new_from_slice(b"key").unwrap());
        let account = |user| (OrganizationId(Uuid::from_u128(7)), UserId(Uuid::from_u128(user)));
        let issued: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let after = |days: i64| issued + SignedDuration::from_hours(24 * days);
        let token = devices.token(account(1), 3, issued);
        let is_known = |days| devices.is_known(Some(&token), account(1), 3, after(days));
        assert_eq!([-2, -1, 0, 1, 400, 401].map(is_known), [false, true, true, true, true, false]);
        assert!(!devices.is_known(Some(&token), account(2), 3, issued));
        assert!(!devices.is_known(Some(&token), account(1), 4, issued));
        for strange in [None, Some(""), Some("ptd_"), Some("ptd_AAAA"), Some(&token[4..]), Some(&token[..50])] {
            assert!(!devices.is_known(strange, account(1), 3, issued), "{strange:?}");
        }
        // The day is authentic.
        let later = devices.token(account(1), 3, after(100));
        let forged = format!("{}{}", &later[..9], &token[9..]);
        assert!(!devices.is_known(Some(&forged), account(1), 3, after(100)));
    }
}

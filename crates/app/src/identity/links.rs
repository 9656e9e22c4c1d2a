//! Signed links: for setup, invitations, password resets, address changes and answers of vendors.
//!
//! A link is not stored: it carries its purpose and expiry with a keyed hash over both, so it can be recomputed
//! whenever it is sent. It can be redeemed only once because its effect can happen only once.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId, TextEnum,
    identity::{
        User,
        user::{self, LinkState},
    },
    texts,
};
use porttask_runtime::vault::{Vault, VaultError};
use sha2::Sha256;
use uuid::Uuid;

/// How long a password reset link is valid.
pub const PASSWORD_RESET: SignedDuration = SignedDuration::from_hours(1);
/// How long a link to confirm an email address is valid.
pub const ADDRESS_CHANGE: SignedDuration = SignedDuration::from_hours(24);

const CONTENT_BYTES: usize = 1 + 16 + 16 + 8 + 8;
const MAC_BYTES: usize = 32;

texts! {
    /// The purpose of a link.
    pub enum Purpose {
        /// Become the first super admin.
        Setup = "setup",
        /// Accept an invitation.
        Invitation = "invitation",
        /// Set a new password.
        PasswordReset = "password_reset",
        /// Confirm an email address.
        AddressChange = "address_change",
        /// Cancel a change of the email address.
        AddressChangeCancellation = "address_change_cancellation",
        /// Answer a service order as a vendor.
        VendorResponse = "vendor_response",
    }
}

impl Purpose {
    /// The path of the page that redeems the link.
    pub const fn page(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation => "invitation",
            Self::PasswordReset => "password-reset",
            Self::AddressChange => "address-change",
            Self::AddressChangeCancellation => "address-change-cancellation",
            Self::VendorResponse => "vendor-response",
        }
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|purpose| purpose.number() == number).copied()
    }

    const fn number(self) -> u8 {
        match self {
            Self::Setup => 1,
            Self::Invitation => 2,
            Self::PasswordReset => 3,
            Self::AddressChange => 4,
            Self::AddressChangeCancellation => 5,
            Self::VendorResponse => 6,
        }
    }
}

/// The content of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its purpose.
    pub purpose: Purpose,
    /// The organization.
    pub organization: OrganizationId,
    /// The UUID of the user; of a link for a vendor, that of the service order.
    pub subject: Uuid,
    /// The number of the link among those with the same purpose, such as that of the invitation.
    pub generation: u64,
    /// When it expires, in whole seconds.
    pub expires_at: Timestamp,
}

impl Link {
    /// What became of it, given the account that it is for. A link for a vendor is for none.
    pub fn state(&self, user: &User, now: Timestamp) -> LinkState {
        let state = match self.purpose {
            Purpose::Setup if user.status().is_some() => LinkState::Used,
            Purpose::Setup => LinkState::Valid,
            Purpose::Invitation => user.link_state(user::Link::Invitation, self.generation, now),
            Purpose::PasswordReset => user.link_state(user::Link::PasswordReset, self.generation, now),
            Purpose::AddressChange => user.link_state(user::Link::AddressChange, self.generation, now),
            Purpose::AddressChangeCancellation => user.cancellation_state(self.generation, now),
            Purpose::VendorResponse => LinkState::Revoked,
        };
        // The time in the link counts as well.
        if state == LinkState::Valid && now >= self.expires_at { LinkState::Expired } else { state }
    }
}

/// Why a link is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLink {
    /// It was not issued here, or has another purpose.
    #[error("the link is not valid: copy it completely, or request a new one")]
    Unknown,
    /// It has expired.
    #[error("the link has expired: request a new one")]
    Expired,
}

/// Creates and verifies links.
#[derive(Clone)]
pub struct Links {
    key: Hmac<Sha256>,
    public_url: String,
}

impl Links {
    /// Opens the service, for links to this base URL.
    ///
    /// # Errors
    /// If the key of links is unavailable.
    pub async fn open(vault: &Vault, public_url: &str) -> Result<Self, VaultError> {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Self { key: vault.authenticator("links").await?, public_url })
    }

    /// The URL of a link. The token is in the fragment, so that no server or log on the way sees it.
    pub fn address(&self, link: &Link) -> String {
        format!("{}/{}#token={}", self.public_url, link.purpose.page(), self.token(link))
    }

    /// The URL of a page of the console.
    pub fn page(&self, path: &str) -> String {
        format!("{}/{}", self.public_url, path.trim_start_matches('/'))
    }

    /// The token of a link.
    pub fn token(&self, link: &Link) -> String {
        let mut bytes = Vec::with_capacity(CONTENT_BYTES + MAC_BYTES);
        bytes.push(link.purpose.number());
        bytes.extend_from_slice(link.organization.0.as_bytes());
        bytes.extend_from_slice(link.subject.as_bytes());
        bytes.extend_from_slice(&link.generation.to_be_bytes());
        bytes.extend_from_slice(&link.expires_at.as_second().to_be_bytes());
        let mac = self.key.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Verifies a token: it must be issued here, for this purpose, and not expired.
    ///
    /// # Errors
    /// Which of these conditions does not hold.
    pub fn read(&self, token: &str, purpose: Purpose, now: Timestamp) -> Result<Link, InvalidLink> {
        let link = self.decode(token)?;
        if link.purpose != purpose {
            return Err(InvalidLink::Unknown);
        }
        if now >= link.expires_at {
            return Err(InvalidLink::Expired);
        }
        Ok(link)
    }

    /// The link of a token that was issued here, for any purpose, even if it has expired.
    ///
    /// # Errors
    /// If it was not issued here.
    pub fn decode(&self, token: &str) -> Result<Link, InvalidLink> {
        if token.len() > 2 * (CONTENT_BYTES + MAC_BYTES) {
            return Err(InvalidLink::Unknown);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.trim()).map_err(|_| InvalidLink::Unknown)?;
        let (content, mac) = bytes.split_at_checked(CONTENT_BYTES).ok_or(InvalidLink::Unknown)?;
        let key = self.key.clone().chain_update(content);
        key.verify_slice(mac).map_err(|_| InvalidLink::Unknown)?;
        let purpose = Purpose::of(content[0]).ok_or(InvalidLink::Unknown)?;
        let id = |from: usize| Uuid::from_slice(&content[from..from + 16]).map_err(|_| InvalidLink::Unknown);
        let number = |from: usize| content[from..from + 8].try_into().map(u64::from_be_bytes);
        let (organization, subject) = (OrganizationId(id(1)?), id(17)?);
        let generation = number(33).map_err(|_| InvalidLink::Unknown)?;
        let second = number(41).map_err(|_| InvalidLink::Unknown)?.cast_signed();
        let expires_at = Timestamp::from_second(second).map_err(|_| InvalidLink::Unknown)?;
        Ok(Link { purpose, organization, subject, generation, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit;

    use super::*;

    fn links(key: &[u8]) -> Links {
        Links { key: Hmac::new_from_slice(key).unwrap(), public_url: "https://admin.example".to_owned() }
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).unwrap()
    }

    fn invitation() -> Link {
        let (organization, subject) = (OrganizationId(Uuid::from_u128(7)), Uuid::from_u128(11));
        Link { purpose: Purpose::Invitation, organization, subject, generation: 1, expires_at: second(100) }
    }

    #[test]
    fn a_link_round_trips_until_it_expires() {
        let links = links(b"one");
        let token = links.token(&invitation());
        assert_eq!(links.read(&token, Purpose::Invitation, second(99)), Ok(invitation()));
        assert_eq!(links.read(&token, Purpose::Invitation, second(100)), Err(InvalidLink::Expired));
        assert_eq!(links.address(&invitation()), format!("https://admin.example/invitation#token={token}"));
    }

    #[test]
    fn links_with_another_purpose_or_key_and_altered_links_are_rejected() {
        let here = links(b"one");
        let token = here.token(&invitation());
        assert_eq!(here.read(&token, Purpose::Setup, second(1)), Err(InvalidLink::Unknown));
        assert_eq!(links(b"two").read(&token, Purpose::Invitation, second(1)), Err(InvalidLink::Unknown));
        for index in 0..token.len() - 1 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(here.read(&changed, Purpose::Invitation, second(1)), Err(InvalidLink::Unknown), "{index}");
        }
        for bad in ["", "A", "é", &token[1..], &token[..token.len() - 2], &format!("{token}AAAA"), &"A".repeat(9_999)]
        {
            assert_eq!(here.read(bad, Purpose::Invitation, second(1)), Err(InvalidLink::Unknown), "{bad}");
        }
    }
}

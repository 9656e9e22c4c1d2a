//! The format of a token: `pts_` (PortTask session) or `ptk_` (PortTask key), then organization, session or key, 256
//! random bits and a checksum in URL-safe base 64. Secret scanners recognise it by the prefix and the checksum.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use porttask_domain::{ApiKeyId, OrganizationId, SessionId};
use porttask_runtime::vault::VaultError;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::identity::caller::Credential;

const SESSION: &str = "pts_";
const KEY: &str = "ptk_";
const CHECKSUM_BYTES: usize = 4;
/// The maximum length: that of a key, which includes the generation of its secret.
const MOST_BYTES: usize = 16 + 16 + 4 + 32 + CHECKSUM_BYTES;

/// A bearer token. [`Token::reveal`] is the only way to print it: its `Debug` omits the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    organization: OrganizationId,
    credential: Credential,
    secret: [u8; 32],
}

/// A string that is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid token")]
pub struct InvalidToken;

impl Token {
    pub(super) fn generate(organization: OrganizationId, credential: Credential) -> Result<Self, VaultError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| VaultError::NoRandomness(error.to_string()))?;
        Ok(Self { organization, credential, secret })
    }

    /// The organization of the session or key.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The session or key.
    pub fn credential(&self) -> Credential {
        self.credential
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The token as a string, including its secret.
    pub fn reveal(&self) -> String {
        let mut bytes = Vec::with_capacity(MOST_BYTES);
        bytes.extend_from_slice(self.organization.0.as_bytes());
        bytes.extend_from_slice(self.credential.id().as_bytes());
        let prefix = match self.credential {
            Credential::Session(_) => SESSION,
            Credential::Key { generation, .. } => {
                bytes.extend_from_slice(&generation.to_be_bytes());
                KEY
            }
        };
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&checksum(&bytes));
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let of_session = text.strip_prefix(SESSION).map(|rest| (rest, false));
        let (encoded, is_key) = of_session.or(text.strip_prefix(KEY).map(|rest| (rest, true))).ok_or(InvalidToken)?;
        if encoded.len() > 2 * MOST_BYTES {
            return Err(InvalidToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidToken)?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(InvalidToken)?;
        if checksum(content) != *sum {
            return Err(InvalidToken);
        }
        let (organization, content) = id(content)?;
        let (of, content) = id(content)?;
        let (credential, secret) = match is_key {
            false => (Credential::Session(SessionId(of)), content),
            true => {
                let (generation, secret) = content.split_first_chunk::<4>().ok_or(InvalidToken)?;
                (Credential::Key { key: ApiKeyId(of), generation: u32::from_be_bytes(*generation) }, secret)
            }
        };
        let secret = secret.try_into().map_err(|_| InvalidToken)?;
        Ok(Self { organization: OrganizationId(organization), credential, secret })
    }
}

/// Splits a leading UUID off the bytes.
fn id(bytes: &[u8]) -> Result<(Uuid, &[u8]), InvalidToken> {
    let (id, rest) = bytes.split_first_chunk::<16>().ok_or(InvalidToken)?;
    Ok((Uuid::from_bytes(*id), rest))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.credential)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(bytes);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> [(&'static str, Token); 2] {
        let organization = OrganizationId(Uuid::from_u128(7));
        let session = Credential::Session(SessionId(Uuid::from_u128(8)));
        let key = Credential::Key { key: ApiKeyId(Uuid::from_u128(9)), generation: 3 };
        [("pts_", session), ("ptk_", key)].map(|(prefix, it)| (prefix, Token::generate(organization, it).unwrap()))
    }

    #[test]
    fn tokens_round_trip_and_altered_ones_are_rejected() {
        for (prefix, token) in tokens() {
            let text = token.reveal();
            assert_eq!(text.parse(), Ok(token.clone()));
            assert!(text.starts_with(prefix) && !format!("{token:?}").contains(&text[70..]));
            for index in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                assert_eq!(changed.parse::<Token>(), Err(InvalidToken), "{changed}");
            }
            let swapped = if prefix == "pts_" { "ptk_" } else { "pts_" };
            for bad in [
                "",
                "pts_",
                "ptk_é",
                &text[4..],
                &text[..text.len() - 1],
                &format!("{text}A"),
                &"pts_A".repeat(99),
                &format!("{swapped}{}", &text[4..]),
            ] {
                assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad}");
            }
        }
    }
}

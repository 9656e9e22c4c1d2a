//! The form of a token: `pts_` (PortTask session), then organization, session, 256 random bits and a checksum in URL-safe
//! base 64. Scanners for leaked secrets know it by the prefix and the checksum.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use porttask_domain::{OrganizationId, SessionId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::vault::VaultError;

const PREFIX: &str = "pts_";
const CHECKSUM_BYTES: usize = 4;
const BYTES: usize = 16 + 16 + 32 + CHECKSUM_BYTES;

/// What a caller shows. Printed only where it is handed over: its `Debug` is blank.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    organization: OrganizationId,
    session: SessionId,
    secret: [u8; 32],
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no token")]
pub struct InvalidToken;

impl Token {
    pub(super) fn generate(organization: OrganizationId, session: SessionId) -> Result<Self, VaultError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| VaultError::NoRandomness(error.to_string()))?;
        Ok(Self { organization, session, secret })
    }

    /// Where it leads.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Which session it is of.
    pub fn session(&self) -> SessionId {
        self.session
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The token as it is handed over.
    pub fn reveal(&self) -> String {
        let mut bytes = [self.organization.0.as_bytes(), self.session.0.as_bytes(), &self.secret[..]].concat();
        bytes.extend_from_slice(&checksum(&bytes));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let encoded = text.strip_prefix(PREFIX).filter(|it| it.len() < 2 * BYTES).ok_or(InvalidToken)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidToken)?;
        let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| InvalidToken)?;
        let (content, sum) = bytes.split_at(BYTES - CHECKSUM_BYTES);
        if checksum(content) != sum {
            return Err(InvalidToken);
        }
        let id = |from: usize| Uuid::from_slice(&content[from..from + 16]).map_err(|_| InvalidToken);
        let secret = content[32..].try_into().map_err(|_| InvalidToken)?;
        Ok(Self { organization: OrganizationId(id(0)?), session: SessionId(id(16)?), secret })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.session)
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

    #[test]
    fn a_token_is_read_as_it_was_handed_over_and_only_so() {
        let token = Token::generate(OrganizationId(Uuid::from_u128(7)), SessionId(Uuid::from_u128(8))).unwrap();
        let text = token.reveal();
        assert_eq!(text.parse(), Ok(token.clone()));
        assert!(text.starts_with("pts_") && !format!("{token:?}").contains(&text[70..]));
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(changed.parse::<Token>(), Err(InvalidToken), "{changed}");
        }
        for bad in ["", "pts_", "pts_é", &text[4..], &text[..text.len() - 1], &format!("{text}A"), &"pts_A".repeat(99)]
        {
            assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad}");
        }
    }
}

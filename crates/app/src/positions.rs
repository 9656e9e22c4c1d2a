//! Positions as callers see them: tokens for reading one's own writes, and nothing else.
//!
//! Offsets would tell every tenant how much others do, and strangers whether an attempt was recorded. A token is sealed
//! under a key of the service, bound to the caller's organization: others cannot open it, and nobody can invent one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use porttask_domain::OrganizationId;
use porttask_runtime::{
    log::{Incarnation, Offset, PartitionId, Position},
    vault::{Vault, VaultError},
};
use sha2::Sha256;

const PREFIX: &str = "pos_";
const VERSION: u8 = 1;
const BYTES: usize = 16;

/// Seals and opens positions.
#[derive(Clone)]
pub struct Positions {
    seal: Hmac<Sha256>,
    /// The low byte of the log's incarnation: a restored log opens no tokens of before.
    incarnation: u8,
}

/// What is no position of this log, or of another organization's callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a Porttask-Position that you received")]
pub struct InvalidPosition;

impl Positions {
    /// Opens the service, for a log in this incarnation.
    ///
    /// # Errors
    /// If the key is unavailable.
    pub async fn open(vault: &Vault, incarnation: Incarnation) -> Result<Self, VaultError> {
        let low = incarnation.0.as_bytes()[15];
        Ok(Self { seal: vault.authenticator("positions").await?, incarnation: low })
    }

    /// The token of a position for callers of an organization: the same for the same position.
    pub fn seal(&self, organization: OrganizationId, Position { partition, offset }: Position) -> String {
        let mut plain = [0; BYTES];
        plain[0] = VERSION;
        plain[1..3].copy_from_slice(&partition.0.to_be_bytes());
        plain[3..9].copy_from_slice(&offset.0.to_be_bytes()[2..]);
        // 9 to 15: the offset of the platform's partition, if the change was also recorded there.
        plain[15] = self.incarnation;
        let tag = self.tag(organization, &plain);
        let mut sealed = [0; 2 * BYTES];
        sealed[..BYTES].copy_from_slice(&tag);
        sealed[BYTES..].copy_from_slice(&self.mask(organization, &tag, &plain));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The position of a token.
    ///
    /// # Errors
    /// If it is no token of this log for callers of this organization.
    pub fn unseal(&self, organization: OrganizationId, token: &str) -> Result<Position, InvalidPosition> {
        let encoded = token.strip_prefix(PREFIX).ok_or(InvalidPosition)?;
        let sealed = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidPosition)?;
        let (tag, masked) = sealed.split_first_chunk::<BYTES>().ok_or(InvalidPosition)?;
        let masked: &[u8; BYTES] = masked.try_into().map_err(|_| InvalidPosition)?;
        let plain = self.mask(organization, tag, masked);
        let is_genuine = self.mac(organization, b"tag").chain_update(plain).verify_truncated_left(tag).is_ok();
        if !is_genuine || plain[0] != VERSION || plain[15] != self.incarnation {
            return Err(InvalidPosition);
        }
        let mut offset = [0; 8];
        offset[2..].copy_from_slice(&plain[3..9]);
        let partition = PartitionId(u16::from_be_bytes([plain[1], plain[2]]));
        Ok(Position { partition, offset: Offset(u64::from_be_bytes(offset)) })
    }

    fn tag(&self, organization: OrganizationId, plain: &[u8; BYTES]) -> [u8; BYTES] {
        first(self.mac(organization, b"tag").chain_update(plain))
    }

    /// Encrypts or decrypts.
    fn mask(&self, organization: OrganizationId, tag: &[u8; BYTES], text: &[u8; BYTES]) -> [u8; BYTES] {
        let stream: [u8; BYTES] = first(self.mac(organization, b"mask").chain_update(tag));
        std::array::from_fn(|index| stream[index] ^ text[index])
    }

    fn mac(&self, organization: OrganizationId, purpose: &[u8]) -> Hmac<Sha256> {
        self.seal.clone().chain_update(purpose).chain_update(organization.0.as_bytes())
    }
}

fn first(mac: Hmac<Sha256>) -> [u8; BYTES] {
    let whole = mac.finalize().into_bytes();
    std::array::from_fn(|index| whole[index])
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit;
    use uuid::Uuid;

    use super::*;

    fn positions(incarnation: u8) -> Positions {
        Positions { seal: Hmac::new_from_slice(&[7; 32]).unwrap(), incarnation }
    }

    fn organization(number: u128) -> OrganizationId {
        OrganizationId(Uuid::from_u128(number))
    }

    #[test]
    fn a_token_is_opened_by_the_organization_that_it_is_for() {
        let positions = positions(3);
        for (partition, offset) in [(0, 0), (15, 1), (65_535, (1 << 48) - 1)] {
            let position = Position { partition: PartitionId(partition), offset: Offset(offset) };
            let token = positions.seal(organization(1), position);
            assert_eq!(token.len(), 4 + 43);
            assert_eq!(token, positions.seal(organization(1), position));
            assert_eq!(positions.unseal(organization(1), &token), Ok(position));
            assert_eq!(positions.unseal(organization(2), &token), Err(InvalidPosition));
            assert_ne!(token, positions.seal(organization(2), position));
        }
    }

    #[test]
    fn what_was_not_sealed_here_is_refused() {
        let position = Position { partition: PartitionId(1), offset: Offset(5) };
        let token = positions(3).seal(organization(1), position);
        assert_eq!(positions(4).unseal(organization(1), &token), Err(InvalidPosition), "of another incarnation");
        for wrong in ["", "0:5", "pos_", "pos_AAAA", &token[1..], &format!("{token}A"), &token.replace("pos_", "pos_A")]
        {
            assert_eq!(positions(3).unseal(organization(1), wrong), Err(InvalidPosition), "{wrong}");
        }
        for index in 4..token.len() - 1 {
            let mut altered = token.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(positions(3).unseal(organization(1), &altered), Err(InvalidPosition), "{index}");
        }
    }
}

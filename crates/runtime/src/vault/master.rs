//! The master keys, which wrap all other keys and are never stored in a database.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};

use super::{VaultError, sealed::PlainKey};

const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// A key that wraps other keys: 32 bytes.
#[derive(Clone)]
pub struct MasterKey {
    id: [u8; ID_BYTES],
    cipher: XChaCha20Poly1305,
}

impl MasterKey {
    /// The key with these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let digest = Sha256::new_with_prefix(b"porttask.master-key-id.v1").chain_update(bytes).finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&digest[..ID_BYTES]);
        Self { id, cipher: XChaCha20Poly1305::new(bytes.into()) }
    }

    /// A fingerprint that identifies the key without revealing it.
    pub fn id(&self) -> String {
        hex(&self.id)
    }
}

/// The current master key, and former ones that may still wrap older keys.
#[derive(Clone)]
pub struct MasterKeys {
    current: MasterKey,
    former: Vec<MasterKey>,
}

impl MasterKeys {
    /// The current key, and former ones.
    pub fn new(current: MasterKey, former: Vec<MasterKey>) -> Self {
        Self { current, former }
    }

    /// The id of the current key.
    pub fn current_id(&self) -> String {
        self.current.id()
    }

    /// Fails unless these keys open one of the service's own keys.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] if it was wrapped by another master key.
    pub fn opens(&self, purpose: &str, wrapped: &[u8]) -> Result<(), VaultError> {
        self.unwrap(wrapped, purpose.as_bytes()).map(drop)
    }

    /// `id ‖ nonce ‖ sealed key`, bound to `name` as associated data.
    pub(super) fn wrap(&self, key: &PlainKey, name: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let sealed = self.current.cipher.encrypt(&nonce.into(), Payload { msg: key.bytes(), aad: name });
        // Encryption fails only for plaintexts of many gigabytes.
        let sealed = sealed.unwrap_or_else(|error| unreachable!("a key cannot be wrapped: {error}"));
        Ok([&self.current.id[..], &nonce, &sealed].concat())
    }

    /// Whether a wrapped key is wrapped by the current master key.
    pub(super) fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.current.id)
    }

    pub(super) fn unwrap(&self, wrapped: &[u8], name: &[u8]) -> Result<PlainKey, VaultError> {
        let (id, rest) = wrapped.split_at_checked(ID_BYTES).unwrap_or_default();
        let other = || VaultError::OtherMasterKey(hex(id));
        let by = std::iter::once(&self.current).chain(&self.former).find(|key| key.id == id).ok_or_else(other)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(other)?;
        let opened = by.cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: name }).map_err(|_| other())?;
        PlainKey::from_bytes(&opened).ok_or_else(other)
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| VaultError::NoRandomness(error.to_string()))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Encryption under one of the service's own keys, for short-lived data in the ledger.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};

use super::{VaultError, master::random, sealed::PlainKey};

const NONCE_BYTES: usize = 24;

/// Seals and opens for one purpose.
#[derive(Clone)]
pub struct Safe {
    purpose: &'static str,
    cipher: XChaCha20Poly1305,
}

impl Safe {
    pub(super) fn new(purpose: &'static str, key: &PlainKey) -> Self {
        Self { purpose, cipher: XChaCha20Poly1305::new(key.bytes().into()) }
    }

    /// `nonce ‖ sealed`, with `bound_to` as associated data, which is needed to open it.
    ///
    /// # Errors
    /// If the operating system provides no random numbers.
    pub fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let sealed = self.cipher.encrypt(&nonce.into(), Payload { msg: plain, aad: bound_to });
        let sealed = sealed.map_err(|_| VaultError::Spoiled(self.purpose))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// If it was tampered with, or is bound to something else.
    pub fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, VaultError> {
        let spoiled = || VaultError::Spoiled(self.purpose);
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(spoiled)?;
        self.cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: bound_to }).map_err(|_| spoiled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_unless_it_was_changed_or_moved() {
        let safe = Safe::new("jobs", &PlainKey::generate().unwrap());
        let mut sealed = safe.seal(b"ana@acme.example", b"job 1 input").unwrap();
        assert!(!sealed.windows(3).any(|window| window == b"ana"));
        assert_eq!(safe.open(&sealed, b"job 1 input").unwrap(), b"ana@acme.example");
        assert_eq!(safe.open(&sealed, b"job 2 input"), Err(VaultError::Spoiled("jobs")));
        sealed[30] ^= 1;
        assert_eq!(safe.open(&sealed, b"job 1 input"), Err(VaultError::Spoiled("jobs")));
        assert_eq!(safe.open(b"short", b""), Err(VaultError::Spoiled("jobs")));
    }
}

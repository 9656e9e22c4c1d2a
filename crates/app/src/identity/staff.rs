//! Staff of the platform, as organizations see it: by a number.

use hmac::{Hmac, Mac};
use porttask_domain::UserId;
use porttask_runtime::vault::{Vault, VaultError};
use sha2::Sha256;

/// Below which number all are.
const NUMBERS: u64 = 1_000_000_000;

/// Gives everybody on the staff a number, which stays the same, and says nothing of who they are.
#[derive(Clone)]
pub struct StaffNumbers(Hmac<Sha256>);

impl StaffNumbers {
    /// Those of this installation.
    ///
    /// # Errors
    /// If the key cannot be had.
    pub async fn open(vault: &Vault) -> Result<Self, VaultError> {
        vault.authenticator("staff numbers").await.map(Self)
    }

    /// The number of somebody, of nine digits.
    pub fn of(&self, user: UserId) -> String {
        let hash = self.0.clone().chain_update(user.0.as_bytes()).finalize().into_bytes();
        let number = hash.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        format!("{:09}", number % NUMBERS)
    }
}

//! Staff numbers: pseudonyms of the platform's staff, as organizations see them.

use hmac::{Hmac, Mac};
use porttask_domain::UserId;
use porttask_runtime::vault::{Vault, VaultError};
use sha2::Sha256;

/// The exclusive upper bound of staff numbers.
const NUMBERS: u64 = 1_000_000_000;

/// Derives a stable number for each staff member, which does not reveal their identity.
#[derive(Clone)]
pub struct StaffNumbers(Hmac<Sha256>);

impl StaffNumbers {
    /// Opens the service.
    ///
    /// # Errors
    /// If the key is unavailable.
    pub async fn open(vault: &Vault) -> Result<Self, VaultError> {
        vault.authenticator("staff numbers").await.map(Self)
    }

    /// The nine-digit number of a staff member.
    pub fn of(&self, user: UserId) -> String {
        let hash = self.0.clone().chain_update(user.0.as_bytes()).finalize().into_bytes();
        let number = hash.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        format!("{:09}", number % NUMBERS)
    }
}

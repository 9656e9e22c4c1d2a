//! Port: a registry that knows which VAT ids are registered.

use async_trait::async_trait;
use porttask_domain::billing::billing_account::{CheckResult, CheckSource};

/// The answer of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAnswer {
    /// What it found; a registry that does not answer is unavailable.
    pub result: CheckResult,
    /// Who answered.
    pub source: CheckSource,
    /// Its reference of the check.
    pub reference: Option<String>,
}

/// Checks VAT ids.
#[async_trait]
pub trait TaxRegistry: Send + Sync {
    /// Checks a VAT id in canonical form. A failure on the way is unavailable, within a few seconds.
    async fn check(&self, tax_id: &str) -> RegistryAnswer;
}

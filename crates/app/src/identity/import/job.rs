//! An import as a job: its encrypted input and report, and the work itself.

use async_trait::async_trait;
use porttask_domain::{JobId, Meta, identity::Role};
use serde::{Deserialize, Serialize};

use super::{Import, ImportError, ImportRequest, LineReport, UnknownColumns, read};
use crate::identity::invitations::InvitationLimits;
use porttask_runtime::{
    execute::ExecuteError,
    jobs::{Course, Job, Work, WorkError},
    vault::{Safe, Vault, VaultError},
};

/// The kind of import jobs.
pub const IMPORT_USERS: &str = "import_users";

/// The parameters of an import, besides the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedImport {
    /// Who requested it, and from where.
    pub meta: Meta,
    /// The role of people without a role in the file.
    pub default_role: Role,
    /// Whether to invite everybody who has not been invited yet.
    pub send_invitations: bool,
    /// What happens to unknown columns.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
}

/// Imports as jobs.
pub struct ImportJobs {
    import: Import,
    safe: Safe,
    invitations: InvitationLimits,
}

impl ImportJobs {
    /// With these limits on invitations for every organization.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(import: Import, vault: &Vault, invitations: InvitationLimits) -> Result<Self, VaultError> {
        Ok(Self { import, safe: vault.safe("jobs").await?, invitations })
    }

    /// The encrypted input of an import job.
    ///
    /// # Errors
    /// If it cannot be encrypted.
    pub fn input(&self, job: JobId, ordered: &RequestedImport, file: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut plain = serde_json::to_vec(ordered).unwrap_or_default();
        // JSON on one line, followed by the file as it is.
        plain.push(b'\n');
        plain.extend_from_slice(file);
        self.safe.seal(&plain, &bound_to(job, "input"))
    }

    /// Decrypts the report of an import job: the result of every line.
    ///
    /// # Errors
    /// If it cannot be decrypted.
    pub fn report(&self, job: JobId, sealed: &[u8]) -> Result<Vec<LineReport>, VaultError> {
        let plain = self.safe.open(sealed, &bound_to(job, "report"))?;
        serde_json::from_slice(&plain).map_err(|_| VaultError::Spoiled("jobs"))
    }
}

#[async_trait]
impl Work for ImportJobs {
    fn kind(&self) -> &'static str {
        IMPORT_USERS
    }

    async fn carry_out(&self, job: &Job, input: &[u8], course: &Course) -> Result<Vec<u8>, WorkError> {
        let plain = self.safe.open(input, &bound_to(job.id, "input")).map_err(|it| WorkError::Final(it.to_string()))?;
        let unreadable = || WorkError::Final("the input of this job cannot be decoded".to_owned());
        let end = plain.iter().position(|byte| *byte == b'\n').ok_or_else(unreadable)?;
        let ordered: RequestedImport = serde_json::from_slice(&plain[..end]).map_err(|_| unreadable())?;
        let RequestedImport { meta, default_role, send_invitations, unknown_columns } = ordered;
        // Parsing a large file would block the async runtime.
        let lines = tokio::task::spawn_blocking(move || read(&plain[end + 1..], default_role, unknown_columns)).await;
        let lines = lines.map_err(|error| WorkError::Passing(error.to_string()))?;
        // Without names from the file, which may be personal: the message is stored.
        let lines = lines.map_err(|error| WorkError::Final(error.without_names()))?;
        let order = ImportRequest {
            organization: job.organization,
            // Marks the accounts as created by this job.
            meta: Meta { request_id: Some(job.id.to_string()), ..meta },
            is_retry: job.epoch > 1,
            send_invitations,
            invitations_expire_at: job.created_at + self.invitations.lifetime,
            invitations_per_day: self.invitations.imports_per_day,
            dry_run: job.is_dry_run,
        };
        let reports = self.import.run(order, lines, course).await?;
        let report = serde_json::to_vec(&reports).unwrap_or_default();
        self.safe.seal(&report, &bound_to(job.id, "report")).map_err(|it| WorkError::Passing(it.to_string()))
    }
}

impl From<ImportError> for WorkError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Stopped => Self::Stopped,
            ImportError::Rejected(rejected) => Self::Final(rejected.message),
            ImportError::Failed(error @ (ExecuteError::Malformed(_) | ExecuteError::ForeignEvent(_))) => {
                tracing::error!(%error, "an import failed because of a bug");
                Self::Final("an internal error occurred; it has been logged".to_owned())
            }
            ImportError::Failed(error) => Self::Passing(error.to_string()),
        }
    }
}

/// The associated data that binds a payload to its job.
fn bound_to(job: JobId, what: &str) -> Vec<u8> {
    [job.0.as_bytes(), what.as_bytes()].concat()
}

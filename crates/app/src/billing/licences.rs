//! Licences: signing their tokens, activation leases and revocation lists.
//!
//! No token is stored: each is signed again when it is asked for, from the event that issued it. Ed25519 signs the same
//! claims in the same way. The private keys are in the ledger, wrapped by the master key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        LicenceSigningKeys,
        licence::{self, Issue, LicenceId, Machine, Status},
        licence_signing_key::{LicenceSigningKeyId, Rejection, SigningKey},
        terms::Limits,
    },
};
use porttask_licence::{Claims, Invalid, Keys, Kind, Lease, PublicKey, RevocationList, Revoked, Signer, Verifier};
use porttask_projections::{ColumnType, ReadModel, billing::licence::Licences};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Rejected},
    vault::{Vault, VaultError},
    views::{Condition, Direction, Query, ViewError, Views},
};

/// How long an activation can be used without a connection.
pub const LEASE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a revocation list is current.
const LIST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a licence stays in the list after it has expired.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Rows per read.
const PAGE: usize = 500;
/// How long a list waits for the licences that were revoked before.
const PATIENCE: Duration = Duration::from_secs(2);
const SECONDS_OF_A_DAY: i64 = 86_400;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// No key signs, or the log fails.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// A private key cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The licences cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The private key of a published key is not in the ledger.
    #[error("the private key of the signing key {0} is not in the ledger: retire it as compromised")]
    KeyLost(LicenceSigningKeyId),
}

/// What a token says that was presented by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The organization.
    pub organization: OrganizationId,
    /// The licence.
    pub licence: LicenceId,
}

/// Signs tokens.
pub struct LicenceTokens {
    executor: Arc<Executor>,
    vault: Arc<Vault>,
    views: Arc<Views>,
    issuer: String,
    signers: Mutex<HashMap<LicenceSigningKeyId, Arc<Signer>>>,
}

impl LicenceTokens {
    /// Signs as this issuer, the URL of the service.
    pub fn new(executor: Arc<Executor>, vault: Arc<Vault>, views: Arc<Views>, issuer: &str) -> Self {
        Self { executor, vault, views, issuer: issuer.trim_end_matches('/').to_owned(), signers: Mutex::default() }
    }

    /// The issuer of new licences.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The private key of a new signing key; the same one if it is made again.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn make_key(&self, key: LicenceSigningKeyId) -> Result<PublicKey, VaultError> {
        Ok(self.signer_of(key).await?.public())
    }

    /// The signing keys, as of now.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn signing_keys(&self) -> Result<LicenceSigningKeys, ExecuteError> {
        let keys = self.executor.load(OrganizationId::PLATFORM, LicenceSigningKeyId::ALL).await?;
        Ok(keys.0)
    }

    /// The public keys that verify tokens now.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn published(&self, now: Timestamp) -> Result<Keys, ExecuteError> {
        let keys = self.signing_keys().await?;
        let published = keys.all().iter().filter(|key| key.is_published(now));
        Ok(published.filter_map(|key| PublicKey::from_base64(&key.public_key)).collect())
    }

    /// The token of a licence, under the key of its event, or under the current one if that was removed.
    ///
    /// # Errors
    /// If no key signs.
    pub async fn token(
        &self,
        organization: OrganizationId,
        issue: &Issue,
        now: Timestamp,
    ) -> Result<String, LicenceError> {
        let keys = self.signing_keys().await?;
        let signer = self.signer(keys.again(&issue.kid, now)).await?;
        Ok(signer.sign(&claims(organization, issue)))
    }

    /// The lease of a machine, at most until the licence expires.
    ///
    /// # Errors
    /// If no key signs.
    pub async fn lease(
        &self,
        issue: &Issue,
        machine: &Machine,
        now: Timestamp,
    ) -> Result<(String, Timestamp), LicenceError> {
        let keys = self.signing_keys().await?;
        let signer = self.signer(keys.signing()).await?;
        let expires_at = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX).min(issue.expires_at);
        let lease = Lease {
            iss: issue.issuer.clone(),
            jti: issue.licence.to_string(),
            machine: machine.as_str().to_owned(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
        };
        Ok((signer.sign(&lease), expires_at))
    }

    /// Which licence a token is. Its signature and time are verified; whether it was revoked is not.
    ///
    /// # Errors
    /// The inner one if the token is not valid.
    pub async fn presented(&self, token: &str, now: Timestamp) -> Result<Result<Presented, Invalid>, ExecuteError> {
        let verifier = Verifier::of_any_issuer(self.published(now).await?);
        Ok(verifier.verify(token, now.as_second()).and_then(|claims| {
            // Signed by this service, so its ids are those of this service.
            let ids = (claims.sub.parse::<OrganizationId>(), claims.jti.parse::<LicenceId>());
            let (Ok(organization), Ok(licence)) = ids else { return Err(Invalid::BadSignature) };
            Ok(Presented { organization, licence })
        }))
    }

    /// The revocation list: the same one until the next day or the next revocation. Its number is that of the days since
    /// 1970 and of all licences that were ever revoked, so that it only grows.
    ///
    /// # Errors
    /// If no key signs, or the licences cannot be read.
    pub async fn revocations(&self, now: Timestamp) -> Result<String, LicenceError> {
        self.views.catch_up(Licences::NAME, PATIENCE).await?;
        let day = now.as_second().div_euclid(SECONDS_OF_A_DAY);
        let (mut iat, mut count, mut revoked) = (day * SECONDS_OF_A_DAY, 0_u64, Vec::new());
        let mut after = None;
        loop {
            let ended = [Status::Revoked, Status::Replaced].iter().map(Status::to_value).collect();
            let query = Query {
                is_everywhere: true,
                conditions: vec![Condition::OneOf("status", ended)],
                sort: vec!["created_at", "organization", "licence"],
                after: after.take(),
                limit: PAGE,
                ..Query::default()
            };
            let rows = self.views.rows::<Licences>(&query).await?;
            let Some(last) = rows.last() else { break };
            after = Some(vec![last.created_at.to_value(), last.organization.to_value(), last.licence.to_value()]);
            for row in rows {
                let at = row.ended_at.unwrap_or(row.created_at);
                (iat, count) = (iat.max(at.as_second()), count + 1);
                if row.expires_at.saturating_add(KEPT).is_ok_and(|until| now < until) {
                    let (jti, at) = (row.licence.to_string(), at.as_second());
                    let reason = row.reason.unwrap_or_else(|| row.status.as_str().to_owned());
                    revoked.push(Revoked { jti, at, reason });
                }
            }
        }
        let keys = self.signing_keys().await?;
        let signer = self.signer(keys.signing()).await?;
        let (iss, seq) = (self.issuer.clone(), day.unsigned_abs() + count);
        Ok(signer.sign(&RevocationList { iss, seq, iat, exp: iat + LIST.as_secs(), revoked }))
    }

    /// When the last token expires that was signed until now: of licences, leases and lists.
    ///
    /// # Errors
    /// If the licences cannot be read.
    pub async fn last_expiry(&self, now: Timestamp) -> Result<Timestamp, ViewError> {
        self.views.catch_up(Licences::NAME, PATIENCE).await?;
        let query = Query {
            is_everywhere: true,
            sort: vec!["expires_at", "organization", "licence"],
            direction: Direction::Descending,
            limit: 1,
            ..Query::default()
        };
        let last = self.views.rows::<Licences>(&query).await?.first().map(|row| row.expires_at);
        let of_leases = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        Ok(last.map_or(of_leases, |last| last.max(of_leases)))
    }

    async fn signer(&self, key: Option<&SigningKey>) -> Result<Arc<Signer>, LicenceError> {
        let key = key.ok_or_else(|| ExecuteError::Rejected(Rejected::from(Rejection::NoneSigns)))?;
        let signer = self.signer_of(key.key).await?;
        match signer.public().kid() == key.kid {
            true => Ok(signer),
            false => Err(LicenceError::KeyLost(key.key)),
        }
    }

    async fn signer_of(&self, key: LicenceSigningKeyId) -> Result<Arc<Signer>, VaultError> {
        let signers = || self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = signers().get(&key).cloned();
        if let Some(signer) = known {
            return Ok(signer);
        }
        let seed = self.vault.signing_seed(&seed_name(key)).await?;
        let signer = Arc::new(Signer::from_seed(seed));
        signers().insert(key, Arc::clone(&signer));
        Ok(signer)
    }
}

/// The name under which the vault has the seed of a signing key.
fn seed_name(key: LicenceSigningKeyId) -> String {
    format!("licence signing key {key}")
}

/// The public half of a signing key whose private half is given, for a demonstration.
///
/// # Errors
/// If it cannot be stored.
pub async fn demonstration_key(
    vault: &Vault,
    key: LicenceSigningKeyId,
    seed: [u8; 32],
) -> Result<PublicKey, VaultError> {
    Ok(Signer::from_seed(vault.put_signing_seed(&seed_name(key), seed).await?).public())
}

/// What the token of a licence says.
fn claims(organization: OrganizationId, issue: &Issue) -> Claims {
    let Limits { users, port_calls, storage_bytes, api_calls } = issue.terms.limits;
    let limits =
        [("users", users), ("port_calls", port_calls), ("storage_bytes", storage_bytes), ("api_calls", api_calls)];
    Claims {
        iss: issue.issuer.clone(),
        jti: issue.licence.to_string(),
        sub: organization.to_string(),
        kind: match issue.kind {
            licence::Kind::Trial => Kind::Trial,
            licence::Kind::Subscription => Kind::Subscription,
            licence::Kind::Enterprise => Kind::Enterprise,
            licence::Kind::Partner => Kind::Partner,
        },
        iat: issue.issued_at.as_second(),
        nbf: issue.not_before.as_second(),
        exp: issue.expires_at.as_second(),
        activations: issue.activations,
        features: issue.terms.features.iter().map(|feature| feature.as_str().to_owned()).collect(),
        limits: limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?))).collect(),
        reseller: issue.reseller.clone(),
    }
}

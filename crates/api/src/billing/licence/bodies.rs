//! Bodies of licences.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_app::billing::licences::LicenceTokens;
use porttask_domain::{
    OrganizationId, Reason,
    billing::{
        Subscription,
        licence::{
            ActivationId, Issue, Kind, LicenceId, LicenceTerms, Rejection, Reseller, Status, TRIAL, of_subscription,
        },
        terms::{Feature, Limits},
    },
};
use porttask_projections::billing::licence as view;
use porttask_runtime::execute::Rejected;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{problem::Problem, request::Instant};

/// What a licence limits; null means no limit.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenceLimits {
    #[serde(default)]
    users: Option<u64>,
    #[serde(default)]
    port_calls: Option<u64>,
    #[serde(default)]
    storage_bytes: Option<u64>,
    #[serde(default)]
    api_calls: Option<u64>,
}

impl From<Limits> for LicenceLimits {
    fn from(Limits { users, port_calls, storage_bytes, api_calls }: Limits) -> Self {
        Self { users, port_calls, storage_bytes, api_calls }
    }
}

impl From<LicenceLimits> for Limits {
    fn from(LicenceLimits { users, port_calls, storage_bytes, api_calls }: LicenceLimits) -> Self {
        Self { users, port_calls, storage_bytes, api_calls }
    }
}

/// A machine on which a licence is activated.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LicenceActivation {
    id: ActivationId,
    /// The SHA-256 of what identifies it, in base64url.
    #[schema(example = "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU")]
    machine: String,
    activated_at: Timestamp,
}

/// A licence.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Licence)]
pub(crate) struct LicenceResponse {
    id: LicenceId,
    pub(super) organization: OrganizationId,
    pub(super) kind: Kind,
    pub(super) status: Status,
    /// Whether it is past its end.
    pub(super) expired: bool,
    pub(super) not_before: Timestamp,
    /// Exclusive.
    pub(super) expires_at: Timestamp,
    pub(super) features: BTreeSet<Feature>,
    limits: Option<LicenceLimits>,
    /// On how many machines it can be activated.
    pub(super) max_activations: u64,
    /// On how many it is activated.
    pub(super) used_activations: u64,
    activations: Vec<LicenceActivation>,
    /// Who sold it; only of partner licences.
    #[schema(example = "Harbour IT")]
    pub(super) reseller: Option<String>,
    /// The thumbprint of the key that signed it.
    kid: Option<String>,
    /// The licence whose place it takes.
    replaces: Option<LicenceId>,
    /// The licence that took its place.
    replaced_by: Option<LicenceId>,
    /// When it was revoked or replaced.
    ended_at: Option<Timestamp>,
    /// Why it was revoked.
    pub(super) reason: Option<String>,
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
    /// The token, for those who hold `billing:write`; only of a single active licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl LicenceResponse {
    /// With whether it has expired.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { expired: self.expires_at <= now, ..self }
    }

    pub(super) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    pub(super) fn id(&self) -> LicenceId {
        self.id
    }
}

impl From<view::Licence> for LicenceResponse {
    fn from(row: view::Licence) -> Self {
        let issue: Option<Issue> = serde_json::from_str(&row.issue).ok();
        let activation =
            |it: view::Activation| LicenceActivation { id: it.activation, machine: it.machine, activated_at: it.at };
        Self {
            id: row.licence,
            organization: row.organization,
            kind: row.kind,
            status: row.status,
            expired: false,
            not_before: row.not_before,
            expires_at: row.expires_at,
            features: issue.as_ref().map(|issue| issue.terms.features.clone()).unwrap_or_default(),
            limits: issue.as_ref().map(|issue| issue.terms.limits.into()),
            max_activations: row.max_activations,
            used_activations: row.used_activations,
            activations: row.machines().into_iter().map(activation).collect(),
            reseller: row.reseller,
            kid: issue.as_ref().map(|issue| issue.kid.clone()),
            replaces: issue.and_then(|issue| issue.replaces),
            replaced_by: row.replaced_by,
            ended_at: row.ended_at,
            reason: row.reason,
            created_at: row.created_at,
            version: row.version,
            token: None,
        }
    }
}

/// A licence to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLicence {
    kind: Kind,
    /// From when on it is valid; now by default.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Instant>,
    /// Until when, exclusively; required of `enterprise` and `partner`, and given by the kind of the others.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Instant>,
    /// On how many machines it can be activated; 1 by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    activations: Option<u32>,
    /// Of `enterprise` and `partner`; those of the subscription by default.
    #[serde(default)]
    features: Option<BTreeSet<Feature>>,
    /// Of `enterprise` and `partner`; those of the subscription by default.
    #[serde(default)]
    limits: Option<LicenceLimits>,
    /// Who sells it; of `partner`.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, example = "Harbour IT")]
    reseller: Option<Reseller>,
}

impl NewLicence {
    /// What is issued, given the subscription as it is now.
    ///
    /// # Errors
    /// If a field does not go with the kind, or there is no subscription to follow.
    pub(super) fn issue(
        &self,
        licence: LicenceId,
        subscription: &Subscription,
        (tokens, kid, now): (&LicenceTokens, String, Timestamp),
    ) -> Result<Issue, Problem> {
        let is_free = matches!(self.kind, Kind::Enterprise | Kind::Partner);
        let given = [
            ("/expires_at", self.expires_at.is_some()),
            ("/not_before", self.not_before.is_some()),
            ("/features", self.features.is_some()),
            ("/limits", self.limits.is_some()),
            ("/activations", self.activations.is_some() && self.kind == Kind::Trial),
        ];
        if let Some((field, _)) = given.iter().find(|(_, is_given)| *is_given && !is_free) {
            let detail = format!("must be left out: a licence of the kind `{}` has its own", self.kind);
            return Err(Problem::invalid(*field, detail));
        }
        let not_before = self.not_before.as_ref().map_or(now, |it| it.0);
        let (terms, expires_at) = match self.kind {
            Kind::Trial => (LicenceTerms::to_try(subscription), now.saturating_add(TRIAL).unwrap_or(now)),
            Kind::Subscription => of_subscription(subscription).ok_or(Rejected::from(Rejection::NoSubscription))?,
            Kind::Enterprise | Kind::Partner => {
                let expires_at = self.expires_at.as_ref();
                let expires_at = expires_at.ok_or_else(|| Problem::invalid("/expires_at", "is required"))?.0;
                let mut terms = LicenceTerms::of(subscription);
                if let Some(features) = &self.features {
                    terms.features.clone_from(features);
                }
                if let Some(limits) = self.limits {
                    terms.limits = limits.into();
                }
                (terms, expires_at)
            }
        };
        Ok(Issue {
            licence,
            kind: self.kind,
            terms,
            not_before,
            expires_at,
            activations: self.activations.unwrap_or(1),
            reseller: self.reseller.as_ref().map(|reseller| reseller.as_str().to_owned()),
            issuer: tokens.issuer().to_owned(),
            issued_at: now,
            kid,
            replaces: None,
        })
    }
}

/// Why a licence is revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenceRevocation {
    /// Public: it is in the revocation list. Up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "The contract has ended.")]
    pub(super) reason: Reason,
}

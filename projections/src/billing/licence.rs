//! Licences.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        licence::{ActivationId, Event, Issue, Kind, LicenceId, LicenceTerms, Removal, Status},
        licence_signing_key::{self, Retirement},
        terms::Limits,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    id_columns, row, text_columns,
};

id_columns!(LicenceId);
text_columns!(Kind, Status);

/// A machine on which a licence is activated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Its id.
    pub activation: ActivationId,
    /// The machine.
    pub machine: String,
    /// Since when.
    pub at: Timestamp,
}

row! {
    /// A licence.
    pub struct Licence {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            licence: LicenceId,
        }
        row {
            /// What it is for.
            kind: Kind,
            /// What became of it.
            status: Status,
            /// From when on it is valid.
            not_before: Timestamp,
            /// Until when it is valid.
            expires_at: Timestamp,
            /// On how many machines it can be activated.
            max_activations: u64,
            /// On how many it is activated.
            used_activations: u64,
            /// The machines, as JSON.
            activations: String,
            /// What was issued last, as JSON.
            issue: String,
            /// Who sold it.
            reseller: Option<String>,
            /// The licence that took its place.
            replaced_by: Option<LicenceId>,
            /// When it was revoked or replaced.
            ended_at: Option<Timestamp>,
            /// Why it was revoked.
            reason: Option<String>,
            /// When it was issued first.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

impl Licence {
    /// The machines.
    pub fn machines(&self) -> Vec<Activation> {
        serde_json::from_str(&self.activations).unwrap_or_default()
    }

    fn with_machines(self, machines: &[Activation]) -> Self {
        let used_activations = machines.len() as u64;
        Self { used_activations, activations: serde_json::to_string(machines).unwrap_or_default(), ..self }
    }
}

/// Which licences are there?
pub struct Licences;

impl ReadModel for Licences {
    const NAME: &'static str = "licences";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_age", columns: &["organization", "created_at", "licence"] },
        Index { name: "by_expiry", columns: &["organization", "expires_at", "licence"] },
    ];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "all_by_age", columns: &["created_at", "organization", "licence"] },
        Index { name: "all_by_expiry", columns: &["expires_at", "organization", "licence"] },
    ];
    type Source = Event;
    type Row = Licence;

    fn project(row: Option<Licence>, event: &Event, recorded: &Recorded) -> Change<Licence> {
        let version = recorded.version;
        match (row, event) {
            (None, Event::Issued(issue)) => Change::Put(first(issue, recorded)),
            (Some(row), Event::Issued(issue)) => Change::Put(Licence {
                not_before: issue.not_before,
                expires_at: issue.expires_at,
                max_activations: issue.activations.into(),
                issue: serde_json::to_string(issue).unwrap_or_default(),
                version,
                ..row
            }),
            (Some(row), Event::Replaced { by }) => Change::Put(Licence {
                status: Status::Replaced,
                replaced_by: Some(*by),
                ended_at: Some(recorded.time()),
                version,
                ..row
            }),
            (Some(row), Event::Revoked { reason }) => Change::Put(Licence {
                status: Status::Revoked,
                ended_at: Some(recorded.time()),
                reason: Some(reason.clone()),
                version,
                ..row
            }),
            (Some(row), Event::ActivationAdded { activation, machine }) => {
                let mut machines = row.machines();
                let (activation, machine) = (*activation, machine.clone());
                machines.push(Activation { activation, machine, at: recorded.time() });
                Change::Put(Licence { version, ..row.with_machines(&machines) })
            }
            (Some(row), Event::ActivationRemoved { activation, .. }) => {
                let mut machines = row.machines();
                machines.retain(|it| it.activation != *activation);
                Change::Put(Licence { version, ..row.with_machines(&machines) })
            }
            (
                None,
                Event::Replaced { .. }
                | Event::Revoked { .. }
                | Event::ActivationAdded { .. }
                | Event::ActivationRemoved { .. },
            ) => Change::Keep,
        }
    }
}

fn first(issue: &Issue, recorded: &Recorded) -> Licence {
    Licence {
        organization: recorded.organization,
        licence: LicenceId(recorded.subject),
        kind: issue.kind,
        status: Status::Active,
        not_before: issue.not_before,
        expires_at: issue.expires_at,
        max_activations: issue.activations.into(),
        used_activations: 0,
        activations: "[]".to_owned(),
        issue: serde_json::to_string(issue).unwrap_or_default(),
        reseller: issue.reseller.clone(),
        replaced_by: None,
        ended_at: None,
        reason: None,
        created_at: recorded.time(),
        version: recorded.version,
    }
}

/// What a licence permits, in words: `api_keys sso, users 25`.
pub fn terms_in_words(terms: &LicenceTerms) -> String {
    let LicenceTerms { features, limits } = terms;
    let features = features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>().join(" ");
    let Limits { users, port_calls, storage_bytes, api_calls } = *limits;
    let limits =
        [("users", users), ("port_calls", port_calls), ("storage_bytes", storage_bytes), ("api_calls", api_calls)];
    let limits = limits.into_iter().filter_map(|(name, limit)| Some(format!("{name} {}", limit?)));
    let parts: Vec<String> = Some(features).filter(|it| !it.is_empty()).into_iter().chain(limits).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Issued(issue) => {
            sink.words("issued the ");
            sink.value(DisplayValue::Text(issue.kind.as_str()));
            sink.words(" licence until ");
            sink.value(DisplayValue::Written(&issue.expires_at));
            sink.change("kind", None, Some(DisplayValue::Text(issue.kind.as_str())));
            sink.change("terms", None, Some(DisplayValue::Text(&terms_in_words(&issue.terms))));
            sink.change("not_before", None, Some(DisplayValue::Filtered(&issue.not_before)));
            sink.change("expires_at", None, Some(DisplayValue::Filtered(&issue.expires_at)));
            sink.change("activations", None, Some(DisplayValue::Written(&issue.activations)));
            change_if_different("reseller", None, issue.reseller.as_deref().map(DisplayValue::Text), sink);
            let replaces = issue.replaces.as_ref();
            change_if_different("replaces", None, replaces.map(|id| DisplayValue::Filtered(id)), sink);
            sink.change("signing_key", None, Some(DisplayValue::Filtered(&issue.kid)));
        }
        Event::Replaced { by } => {
            sink.words("replaced the licence by another one");
            sink.change("replaced_by", None, Some(DisplayValue::Filtered(by)));
            sink.change("status", None, Some(DisplayValue::Text(Status::Replaced.as_str())));
        }
        Event::Revoked { reason } => {
            sink.words("revoked the licence: ");
            sink.value(DisplayValue::Text(reason));
            sink.change("status", None, Some(DisplayValue::Text(Status::Revoked.as_str())));
        }
        Event::ActivationAdded { activation, machine } => {
            sink.words("activated the licence on a machine");
            sink.change("activation", None, Some(DisplayValue::Filtered(activation)));
            sink.change("machine", None, Some(DisplayValue::Filtered(machine)));
        }
        Event::ActivationRemoved { activation, why } => {
            sink.words(match why {
                Removal::Deactivated => "deactivated the licence on a machine",
                Removal::Removed => "removed a machine from the licence",
            });
            sink.change("activation", Some(DisplayValue::Filtered(activation)), None);
        }
    }
}

/// What happened to a signing key, for the audit log.
pub(crate) fn describe_key(event: &licence_signing_key::Event, sink: &mut dyn DescriptionSink) {
    use licence_signing_key::Event;
    match event {
        Event::Created { kid, .. } => {
            sink.words("published a key to sign licences");
            sink.change("kid", None, Some(DisplayValue::Filtered(kid)));
        }
        Event::Activated { .. } => sink.words("activated the key to sign licences"),
        Event::Retired { reason, published_until, .. } => {
            sink.words(match reason {
                Retirement::Rotated => "retired the key that signed licences",
                Retirement::Compromised => "removed the key that signed licences: it was compromised",
            });
            sink.change("reason", None, Some(DisplayValue::Text(reason.as_str())));
            sink.change("published_until", None, Some(DisplayValue::Filtered(published_until)));
        }
    }
}

//! Events of licences.

use serde::{Deserialize, Serialize};

use super::{ActivationId, Issue, LicenceId, Removal};

/// Events of a licence. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was issued, or issued again.
    #[serde(rename = "licence.issued.v1")]
    Issued(Box<Issue>),
    /// Another one took its place.
    #[serde(rename = "licence.replaced.v1")]
    Replaced {
        /// That one.
        by: LicenceId,
    },
    /// It was revoked.
    #[serde(rename = "licence.revoked.v1")]
    Revoked {
        /// Why.
        reason: String,
    },
    /// It was activated on a machine.
    #[serde(rename = "licence.activation_added.v1")]
    ActivationAdded {
        /// The activation.
        activation: ActivationId,
        /// The machine.
        machine: String,
    },
    /// An activation ended.
    #[serde(rename = "licence.activation_removed.v1")]
    ActivationRemoved {
        /// The activation.
        activation: ActivationId,
        /// Why.
        why: Removal,
    },
}

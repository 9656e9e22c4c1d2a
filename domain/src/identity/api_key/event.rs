//! What can happen to a key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Grant;
use crate::UserId;

/// What can happen to a key. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was made.
    #[serde(rename = "api_key.created.v1")]
    Created {
        /// In whose name it works.
        owner: UserId,
        /// What it is for.
        name: String,
        /// What it may at most.
        grant: Grant,
        /// From where it is accepted, as networks; nothing is everywhere.
        networks: Vec<String>,
        /// When it ends.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expires_at: Option<Timestamp>,
    },
    /// It was given another secret.
    #[serde(rename = "api_key.rotated.v1")]
    Rotated {
        /// Until when the former one is accepted.
        former_until: Timestamp,
    },
    /// It was ended for good.
    #[serde(rename = "api_key.revoked.v1")]
    Revoked {},
    /// It works in the name of somebody else.
    #[serde(rename = "api_key.adopted.v1")]
    Adopted {
        /// In whose name it worked.
        from: UserId,
        /// In whose name it works.
        to: UserId,
    },
}

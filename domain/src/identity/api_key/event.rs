//! Events of an API key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Grant;
use crate::{Personal, UserId};

/// Events of an API key. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created; its name is not encrypted. No longer recorded.
    #[serde(rename = "api_key.created.v1")]
    CreatedV1 {
        /// The user on whose behalf it acts.
        owner: UserId,
        /// Its purpose in a few words.
        name: String,
        /// The upper bound of what it may do.
        grant: Grant,
        /// The networks from which it is accepted; empty means everywhere.
        networks: Vec<String>,
        /// When it expires.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expires_at: Option<Timestamp>,
    },
    /// It was created.
    #[serde(rename = "api_key.created.v2")]
    Created {
        /// The user on whose behalf it acts.
        owner: UserId,
        /// Its purpose in a few words; personal, because it is free text.
        name: Personal,
        /// The upper bound of what it may do.
        grant: Grant,
        /// The networks from which it is accepted; empty means everywhere.
        networks: Vec<String>,
        /// When it expires.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expires_at: Option<Timestamp>,
    },
    /// Its secret was rotated.
    #[serde(rename = "api_key.rotated.v1")]
    Rotated {
        /// Until when the previous secret stays valid.
        former_until: Timestamp,
    },
    /// It was revoked permanently.
    #[serde(rename = "api_key.revoked.v1")]
    Revoked {},
    /// It was transferred to another owner.
    #[serde(rename = "api_key.adopted.v1")]
    Adopted {
        /// The previous owner.
        from: UserId,
        /// The new owner.
        to: UserId,
    },
}

/// What every version of a creation records.
#[derive(Debug, Clone, Copy)]
pub struct Creation<'a> {
    /// The user on whose behalf the key acts.
    pub owner: UserId,
    /// Its purpose in a few words; `None` once it was erased.
    pub name: Option<&'a str>,
    /// The upper bound of what it may do.
    pub grant: &'a Grant,
    /// The networks from which it is accepted; empty means everywhere.
    pub networks: &'a [String],
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl Event {
    /// The creation, if it is one.
    pub fn creation(&self) -> Option<Creation<'_>> {
        match self {
            Self::CreatedV1 { owner, name, grant, networks, expires_at } => {
                Some(Creation { owner: *owner, name: Some(name), grant, networks, expires_at: *expires_at })
            }
            Self::Created { owner, name, grant, networks, expires_at } => {
                Some(Creation { owner: *owner, name: name.value(), grant, networks, expires_at: *expires_at })
            }
            Self::Rotated { .. } | Self::Revoked {} | Self::Adopted { .. } => None,
        }
    }
}

//! Personal values: data about a person that can be erased without changing an event.

use serde::{Deserialize, Serialize};

use crate::PersonId;

/// A value that belongs to a person. The log stores it encrypted with that person's key; once the key is destroyed, it
/// reads as erased, which every reader handles as an ordinary value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    #[serde(rename = "$personal")]
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    of: PersonId,
    sealing: Sealing,
    value: Option<String>,
}

/// Which of a person's two keys encrypts a value: they have different retention periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// Identity: name, email address, free text.
    Identity,
    /// Traces: IP address, device.
    Trace,
}

impl Sealing {
    /// The variant with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Identity, Self::Trace].into_iter().find(|sealing| sealing.name() == name)
    }

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Trace => "trace",
        }
    }
}

impl Personal {
    /// The JSON member name that marks a personal value in an event.
    pub const MARK: &'static str = "$personal";

    /// A value encrypted with the identity key.
    pub fn identity(of: impl Into<PersonId>, value: impl Into<String>) -> Self {
        Self { content: Content { of: of.into(), sealing: Sealing::Identity, value: Some(value.into()) } }
    }

    /// A value encrypted with the trace key.
    pub fn trace(of: impl Into<PersonId>, value: impl Into<String>) -> Self {
        Self { content: Content { of: of.into(), sealing: Sealing::Trace, value: Some(value.into()) } }
    }

    /// Another value of the same person, encrypted with the same key.
    #[must_use]
    pub fn replaced(&self, value: impl Into<String>) -> Self {
        let Content { of, sealing, .. } = self.content;
        Self { content: Content { of, sealing, value: Some(value.into()) } }
    }

    /// The value; `None` once it was erased.
    pub fn value(&self) -> Option<&str> {
        self.content.value.as_deref()
    }
}

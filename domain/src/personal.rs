//! Personal values: what is about a person and can be erased without touching an event.

use serde::{Deserialize, Serialize};

use crate::PersonId;

/// A value that belongs to a person. The log stores it sealed under that person's key; once the key is destroyed, it
/// reads as erased, which every reader takes as an ordinary value.
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

/// Which of a person's two keys seals a value: they are kept for different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// Who somebody is: name, address, free text.
    Identity,
    /// Where somebody was: IP address, device.
    Trace,
}

impl Sealing {
    /// The one by this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Identity, Self::Trace].into_iter().find(|sealing| sealing.name() == name)
    }

    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Trace => "trace",
        }
    }
}

impl Personal {
    /// The member name by which a personal value is found in the JSON of an event.
    pub const MARK: &'static str = "$personal";

    /// Who somebody is.
    pub fn identity(of: impl Into<PersonId>, value: impl Into<String>) -> Self {
        Self { content: Content { of: of.into(), sealing: Sealing::Identity, value: Some(value.into()) } }
    }

    /// Where somebody was.
    pub fn trace(of: impl Into<PersonId>, value: impl Into<String>) -> Self {
        Self { content: Content { of: of.into(), sealing: Sealing::Trace, value: Some(value.into()) } }
    }

    /// Another value of the same person, sealed by the same key.
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

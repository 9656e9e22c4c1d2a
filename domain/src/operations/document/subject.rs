//! What a document belongs to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    InvalidId, id,
    operations::{port_call::PortCallId, service_order::ServiceOrderId},
};

const PREFIXES: [&str; 2] = [PortCallId::PREFIX, ServiceOrderId::PREFIX];

/// What a document belongs to, written as its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A port call.
    PortCall(PortCallId),
    /// A service order.
    ServiceOrder(ServiceOrderId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortCall(port_call) => port_call.fmt(f),
            Self::ServiceOrder(order) => order.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (prefix, id) = id::parse(text, &PREFIXES)?;
        Ok(match prefix {
            PortCallId::PREFIX => Self::PortCall(PortCallId(id)),
            _ => Self::ServiceOrder(ServiceOrderId(id)),
        })
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        id::deserialize(deserializer)
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Subject {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        id::schema(&PREFIXES)
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Subject {
    fn name() -> std::borrow::Cow<'static, str> {
        "DocumentSubject".into()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_subject_is_told_by_the_prefix_of_its_id() {
        let id = Uuid::from_u128(5);
        for subject in [Subject::PortCall(PortCallId(id)), Subject::ServiceOrder(ServiceOrderId(id))] {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
        for wrong in ["", "call_1", "vnd_00000000000000000000000005", "00000000000000000000000005"] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }
}

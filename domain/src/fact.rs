//! All events of all aggregates in one type, and their stored form: a versioned name, and data in JSON.

use serde::{Deserialize, Serialize};

use crate::{
    compliance::{export, reading, refusal},
    identity::{api_key, mailbox, organization, session, user},
};

/// What happened, whoever it happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// To an organization.
    Organization(organization::Event),
    /// To a user.
    User(user::Event),
    /// To a session.
    Session(session::Event),
    /// To an API key.
    ApiKey(api_key::Event),
    /// To a mailbox.
    Mailbox(mailbox::Event),
    /// To refusals.
    Refusal(refusal::Event),
    /// To readings.
    Reading(reading::Event),
    /// To an export.
    Export(export::Event),
}

/// An event that this version of the program cannot read. Readers stop there: nothing is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Nothing by this name is known.
    #[error("unknown event type {0}: it was written by a newer version of PortTask, run that one")]
    UnknownType(String),
    /// The data is not of its shape.
    #[error("the data of an event of type {name} cannot be read: {cause}")]
    Malformed {
        /// The event's type.
        name: String,
        /// What is wrong with the data.
        cause: String,
    },
}

macro_rules! facts {
    ($($room:ident => $variant:ident),+) => {
        $(impl From<$room::Event> for Fact {
            fn from(event: $room::Event) -> Self {
                Self::$variant(event)
            }
        }

        impl TryFrom<Fact> for $room::Event {
            type Error = Fact;

            fn try_from(fact: Fact) -> Result<Self, Fact> {
                if let Fact::$variant(event) = fact { Ok(event) } else { Err(fact) }
            }
        })+

        impl Fact {
            /// The versioned name of the event and its data.
            pub fn encode(&self) -> (String, Vec<u8>) {
                match self {
                    $(Self::$variant(event) => parts(event),)+
                }
            }

            /// The event of this name with these data.
            ///
            /// # Errors
            /// If the name is not known or the data are not of its shape.
            pub fn decode(name: &str, data: &[u8]) -> Result<Self, Undecodable> {
                let category = name.split('.').next().unwrap_or_default();
                match category {
                    $(stringify!($room) => whole(name, data).map(Self::$variant),)+
                    _ => Err(Undecodable::UnknownType(name.to_owned())),
                }
            }
        }

        /// What serde says of an event that is none of ours, per category: it lists all that are.
        #[cfg(test)]
        fn complaints(json: &str) -> Vec<(&'static str, String)> {
            vec![$((stringify!($room), serde_json::from_str::<$room::Event>(json).unwrap_err().to_string()),)+]
        }
    };
}

facts!(organization => Organization, user => User, session => Session, api_key => ApiKey, mailbox => Mailbox, refusal => Refusal, reading => Reading,
    export => Export);

/// An event is serialized as `{"type": …, "data": …}`.
#[derive(Deserialize)]
struct Parts {
    #[serde(rename = "type")]
    name: String,
    data: serde_json::Value,
}

fn parts<E: Serialize>(event: &E) -> (String, Vec<u8>) {
    let value = serde_json::to_value(event).and_then(serde_json::from_value::<Parts>);
    let parts = value.and_then(|parts| Ok((parts.name, serde_json::to_vec(&parts.data)?)));
    // Events are plain data under string keys; there is nothing in them that JSON cannot say.
    parts.unwrap_or_else(|error| unreachable!("an event that is no JSON: {error}"))
}

fn whole<E: for<'de> Deserialize<'de>>(name: &str, data: &[u8]) -> Result<E, Undecodable> {
    let malformed = |cause: String| Undecodable::Malformed { name: name.to_owned(), cause };
    // A name of this form needs no escapes in JSON; others name no event.
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte)) {
        return Err(Undecodable::UnknownType(name.to_owned()));
    }
    let mut whole = Vec::with_capacity(name.len() + data.len() + 21);
    whole.extend_from_slice(b"{\"type\":\"");
    whole.extend_from_slice(name.as_bytes());
    whole.extend_from_slice(b"\",\"data\":");
    whole.extend_from_slice(data);
    whole.push(b'}');
    serde_json::from_slice(&whole).map_err(|error| match error.to_string() {
        cause if cause.starts_with("unknown variant") => Undecodable::UnknownType(name.to_owned()),
        cause => malformed(cause),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event of every shape that was ever stored, in the very bytes: these lines are never changed, only added to.
    const SAMPLES: &str = include_str!("../samples/events.jsonl");

    #[derive(Deserialize)]
    struct Sample<'a> {
        #[serde(rename = "type")]
        name: &'a str,
        #[serde(borrow)]
        data: &'a serde_json::value::RawValue,
    }

    fn samples() -> impl Iterator<Item = Sample<'static>> {
        SAMPLES.lines().map(|line| serde_json::from_str(line).unwrap())
    }

    #[test]
    fn every_stored_sample_decodes_and_is_written_the_same_again() {
        for sample in samples() {
            let fact = Fact::decode(sample.name, sample.data.get().as_bytes()).unwrap();
            let (name, data) = fact.encode();
            assert_eq!((name.as_str(), std::str::from_utf8(&data).unwrap()), (sample.name, sample.data.get()));
        }
    }

    #[test]
    fn every_event_has_a_sample() {
        let sampled: std::collections::BTreeSet<&str> = samples().map(|sample| sample.name).collect();
        let missing: Vec<_> = known_types().into_iter().filter(|name| !sampled.contains(name.as_str())).collect();
        assert_eq!(missing, Vec::<String>::new(), "add a line for each to domain/samples/events.jsonl");
    }

    /// The names that serde says it knows, of each enumeration.
    fn known_types() -> Vec<String> {
        let mut types = Vec::new();
        for (category, complaint) in complaints(r#"{"type":"nothing.happened.v1","data":{}}"#) {
            let known: Vec<String> = complaint.split('`').skip(3).step_by(2).map(str::to_owned).collect();
            assert!(known.iter().all(|name| name.starts_with(category)) && !known.is_empty(), "{complaint}");
            types.extend(known);
        }
        types
    }

    #[test]
    fn what_is_not_known_is_not_skipped() {
        for name in ["nothing.happened.v1", "user.vanished.v1", "user.invited.v99", "", "us\"er.invited.v1"] {
            assert_eq!(Fact::decode(name, b"{}"), Err(Undecodable::UnknownType(name.to_owned())), "{name}");
        }
        for data in ["", "{", "{}", "null", "{\"from\":1}", "{}}"] {
            let decoded = Fact::decode("organization.renamed.v1", data.as_bytes());
            assert!(matches!(decoded, Err(Undecodable::Malformed { .. })), "{data}: {decoded:?}");
        }
    }
}

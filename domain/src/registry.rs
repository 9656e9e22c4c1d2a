//! All aggregates, one line each. The registry generates the type of all events, their stored form (a versioned name,
//! and data in JSON), and the replay of constraints.

use std::collections::HashMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{Aggregate, Constraint, OrganizationId};

/// An event that this version of the program cannot decode. Readers stop there: nothing is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The event type is unknown.
    #[error("unknown event type {0}: it was written by a newer version of PortTask, so run that version")]
    UnknownType(String),
    /// The data does not match the event type.
    #[error("the data of an event of type {name} cannot be decoded: {cause}")]
    Malformed {
        /// The event's type.
        name: String,
        /// What is wrong with the data.
        cause: String,
    },
}

/// The events that a read model or a reactor consumes: those of one aggregate, of several
/// ([`sources!`](crate::sources)), or all.
pub trait Source: 'static {
    /// One of its events.
    type Event<'a>: Copy;

    /// Whether events of this category can belong to this source.
    fn covers(category: &str) -> bool;

    /// The event, if it belongs to this source.
    fn of(event: &DomainEvent) -> Option<Self::Event<'_>>;
}

/// Every event.
impl Source for DomainEvent {
    type Event<'a> = &'a DomainEvent;

    fn covers(_: &str) -> bool {
        true
    }

    fn of(event: &DomainEvent) -> Option<&DomainEvent> {
        Some(event)
    }
}

/// Defines a source over several aggregates, as an enumeration of their events.
#[macro_export]
macro_rules! sources {
    ($(#[doc = $doc:literal])+ $visibility:vis enum $name:ident { $($variant:ident($event:ty),)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs, reason = "named like the aggregates")]
        $visibility enum $name<'a> { $($variant(&'a $event),)+ }

        impl $crate::Source for $name<'static> {
            type Event<'a> = $name<'a>;

            fn covers(category: &str) -> bool {
                $(<$event as $crate::Source>::covers(category))||+
            }

            fn of(event: &$crate::DomainEvent) -> Option<$name<'_>> {
                $(if let Some(event) = <$event as $crate::Source>::of(event) {
                    return Some($name::$variant(event));
                })+
                None
            }
        }
    };
}

/// An aggregate in the registry.
pub trait Registered: Aggregate<Event: Source + Into<DomainEvent> + TryFrom<DomainEvent, Error = DomainEvent>> {}

macro_rules! aggregates {
    ($($module:ident::$noun:ident::$aggregate:ident,)+) => {
        /// An event of any aggregate.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named like the aggregates")]
        pub enum DomainEvent {
            $($aggregate(crate::$module::$noun::Event),)+
        }

        $(impl From<crate::$module::$noun::Event> for DomainEvent {
            fn from(event: crate::$module::$noun::Event) -> Self {
                Self::$aggregate(event)
            }
        }

        impl TryFrom<DomainEvent> for crate::$module::$noun::Event {
            type Error = DomainEvent;

            fn try_from(event: DomainEvent) -> Result<Self, DomainEvent> {
                if let DomainEvent::$aggregate(event) = event { Ok(event) } else { Err(event) }
            }
        }

        impl Source for crate::$module::$noun::Event {
            type Event<'a> = &'a crate::$module::$noun::Event;

            fn covers(category: &str) -> bool {
                category == crate::$module::$noun::$aggregate::CATEGORY
            }

            fn of(event: &DomainEvent) -> Option<&Self> {
                if let DomainEvent::$aggregate(event) = event { Some(event) } else { None }
            }
        }

        impl Registered for crate::$module::$noun::$aggregate {})+

        impl DomainEvent {
            /// The versioned name of the event, and its data.
            pub fn encode(&self) -> (String, Value) {
                match self {
                    $(Self::$aggregate(event) => parts(event),)+
                }
            }

            /// Decodes an event from its stored name and data.
            ///
            /// # Errors
            /// If the name is unknown or the data does not match it.
            pub fn decode(name: &str, data: &[u8]) -> Result<Self, Undecodable> {
                let category = name.split('.').next().unwrap_or_default();
                $(if category == crate::$module::$noun::$aggregate::CATEGORY {
                    return from_bytes(name, data).map(Self::$aggregate);
                })+
                Err(Undecodable::UnknownType(name.to_owned()))
            }

            /// Like [`DomainEvent::decode`], for data that is already parsed.
            ///
            /// # Errors
            /// As [`DomainEvent::decode`].
            pub fn from_parts(name: &str, data: Value) -> Result<Self, Undecodable> {
                let category = name.split('.').next().unwrap_or_default();
                $(if category == crate::$module::$noun::$aggregate::CATEGORY {
                    return from_value(name, data).map(Self::$aggregate);
                })+
                Err(Undecodable::UnknownType(name.to_owned()))
            }

            /// The category of its aggregate, and the aggregate's public id: the UUID with the prefix of its kind.
            pub fn target(&self, subject: Uuid) -> (&'static str, String) {
                match self {
                    $(Self::$aggregate(_) => (
                        crate::$module::$noun::$aggregate::CATEGORY,
                        <crate::$module::$noun::$aggregate as Aggregate>::Id::from(subject).to_string(),
                    ),)+
                }
            }
        }

        /// The prefix of the ids of the aggregates of a category.
        pub fn id_prefix(category: &str) -> Option<String> {
            $(if category == crate::$module::$noun::$aggregate::CATEGORY {
                let id = <crate::$module::$noun::$aggregate as Aggregate>::Id::from(Uuid::nil()).to_string();
                return id.rsplit_once('_').map(|(prefix, _)| prefix.to_owned());
            })+
            None
        }

        /// The category of the aggregate with this public id; `None` if it is not an id of an aggregate.
        pub fn category_of(id: &str) -> Option<&'static str> {
            $(if id.parse::<<crate::$module::$noun::$aggregate as Aggregate>::Id>().is_ok() {
                return Some(crate::$module::$noun::$aggregate::CATEGORY);
            })+
            None
        }

        /// Derives constraints from a history, to verify or rebuild claims and counters.
        #[derive(Debug, Default)]
        pub struct ConstraintReplay {
            $($noun: HashMap<(OrganizationId, Uuid), crate::$module::$noun::$aggregate>,)+
        }

        impl ConstraintReplay {
            /// Applies the next event of an aggregate; returns the claims and counters that it changed.
            pub fn apply(&mut self, organization: OrganizationId, subject: Uuid, event: &DomainEvent) -> Vec<Constraint> {
                match event {
                    $(DomainEvent::$aggregate(event) => step(&mut self.$noun, (organization, subject), event),)+
                }
            }
        }

        /// The error of serde for an unknown event, per category: it lists all known ones.
        #[cfg(test)]
        fn complaints(json: &str) -> Vec<(&'static str, String)> {
            vec![$((
                crate::$module::$noun::$aggregate::CATEGORY,
                serde_json::from_str::<crate::$module::$noun::Event>(json).unwrap_err().to_string(),
            ),)+]
        }
    };
}

aggregates! {
    identity::organization::Organization,
    identity::user::User,
    identity::session::Session,
    identity::api_key::ApiKey,
    identity::sign_in::FailedSignIns,
    identity::account_reminder::AccountReminder,
    identity::user_import::UserImport,
    compliance::denial::Denials,
    compliance::staff_access::StaffAccess,
    compliance::export::Export,
    operations::vendor::Vendor,
    operations::document::Document,
    support::ticket::Ticket,
    support::ticket_number::TicketNumbers,
    support::ticket_note::TicketNote,
    operations::port_call::PortCall,
    operations::service_order::ServiceOrder,
    billing::plan::Plan,
    billing::coupon::Coupon,
    billing::subscription::Subscription,
    billing::usage_month::UsageMonth,
    billing::invoice::Invoice,
    billing::credit_note::CreditNote,
    billing::series::Series,
    billing::seller::Seller,
    billing::billing_account::BillingAccount,
    billing::payment_method::PaymentMethods,
    billing::payment::Payment,
    billing::licence::Licence,
    billing::licence_signing_key::LicenceSigningKeys,
    platform::task::Task,
}

fn step<A: Aggregate>(
    states: &mut HashMap<(OrganizationId, Uuid), A>,
    key: (OrganizationId, Uuid),
    event: &A::Event,
) -> Vec<Constraint> {
    if !A::CONSTRAINTS_NEED_STATE {
        return A::default().constraints(event);
    }
    let state = states.entry(key).or_default();
    let constraints = state.constraints(event);
    state.evolve(event);
    constraints
}

/// An event is serialized as `{"type": …, "data": …}`.
#[derive(Deserialize, Serialize)]
struct Parts<N, D> {
    #[serde(rename = "type")]
    name: N,
    data: D,
}

fn parts<E: Serialize>(event: &E) -> (String, Value) {
    let value = serde_json::to_value(event).and_then(serde_json::from_value::<Parts<String, Value>>);
    // Events are plain data with string keys: JSON can represent all of it.
    let Parts { name, data } = value.unwrap_or_else(|error| unreachable!("an event that is not valid JSON: {error}"));
    (name, data)
}

fn from_bytes<E: DeserializeOwned>(name: &str, data: &[u8]) -> Result<E, Undecodable> {
    must_be_a_name(name)?;
    let mut whole = Vec::with_capacity(name.len() + data.len() + 21);
    whole.extend_from_slice(b"{\"type\":\"");
    whole.extend_from_slice(name.as_bytes());
    whole.extend_from_slice(b"\",\"data\":");
    whole.extend_from_slice(data);
    whole.push(b'}');
    serde_json::from_slice(&whole).map_err(|error| undecodable(name, &error))
}

fn from_value<E: DeserializeOwned>(name: &str, data: Value) -> Result<E, Undecodable> {
    must_be_a_name(name)?;
    let whole = [("type".to_owned(), Value::String(name.to_owned())), ("data".to_owned(), data)];
    E::deserialize(Value::Object(whole.into_iter().collect())).map_err(|error| undecodable(name, &error))
}

/// A name of this form needs no escaping in JSON; any other name is not an event type.
fn must_be_a_name(name: &str) -> Result<(), Undecodable> {
    match name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte)) {
        true => Ok(()),
        false => Err(Undecodable::UnknownType(name.to_owned())),
    }
}

fn undecodable(name: &str, error: &serde_json::Error) -> Undecodable {
    match error.to_string() {
        cause if cause.starts_with("unknown variant") => Undecodable::UnknownType(name.to_owned()),
        cause => Undecodable::Malformed { name: name.to_owned(), cause },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// One event of every shape that was ever stored, byte for byte.
    const SAMPLES: &str = include_str!("../samples/events.jsonl");

    fn samples() -> impl Iterator<Item = Parts<String, Box<RawValue>>> {
        SAMPLES.lines().map(|line| serde_json::from_str(line).unwrap())
    }

    #[test]
    fn every_stored_sample_round_trips() {
        for Parts { name, data } in samples() {
            let event = DomainEvent::decode(&name, data.get().as_bytes()).unwrap();
            let (encoded, value) = event.encode();
            assert_eq!((encoded.as_str(), value.to_string().as_str()), (name.as_str(), data.get()));
            assert_eq!(DomainEvent::from_parts(&name, value), Ok(event));
        }
    }

    #[test]
    fn every_event_has_a_sample() {
        let sampled: std::collections::BTreeSet<String> = samples().map(|sample| sample.name).collect();
        let missing: Vec<_> = known_types().into_iter().filter(|name| !sampled.contains(name)).collect();
        assert_eq!(missing, Vec::<String>::new(), "add a line for each to domain/samples/events.jsonl");
    }

    /// The event types that serde knows, of each enumeration.
    fn known_types() -> Vec<String> {
        let mut types = Vec::new();
        for (category, complaint) in complaints(r#"{"type":"nothing.happened.v1","data":{}}"#) {
            let known: Vec<String> = complaint.split('`').skip(3).step_by(2).map(str::to_owned).collect();
            let is_own = |name: &String| name.starts_with(&format!("{category}."));
            assert!(known.iter().all(is_own) && !known.is_empty(), "{complaint}");
            types.extend(known);
        }
        types
    }

    #[test]
    fn unknown_events_are_not_skipped() {
        for name in ["nothing.happened.v1", "user.vanished.v1", "user.invited.v99", "", "us\"er.invited.v1"] {
            assert_eq!(DomainEvent::decode(name, b"{}"), Err(Undecodable::UnknownType(name.to_owned())), "{name}");
        }
        for data in ["", "{", "{}", "null", "{\"from\":1}", "{}}"] {
            let decoded = DomainEvent::decode("organization.renamed.v1", data.as_bytes());
            assert!(matches!(decoded, Err(Undecodable::Malformed { .. })), "{data}: {decoded:?}");
        }
    }
}

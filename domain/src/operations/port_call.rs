//! Port calls: a vessel at a port, from its plan until it is closed.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | events |
//! | `rejection.rs` | rejections |
//! | `existing.rs` | how an existing port call handles commands and events |

mod event;
mod existing;
mod rejection;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::existing::Existing;
pub use self::{event::Event, existing::Step, rejection::Rejection};
use super::{
    Remark,
    port::Port,
    service_order::ServiceOrderId,
    vessel::{ImoNumber, Vessel, VesselName, VoyageNumber},
};
use crate::{Aggregate, Constraint, InvalidText, Kind, Scope, UserId, Violation, text};

crate::ids! {
    /// A call of a vessel at a port.
    PortCallId = "call";
}

crate::texts! {
    /// The status of a port call.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PortCallStatus))]
    pub enum Status {
        /// Announced.
        Planned = "planned",
        /// Confirmed by the port or the carrier.
        Confirmed = "confirmed",
        /// The vessel has arrived at the port.
        Arrived = "arrived",
        /// The vessel is at its berth.
        Alongside = "alongside",
        /// The vessel has left.
        Departed = "departed",
        /// Everything is settled.
        Closed = "closed",
        /// It does not take place.
        Canceled = "canceled",
    }

    /// Several statuses in which a port call needs the same attention.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PortCallPhase))]
    pub enum Phase {
        /// Planned or confirmed.
        Expected = "expected",
        /// Arrived or alongside.
        InPort = "in_port",
        /// Departed, and not closed yet.
        Departed = "departed",
        /// Closed or canceled.
        Finished = "finished",
    }
}

impl Status {
    /// The status that follows; `None` after the last one.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Planned => Some(Self::Confirmed),
            Self::Confirmed => Some(Self::Arrived),
            Self::Arrived => Some(Self::Alongside),
            Self::Alongside => Some(Self::Departed),
            Self::Departed => Some(Self::Closed),
            Self::Closed | Self::Canceled => None,
        }
    }

    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        self.next().is_none()
    }

    /// The phase that it belongs to.
    pub const fn phase(self) -> Phase {
        match self {
            Self::Planned | Self::Confirmed => Phase::Expected,
            Self::Arrived | Self::Alongside => Phase::InPort,
            Self::Departed => Phase::Departed,
            Self::Closed | Self::Canceled => Phase::Finished,
        }
    }
}

impl Phase {
    /// The statuses that belong to it.
    pub fn statuses(self) -> impl Iterator<Item = Status> {
        use crate::TextEnum;
        Status::ALL.iter().copied().filter(move |status| status.phase() == self)
    }
}

/// When a vessel is expected to arrive and to depart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The estimated time of arrival.
    pub eta: Timestamp,
    /// The estimated time of departure.
    pub etd: Timestamp,
}

/// The customer's own reference of a port call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

text::entered!(Reference);

impl Reference {
    /// # Errors
    /// If it is empty, longer than 60 characters, or has control or invisible characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::line(text, 60).map(Self)
    }

    /// The reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A port call to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPortCall {
    /// The port.
    pub port: Port,
    /// The name of the vessel.
    pub vessel: VesselName,
    /// The IMO number of the vessel.
    pub imo: ImoNumber,
    /// The number of the voyage.
    pub voyage: Option<VoyageNumber>,
    /// The customer's own reference.
    pub reference: Option<Reference>,
    /// When the vessel is expected.
    pub schedule: Schedule,
    /// The user who is responsible.
    pub agent: UserId,
    /// The usage month in which it is counted: its first date, `2026-11-27`.
    pub usage_month: String,
}

/// Commands on a port call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create(Box<NewPortCall>),
    /// Change the port, while it is planned.
    ChangePort {
        /// The new port.
        port: Port,
    },
    /// Change the vessel.
    ChangeVessel {
        /// The new name; `None` keeps it.
        name: Option<VesselName>,
        /// The new IMO number; `None` keeps it.
        imo: Option<ImoNumber>,
    },
    /// Change the number of the voyage.
    ChangeVoyage {
        /// The new number.
        voyage: Option<VoyageNumber>,
    },
    /// Change when the vessel is expected.
    Reschedule {
        /// The new time of arrival; `None` keeps it.
        eta: Option<Timestamp>,
        /// The new time of departure; `None` keeps it.
        etd: Option<Timestamp>,
    },
    /// Change the user who is responsible.
    Assign {
        /// The user.
        agent: UserId,
    },
    /// Record that the next status was reached, or that the port call is canceled.
    ChangeStatus {
        /// The status.
        to: Status,
        /// When it was reached; `None` is now.
        occurred_at: Option<Timestamp>,
        /// A remark.
        remark: Option<Remark>,
        /// The current time.
        now: Timestamp,
    },
    /// Take back the current status, which was set by mistake.
    RevertStatus {
        /// The status that is taken back.
        status: Status,
    },
    /// Reopen it after it was closed or canceled: it has its former status again.
    Reopen,
    /// Record that a service was ordered for it.
    AddOrder {
        /// The order.
        order: ServiceOrderId,
    },
    /// Delete it.
    Delete {
        /// Whether it may have any status; otherwise it must be planned or canceled.
        in_any_status: bool,
    },
}

/// Maximum service orders of a port call: all open ones are canceled together with it, in one append.
pub const MAX_ORDERS: usize = 200;

/// The counters of port calls by the month in which they were created, also of those that were deleted; a maximum comes
/// with the command.
pub const PORT_CALLS: &str = "port_calls";

const TOO_MANY_PORT_CALLS: Violation = Violation::new(
    Kind::LimitReached,
    "limit-reached",
    "at most {bound} port calls can be created per month: continue next month, or choose a larger plan",
);

/// The state of a port call: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct PortCall(Option<Existing>);

/// What is known of a port call, even if it was deleted.
#[derive(Debug, Clone, Copy)]
pub struct RecordedCall<'a> {
    /// The port.
    pub port: &'a Port,
    /// The vessel.
    pub vessel: &'a Vessel,
    /// When the vessel is expected.
    pub schedule: Schedule,
}

impl PortCall {
    /// The port; `None` if it does not exist.
    pub fn port(&self) -> Option<&Port> {
        self.existing().map(|existing| &existing.port)
    }

    /// The vessel; `None` if it does not exist.
    pub fn vessel(&self) -> Option<&Vessel> {
        self.existing().map(|existing| &existing.vessel)
    }

    /// The number of the voyage, if it has one.
    pub fn voyage(&self) -> Option<&str> {
        self.existing()?.voyage.as_deref()
    }

    /// When the vessel is expected; `None` if it does not exist.
    pub fn schedule(&self) -> Option<Schedule> {
        self.existing().map(|existing| existing.schedule)
    }

    /// The user who is responsible; `None` if it does not exist.
    pub fn agent(&self) -> Option<UserId> {
        self.existing().map(|existing| existing.agent)
    }

    /// The services that were ordered for it, in the order in which they were.
    pub fn orders(&self) -> &[ServiceOrderId] {
        self.0.as_ref().map_or(&[], |existing| &existing.orders)
    }

    /// What is known of it, even if it was deleted; `None` if it never existed.
    pub fn recorded(&self) -> Option<RecordedCall<'_>> {
        let Existing { port, vessel, schedule, .. } = self.0.as_ref()?;
        Some(RecordedCall { port, vessel, schedule: *schedule })
    }

    /// The current status, and how it was reached; `None` if it does not exist.
    pub fn step(&self) -> Option<&Step> {
        self.existing().map(Existing::step)
    }

    /// The current status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.step().map(|step| step.status)
    }

    /// The port call, unless it was deleted.
    fn existing(&self) -> Option<&Existing> {
        self.0.as_ref().filter(|existing| !existing.is_deleted)
    }
}

impl Aggregate for PortCall {
    const CATEGORY: &'static str = "port_call";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = PortCallId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Create(new)) => {
                existing::check(new.schedule)?;
                Ok(vec![Event::Created {
                    port: new.port.clone(),
                    vessel: Vessel { name: new.vessel.as_str().to_owned(), imo: new.imo.as_str().to_owned() },
                    voyage: new.voyage.as_ref().map(|voyage| voyage.as_str().to_owned()),
                    reference: new.reference.as_ref().map(|reference| reference.0.clone()),
                    schedule: new.schedule,
                    agent: new.agent,
                    usage_month: new.usage_month.clone(),
                }])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { port, vessel, voyage, reference, schedule, agent, usage_month: _ } = event {
            let (port, vessel, voyage) = (port.clone(), vessel.clone(), voyage.clone());
            self.0 = Some(Existing::new(port, vessel, voyage, reference.clone(), *schedule, *agent));
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    /// A port call that was deleted still counts.
    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        match event {
            Event::Created { usage_month, .. } => vec![Constraint::Count {
                scope: Scope::Organization,
                name: format!("{PORT_CALLS} {usage_month}").into(),
                by: 1,
                minimum: None,
                maximum: None,
                violation: TOO_MANY_PORT_CALLS,
            }],
            Event::PortChanged { .. }
            | Event::VesselChanged { .. }
            | Event::VoyageChanged { .. }
            | Event::ScheduleChanged { .. }
            | Event::AgentChanged { .. }
            | Event::StatusChanged { .. }
            | Event::StatusReverted { .. }
            | Event::Reopened { .. }
            | Event::OrderAdded { .. }
            | Event::Deleted {} => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;

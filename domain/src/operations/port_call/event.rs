//! Events of a port call.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Port, Schedule, ServiceOrderId, Status, Vessel};
use crate::UserId;

/// Events of a port call. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "port_call.created.v1")]
    Created {
        /// The port.
        port: Port,
        /// The vessel.
        vessel: Vessel,
        /// The number of the voyage.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        voyage: Option<String>,
        /// The customer's own reference.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reference: Option<String>,
        /// When the vessel is expected.
        schedule: Schedule,
        /// The user who is responsible.
        agent: UserId,
        /// The calendar month in which it is counted, in the time zone that the organization had then.
        usage_month: String,
    },
    /// The port changed.
    #[serde(rename = "port_call.port_changed.v1")]
    PortChanged {
        /// The former port.
        from: Port,
        /// The new port.
        to: Port,
    },
    /// The vessel changed.
    #[serde(rename = "port_call.vessel_changed.v1")]
    VesselChanged {
        /// The former vessel.
        from: Vessel,
        /// The new vessel.
        to: Vessel,
    },
    /// The number of the voyage changed.
    #[serde(rename = "port_call.voyage_changed.v1")]
    VoyageChanged {
        /// The former number.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<String>,
        /// The new number.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<String>,
    },
    /// The vessel is expected at other times.
    #[serde(rename = "port_call.schedule_changed.v1")]
    ScheduleChanged {
        /// The former times.
        from: Schedule,
        /// The new times.
        to: Schedule,
    },
    /// Another user is responsible.
    #[serde(rename = "port_call.agent_changed.v1")]
    AgentChanged {
        /// The former user.
        from: UserId,
        /// The new user.
        to: UserId,
    },
    /// It reached another status.
    #[serde(rename = "port_call.status_changed.v1")]
    StatusChanged {
        /// The former status.
        from: Status,
        /// The new status.
        to: Status,
        /// When it was reached, as it was reported.
        occurred_at: Timestamp,
        /// A remark.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remark: Option<String>,
    },
    /// Its status, which was set by mistake, was taken back.
    #[serde(rename = "port_call.status_reverted.v1")]
    StatusReverted {
        /// The status that was taken back.
        from: Status,
        /// The status that it has again.
        to: Status,
    },
    /// It was reopened after it had been closed or canceled.
    #[serde(rename = "port_call.reopened.v1")]
    Reopened {
        /// The status that it had.
        from: Status,
        /// The status that it has again.
        to: Status,
    },
    /// A service was ordered for it.
    #[serde(rename = "port_call.order_added.v1")]
    OrderAdded {
        /// The order.
        order: ServiceOrderId,
    },
    /// It was deleted; its history stays.
    #[serde(rename = "port_call.deleted.v1")]
    Deleted {},
}

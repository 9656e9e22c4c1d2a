//! Events of a service order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AnsweredBy, Content, PortCallId, Status, VendorId};

/// Events of a service order. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "service_order.created.v1")]
    Created {
        /// The port call.
        port_call: PortCallId,
        /// What is ordered.
        content: Content,
    },
    /// What is ordered changed.
    #[serde(rename = "service_order.amended.v1")]
    Amended {
        /// What was ordered before.
        from: Content,
        /// What is ordered now.
        to: Content,
    },
    /// A vendor was asked: links of earlier requests are void.
    #[serde(rename = "service_order.assigned.v1")]
    Assigned {
        /// The vendor.
        vendor: VendorId,
        /// The vendor who was asked before, if it was another one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<VendorId>,
        /// The number of the request: 1, 2, …
        request: u64,
        /// Until when it can be answered with the link.
        expires_at: Timestamp,
    },
    /// The vendor accepted.
    #[serde(rename = "service_order.accepted.v1")]
    Accepted {
        /// Who gave the answer.
        by: AnsweredBy,
        /// The status before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Status>,
        /// A remark.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remark: Option<String>,
    },
    /// The vendor declined.
    #[serde(rename = "service_order.declined.v1")]
    Declined {
        /// Who gave the answer.
        by: AnsweredBy,
        /// The status before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Status>,
        /// A remark.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remark: Option<String>,
    },
    /// The service is being provided.
    #[serde(rename = "service_order.started.v1")]
    Started {},
    /// The service was provided.
    #[serde(rename = "service_order.completed.v1")]
    Completed {
        /// Who reported it.
        by: AnsweredBy,
        /// The status before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Status>,
        /// A remark.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remark: Option<String>,
    },
    /// It was canceled.
    #[serde(rename = "service_order.canceled.v1")]
    Canceled {
        /// The status before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Status>,
        /// A remark.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remark: Option<String>,
        /// Whether its port call was canceled or deleted.
        with_port_call: bool,
    },
}

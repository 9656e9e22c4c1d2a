//! Service orders: a service for a port call, which a vendor is asked to provide.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | events |
//! | `rejection.rs` | rejections |
//! | `existing.rs` | how an existing service order handles commands and events |

mod event;
mod existing;
mod rejection;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::existing::Existing;
pub use self::{event::Event, rejection::Rejection};
use super::{
    Remark,
    port_call::PortCallId,
    price::Price,
    vendor::{Service, VendorId},
};
use crate::{Aggregate, InvalidText, identity::user::LinkState, text};

crate::ids! {
    /// An order of a service for a port call.
    ServiceOrderId = "ord";
}

crate::texts! {
    /// The status of a service order.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ServiceOrderStatus))]
    pub enum Status {
        /// No vendor was asked yet.
        Draft = "draft",
        /// A vendor was asked, and has not answered yet.
        Assigned = "assigned",
        /// The vendor has accepted.
        Accepted = "accepted",
        /// The vendor has declined.
        Declined = "declined",
        /// The service is being provided.
        InProgress = "in_progress",
        /// The service was provided.
        Completed = "completed",
        /// It is not needed any more.
        Canceled = "canceled",
    }

    /// The answer of a vendor.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = VendorAnswer))]
    pub enum Answer {
        /// The vendor will provide the service.
        Accepted = "accepted",
        /// The vendor will not.
        Declined = "declined",
        /// The service was provided.
        Completed = "completed",
    }

    /// Who gave an answer.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum AnsweredBy {
        /// The vendor, with the link in the email.
        Vendor = "vendor",
        /// A user of the organization, who has heard of it otherwise.
        User = "user",
    }
}

impl Status {
    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }

    /// Whether a vendor was asked and counts on it.
    pub const fn binds_vendor(self) -> bool {
        matches!(self, Self::Assigned | Self::Accepted | Self::InProgress)
    }
}

/// How long a vendor can answer after the requested time, or after they were asked if that is later.
pub const ANSWERABLE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is ordered, in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details(String);

text::entered!(Details);

impl Details {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 2_000;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters other than line ends.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::lines(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The service.
    pub service: Service,
    /// The details.
    pub details: String,
    /// When the service is needed.
    pub requested_at: Timestamp,
    /// The price, if one was agreed on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price: Option<Price>,
}

/// A service order to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceOrder {
    /// The port call.
    pub port_call: PortCallId,
    /// The service.
    pub service: Service,
    /// The details.
    pub details: Details,
    /// When the service is needed.
    pub requested_at: Timestamp,
    /// The price, if one was agreed on.
    pub price: Option<Price>,
}

/// Commands on a service order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create(Box<NewServiceOrder>),
    /// Change what is ordered. A vendor who was asked and has not declined is asked again.
    Amend {
        /// The new service; `None` keeps it.
        service: Option<Service>,
        /// The new details; `None` keeps them.
        details: Option<Details>,
        /// The new time; `None` keeps it.
        requested_at: Option<Timestamp>,
        /// The new price; `None` keeps it, `Some(None)` removes it.
        price: Option<Option<Price>>,
        /// The current time.
        now: Timestamp,
    },
    /// Ask a vendor, instead of the one who was asked before.
    Assign {
        /// The vendor, who offers the service and has an email address for orders.
        vendor: VendorId,
        /// The current time.
        now: Timestamp,
    },
    /// Ask the same vendor again: the link that they have becomes void.
    AskAgain {
        /// The number of the new request: 2, 3, …
        request: u64,
        /// The current time.
        now: Timestamp,
    },
    /// Record the answer of the vendor.
    Answer {
        /// The answer.
        answer: Answer,
        /// Who gives it.
        by: AnsweredBy,
        /// A remark.
        remark: Option<Remark>,
    },
    /// Record that the service is being provided.
    Start,
    /// Cancel it.
    Cancel {
        /// A remark.
        remark: Option<Remark>,
        /// Whether its port call is canceled or deleted.
        with_port_call: bool,
    },
}

/// The state of a service order: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct ServiceOrder(Option<Existing>);

impl ServiceOrder {
    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// The port call; `None` if it does not exist.
    pub fn port_call(&self) -> Option<PortCallId> {
        self.0.as_ref().map(|existing| existing.port_call)
    }

    /// What is ordered; `None` if it does not exist.
    pub fn content(&self) -> Option<&Content> {
        self.0.as_ref().map(|existing| &existing.content)
    }

    /// The vendor who was asked last; `None` if none was.
    pub fn vendor(&self) -> Option<VendorId> {
        self.request().map(|(vendor, _, _)| vendor)
    }

    /// The last request to a vendor: whom, its number, and until when it can be answered.
    pub fn request(&self) -> Option<(VendorId, u64, Timestamp)> {
        self.0.as_ref().and_then(|existing| existing.request)
    }

    /// The number of requests to vendors so far.
    pub fn requests(&self) -> u64 {
        self.request().map_or(0, |(_, number, _)| number)
    }

    /// What became of the link of the request with this number.
    pub fn link_state(&self, number: u64, now: Timestamp) -> LinkState {
        let Some((status, (_, current, expires_at))) = self.status().zip(self.request()) else {
            return LinkState::Revoked;
        };
        match status {
            Status::Canceled => LinkState::Revoked,
            Status::Draft
            | Status::Assigned
            | Status::Accepted
            | Status::Declined
            | Status::InProgress
            | Status::Completed
                if number != current =>
            {
                LinkState::Replaced
            }
            Status::Declined | Status::Completed => LinkState::Used,
            Status::Draft | Status::Assigned | Status::Accepted | Status::InProgress => {
                if now < expires_at {
                    LinkState::Valid
                } else {
                    LinkState::Expired
                }
            }
        }
    }
}

impl Aggregate for ServiceOrder {
    const CATEGORY: &'static str = "service_order";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = ServiceOrderId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Create(new)) => {
                let NewServiceOrder { port_call, service, details, requested_at, price } = &**new;
                let content = Content {
                    service: *service,
                    details: details.0.clone(),
                    requested_at: *requested_at,
                    price: price.clone(),
                };
                Ok(vec![Event::Created { port_call: *port_call, content }])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { port_call, content } = event {
            self.0 = Some(Existing::new(*port_call, content.clone()));
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }
}

#[cfg(test)]
mod tests;

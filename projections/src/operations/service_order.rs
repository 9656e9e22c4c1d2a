//! Service orders.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    operations::{
        port_call::PortCallId,
        price::Price,
        service_order::{AnsweredBy, Content, Event, ServiceOrderId, Status},
        vendor::{Service, VendorId},
    },
};
use serde_json::{Value, json};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    id_columns, normalized, row, text_columns,
};

id_columns!(ServiceOrderId);
text_columns!(Status, Service);

row! {
    /// A service order.
    pub struct ServiceOrder {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            service_order: ServiceOrderId,
        }
        row {
            /// The port call.
            port_call: PortCallId,
            /// The vendor who was asked last; null if none was.
            vendor: Option<VendorId>,
            /// The service.
            service: Service,
            /// The details.
            details: String,
            /// The words by which it is found: service, details.
            words: String,
            /// When the service is needed.
            requested_at: Timestamp,
            /// The price, in the minor unit of its currency.
            amount_minor: Option<u64>,
            /// The currency of the price.
            currency: Option<String>,
            /// The status.
            status: Status,
            /// The number of requests to vendors.
            requests: u64,
            /// Until when the last request can be answered.
            answerable_until: Option<Timestamp>,
            /// The answers to the last request, as a JSON array of `{answer, by, remark, answered_at}`.
            answers: String,
            /// When the vendor last answered the last request with the link.
            answered_at: Option<Timestamp>,
            /// When it was created.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which services are ordered for which port calls, and what do vendors say?
pub struct ServiceOrders;

impl ReadModel for ServiceOrders {
    const NAME: &'static str = "service_orders";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_time", columns: &["organization", "requested_at", "service_order"] },
        Index { name: "by_age", columns: &["organization", "created_at", "service_order"] },
        Index { name: "by_port_call", columns: &["organization", "port_call", "requested_at", "service_order"] },
        Index { name: "by_vendor", columns: &["organization", "vendor", "requested_at", "service_order"] },
        Index { name: "by_answer", columns: &["organization", "answered_at", "service_order"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["words"];
    type Source = Event;
    type Row = ServiceOrder;

    fn project(row: Option<ServiceOrder>, event: &Event, recorded: &Recorded) -> Change<ServiceOrder> {
        if let Event::Created { port_call, content } = event {
            return Change::Put(created(*port_call, content, recorded));
        }
        let Some(row) = row else { return Change::Keep };
        let at = recorded.time();
        let row = match event {
            Event::Created { .. } => row,
            Event::Amended { to, .. } => row.of(to),
            Event::Assigned { vendor, request, expires_at, .. } => ServiceOrder {
                vendor: Some(*vendor),
                status: Status::Assigned,
                requests: *request,
                answerable_until: Some(*expires_at),
                answers: "[]".to_owned(),
                answered_at: None,
                ..row
            },
            Event::Accepted { by, remark, .. } => row.answered(Status::Accepted, (*by, remark), at),
            Event::Declined { by, remark, .. } => row.answered(Status::Declined, (*by, remark), at),
            Event::Completed { by, remark, .. } => row.answered(Status::Completed, (*by, remark), at),
            Event::Started {} => ServiceOrder { status: Status::InProgress, ..row },
            Event::Canceled { .. } => ServiceOrder { status: Status::Canceled, ..row },
        };
        Change::Put(ServiceOrder { version: recorded.version, ..row })
    }
}

fn created(port_call: PortCallId, content: &Content, recorded: &Recorded) -> ServiceOrder {
    let row = ServiceOrder {
        organization: recorded.organization,
        service_order: ServiceOrderId(recorded.subject),
        port_call,
        vendor: None,
        service: content.service,
        details: String::new(),
        words: String::new(),
        requested_at: content.requested_at,
        amount_minor: None,
        currency: None,
        status: Status::Draft,
        requests: 0,
        answerable_until: None,
        answers: "[]".to_owned(),
        answered_at: None,
        created_at: recorded.time(),
        version: recorded.version,
    };
    row.of(content)
}

impl ServiceOrder {
    fn of(self, Content { service, details, requested_at, price }: &Content) -> Self {
        let (amount_minor, currency) = match price.clone() {
            Some(Price { amount_minor, currency }) => (Some(amount_minor), Some(currency)),
            None => (None, None),
        };
        Self {
            service: *service,
            details: details.clone(),
            words: normalized(&format!("{} {details}", service.as_str())),
            requested_at: *requested_at,
            amount_minor,
            currency,
            ..self
        }
    }

    fn answered(self, status: Status, (by, remark): (AnsweredBy, &Option<String>), at: Timestamp) -> Self {
        let mut answers: Vec<Value> = serde_json::from_str(&self.answers).unwrap_or_default();
        answers.push(json!({"answer": status, "by": by, "remark": remark, "answered_at": at}));
        let answered_at = match by {
            AnsweredBy::Vendor => Some(at),
            AnsweredBy::User => self.answered_at,
        };
        Self { status, answers: Value::from(answers).to_string(), answered_at, ..self }
    }
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { port_call, content } => {
            sink.words("created a service order for ");
            sink.value(DisplayValue::Text(content.service.as_str()));
            sink.change("port_call", None, Some(DisplayValue::Filtered(port_call)));
            content_changes(None, content, sink);
        }
        Event::Amended { from, to } => {
            sink.words("changed the service order");
            content_changes(Some(from), to, sink);
        }
        Event::Assigned { vendor, from, request, expires_at } => {
            sink.words(match (from, request) {
                (Some(_), _) => "asked another vendor for the service order",
                (None, ..=1) => "asked a vendor for the service order",
                (None, _) => "asked the vendor again for the service order",
            });
            let from = from.as_ref().map(|from| DisplayValue::Filtered(from));
            sink.change("vendor", from, Some(DisplayValue::Filtered(vendor)));
            sink.change("answerable_until", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::Accepted { by, from, remark } => {
            answered(
                *by,
                ("the vendor accepted the service order", "recorded that the vendor accepted the service order"),
                sink,
            );
            status((*from, Status::Accepted), remark.as_ref(), sink);
        }
        Event::Declined { by, from, remark } => {
            answered(
                *by,
                ("the vendor declined the service order", "recorded that the vendor declined the service order"),
                sink,
            );
            status((*from, Status::Declined), remark.as_ref(), sink);
        }
        Event::Completed { by, from, remark } => {
            let words = ("the vendor reported that the service was provided", "recorded that the service was provided");
            answered(*by, words, sink);
            status((*from, Status::Completed), remark.as_ref(), sink);
        }
        Event::Started {} => {
            sink.words("recorded that the service is being provided");
            status((Some(Status::Accepted), Status::InProgress), None, sink);
        }
        Event::Canceled { from, remark, with_port_call } => {
            sink.words(match with_port_call {
                true => "canceled the service order together with its port call",
                false => "canceled the service order",
            });
            status((*from, Status::Canceled), remark.as_ref(), sink);
        }
    }
}

fn answered(by: AnsweredBy, (by_vendor, by_user): (&'static str, &'static str), sink: &mut dyn DescriptionSink) {
    sink.words(match by {
        AnsweredBy::Vendor => by_vendor,
        AnsweredBy::User => by_user,
    });
}

fn status((from, to): (Option<Status>, Status), remark: Option<&String>, sink: &mut dyn DescriptionSink) {
    let from = from.map(|from| DisplayValue::Text(from.as_str()));
    sink.change("status", from, Some(DisplayValue::Text(to.as_str())));
    change_if_different("remark", None, remark.map(|remark| DisplayValue::Text(remark)), sink);
}

/// What is ordered now, as far as it differs from before.
fn content_changes(from: Option<&Content>, to: &Content, sink: &mut dyn DescriptionSink) {
    let text = DisplayValue::Text;
    let service = |content: &Content| content.service.as_str();
    change_if_different("service", from.map(service).map(text), Some(text(service(to))), sink);
    let details = from.map(|from| text(from.details.as_str()));
    change_if_different("details", details, Some(text(to.details.as_str())), sink);
    let requested_at = from.map(|from| DisplayValue::Filtered(&from.requested_at));
    change_if_different("requested_at", requested_at, Some(DisplayValue::Filtered(&to.requested_at)), sink);
    let price = |content: &Content| content.price.as_ref().map(ToString::to_string);
    let (before, now) = (from.and_then(price), price(to));
    change_if_different("price", before.as_deref().map(text), now.as_deref().map(text), sink);
}

//! Service orders as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, ServiceOrderSelection},
};
use porttask_projections::operations::service_order as view;

use super::bodies::{PriceBody, ServiceOrderFilter, ServiceOrderResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::ServiceOrders {
    const FILE: &'static str = "service-orders";
    const NAMES: &'static [&'static str] = &[
        "id",
        "port_call",
        "vessel",
        "port_name",
        "time_zone",
        "vendor",
        "vendor_name",
        "service",
        "details",
        "requested_at",
        "amount",
        "currency",
        "status",
        "answerable_until",
        "answered_at",
        "created_at",
    ];

    fn format(filter: &ServiceOrderFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &ServiceOrderFilter, text: Option<Personal>) -> Command {
        let ServiceOrderFilter { port_call, vendor, status, service, answered_from, format: _ } = *filter;
        let answered_from = answered_from.map(|from| from.0);
        let selection = ServiceOrderSelection { port_call, vendor, status, service, answered_from, text };
        Command::Take(Event::ServiceOrdersTaken { format: Format::Csv, selection })
    }

    fn fields(order: ServiceOrderResponse) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let (amount, currency) = order.price.map(|PriceBody { amount, currency }| (amount, currency)).unzip();
        vec![
            order.id.to_string(),
            order.port_call.to_string(),
            text(order.vessel),
            text(order.port_name),
            text(order.time_zone),
            text(order.vendor.map(|it| it.to_string())),
            text(order.vendor_name),
            order.service.as_str().to_owned(),
            order.details,
            order.requested_at.to_string(),
            text(amount),
            text(currency),
            order.status.as_str().to_owned(),
            text(order.answerable_until.map(|it| it.to_string())),
            text(order.answered_at.map(|it| it.to_string())),
            order.created_at.to_string(),
        ]
    }
}

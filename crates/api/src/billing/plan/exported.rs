//! Plans as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, PlanSelection},
};
use porttask_projections::billing::plan as view;

use super::{PlanFilter, PlanOffer, PlanOfferPrice, PlanOverage, PlanResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Plans {
    const FILE: &'static str = "plans";
    const NAMES: &'static [&'static str] = &[
        "id",
        "code",
        "name",
        "visibility",
        "for_organization",
        "retired",
        "offer_version",
        "prices",
        "included_seats",
        "users",
        "port_calls",
        "storage_bytes",
        "api_calls",
        "features",
        "overage",
        "created_at",
    ];

    fn format(filter: &PlanFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &PlanFilter, text: Option<Personal>) -> Command {
        let PlanFilter { visibility, retired, format: _ } = *filter;
        Command::Take(Event::PlansTaken { format: Format::Csv, selection: PlanSelection { visibility, retired, text } })
    }

    fn fields(plan: PlanResponse) -> Vec<String> {
        let offer = plan.offer.as_ref();
        let limit = |limit: fn(&PlanOffer) -> Option<u64>| {
            offer.and_then(limit).map(|limit| limit.to_string()).unwrap_or_default()
        };
        let features = offer.map(|it| it.features.iter().map(TextEnum::as_str).collect::<Vec<_>>().join(" "));
        vec![
            plan.id.to_string(),
            plan.code,
            plan.name,
            plan.visibility.as_str().to_owned(),
            plan.for_organization.map(|it| it.to_string()).unwrap_or_default(),
            plan.retired.to_string(),
            limit(|offer| Some(offer.version)),
            offer.map(|it| joined(&it.prices, price)).unwrap_or_default(),
            limit(|offer| Some(offer.included_seats.into())),
            limit(|offer| offer.limits.users),
            limit(|offer| offer.limits.port_calls),
            limit(|offer| offer.limits.storage_bytes),
            limit(|offer| offer.limits.api_calls),
            features.unwrap_or_default(),
            offer.map(|it| joined(&it.overage, overage)).unwrap_or_default(),
            plan.created_at.to_string(),
        ]
    }
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join("; ")
}

/// A price in minor units: `EUR month 4900, seat 500`.
fn price(it: &PlanOfferPrice) -> String {
    let seat = it.seat_price.map(|price| format!(", seat {price}")).unwrap_or_default();
    format!("{} {} {}{seat}", it.currency, it.interval, it.price)
}

/// A price of what is used beyond: `1.50 EUR per 10 port_calls`.
fn overage(it: &PlanOverage) -> String {
    format!("{} {} per {} {}", it.price_per_unit, it.currency, it.unit, it.meter)
}

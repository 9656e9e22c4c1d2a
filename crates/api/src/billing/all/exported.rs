//! The subscriptions of all organizations as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, SubscriptionSelection},
};
use porttask_projections::billing::subscription as view;

use super::{ListedSubscription, SubscriptionFilter};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Subscriptions {
    const FILE: &'static str = "subscriptions";
    const NAMES: &'static [&'static str] = &[
        "organization",
        "organization_name",
        "status",
        "plan",
        "plan_code",
        "plan_version",
        "interval",
        "seats",
        "currency",
        "monthly_revenue",
        "next_at",
        "next_on",
        "scheduled_plan",
        "canceled_from",
        "created_at",
    ];

    fn format(filter: &SubscriptionFilter) -> ListFormat {
        filter.format
    }

    /// Subscriptions are not searched by words.
    fn recorded(filter: &SubscriptionFilter, _: Option<Personal>) -> Command {
        let SubscriptionFilter { status, plan, format: _ } = *filter;
        Command::Take(Event::SubscriptionsTaken {
            format: Format::Csv,
            selection: SubscriptionSelection { status, plan },
        })
    }

    fn fields(it: ListedSubscription) -> Vec<String> {
        vec![
            it.organization.to_string(),
            it.organization_name.unwrap_or_default(),
            it.status.as_str().to_owned(),
            it.plan.map(|plan| plan.to_string()).unwrap_or_default(),
            it.plan_code.unwrap_or_default(),
            it.plan_version.map(|version| version.to_string()).unwrap_or_default(),
            it.interval.unwrap_or_default(),
            it.seats.to_string(),
            it.currency.unwrap_or_default(),
            it.monthly_revenue.to_string(),
            it.next_at.map(|at| at.to_string()).unwrap_or_default(),
            it.next_on.unwrap_or_default(),
            it.scheduled_plan.unwrap_or_default(),
            it.canceled_from.unwrap_or_default(),
            it.created_at.to_string(),
        ]
    }
}

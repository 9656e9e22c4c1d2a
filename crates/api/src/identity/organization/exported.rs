//! Organizations as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, OrganizationSelection},
};
use porttask_projections::identity::organization as view;

use super::{OrganizationFilter, OrganizationResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Organizations {
    const FILE: &'static str = "organizations";
    const NAMES: &'static [&'static str] =
        &["id", "name", "domain", "status", "plan", "trial_ends_at", "locale", "time_zone", "created_at"];

    fn format(filter: &OrganizationFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &OrganizationFilter, text: Option<Personal>) -> Command {
        let selection = OrganizationSelection { status: filter.status, text };
        Command::Take(Event::OrganizationsTaken { format: Format::Csv, selection })
    }

    fn fields(organization: OrganizationResponse) -> Vec<String> {
        vec![
            organization.id.to_string(),
            organization.name,
            organization.domain,
            organization.status.as_str().to_owned(),
            organization.plan.unwrap_or_default(),
            organization.trial_ends_at.map(|it| it.to_string()).unwrap_or_default(),
            organization.locale,
            organization.business_hours.time_zone,
            organization.created_at.to_string(),
        ]
    }
}

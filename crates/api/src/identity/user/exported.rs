//! Users as CSV.

use jiff::Timestamp;
use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, UserSelection},
    identity::Permissions,
};
use porttask_projections::identity::user as view;

use super::{UserFilter, UserResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Users {
    const FILE: &'static str = "users";
    const NAMES: &'static [&'static str] = &[
        "id",
        "name",
        "email",
        "pending_email",
        "role",
        "status",
        "tickets",
        "invoices",
        "reports",
        "administration",
        "locale",
        "time_zone",
        "created_at",
        "invitation_expires_at",
        "accepted_at",
        "last_signed_in_at",
        "locked_until",
    ];

    fn format(filter: &UserFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &UserFilter, text: Option<Personal>) -> Command {
        let UserFilter { role, status, not_signed_in_since, locked, format: _ } = *filter;
        let not_signed_in_since = not_signed_in_since.map(|since| since.0);
        let selection = UserSelection { role, status, not_signed_in_since, locked, text };
        Command::Take(Event::UsersTaken { format: Format::Csv, selection })
    }

    fn fields(user: UserResponse) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let time = |value: Option<Timestamp>| value.map(|it| it.to_string()).unwrap_or_default();
        let Permissions { tickets, invoices, reports, administration } = user.permissions;
        vec![
            user.id.to_string(),
            text(user.name),
            text(user.email),
            text(user.pending_email),
            user.role.as_str().to_owned(),
            user.status.as_str().to_owned(),
            tickets.as_str().to_owned(),
            invoices.as_str().to_owned(),
            reports.as_str().to_owned(),
            administration.as_str().to_owned(),
            text(user.locale),
            text(user.time_zone),
            user.created_at.to_string(),
            time(user.invitation_expires_at),
            time(user.accepted_at),
            time(user.last_signed_in_at),
            time(user.locked_until),
        ]
    }
}

//! The organizations of the platform.

use std::fmt::{self, Display};

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Personal, TextEnum,
    identity::{
        OrganizationStatus,
        organization::Event,
        settings::{Branding, BusinessHours, Hours, Settings, Weekday},
    },
};

use crate::{
    Change, Index, Key, ReadModel, Recorded, Value,
    audit_text::{DescriptionSink, DisplayValue, change_if_different, change_in_words},
    normalized, row, text_columns,
};

text_columns!(OrganizationStatus);

row! {
    /// An organization.
    pub struct Organization {
        key {
            /// Its id.
            organization: OrganizationId,
        }
        row {
            /// Its name.
            name: String,
            /// The normalized name, for sorting and searching.
            normalized_name: String,
            /// Its domain.
            domain: String,
            /// Its status.
            status: OrganizationStatus,
            /// Its plan.
            plan: String,
            /// When its trial ends.
            trial_ends_at: Timestamp,
            /// When it was created.
            created_at: Timestamp,
            /// Its version.
            version: u64,
        }
    }
}

/// Which organizations exist, and what is their status?
pub struct Organizations;

impl ReadModel for Organizations {
    const NAME: &'static str = "organizations";
    const VERSION: u32 = 3;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["normalized_name", "organization"] },
        Index { name: "by_domain", columns: &["domain"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name", "domain"];
    type Source = Event;
    type Row = Organization;

    fn keys(_: &Event, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Id(recorded.organization.0)]]
    }

    fn project(row: Option<Organization>, event: &Event, recorded: &Recorded) -> Change<Organization> {
        let version = recorded.version;
        let with = |change: &dyn Fn(Organization) -> Organization| {
            row.clone().map_or(Change::Keep, |row| Change::Put(Organization { version, ..change(row) }))
        };
        let status = |status| with(&|row| Organization { status, ..row });
        match event {
            Event::Created { name, domain, plan, trial_ends_at, .. } => Change::Put(Organization {
                organization: recorded.organization,
                name: name.clone(),
                normalized_name: normalized(name),
                domain: domain.clone(),
                status: OrganizationStatus::Active,
                plan: plan.clone(),
                trial_ends_at: *trial_ends_at,
                created_at: recorded.time(),
                version,
            }),
            Event::Renamed { to, .. } => {
                with(&|row| Organization { name: to.clone(), normalized_name: normalized(to), ..row })
            }
            Event::BrandingChanged { .. } | Event::BusinessHoursChanged { .. } | Event::LocaleChanged { .. } => {
                with(&|row| row)
            }
            Event::Suspended { .. } => status(OrganizationStatus::Suspended),
            Event::Reactivated {} => status(OrganizationStatus::Active),
            Event::Deactivated { .. } => status(OrganizationStatus::Deactivated),
        }
    }
}

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { name, domain, plan, trial_ends_at, settings } => {
            sink.words("created the organization ");
            sink.value(DisplayValue::Text(name));
            sink.change("name", None, Some(DisplayValue::Text(name)));
            sink.change("domain", None, Some(DisplayValue::Text(domain)));
            sink.change("plan", None, Some(DisplayValue::Text(plan)));
            sink.change("trial_ends_at", None, Some(DisplayValue::Filtered(trial_ends_at)));
            let Settings { branding, business_hours, locale } = settings;
            branding_changes(None, branding, sink);
            business_hours_changes(None, business_hours, sink);
            sink.change("locale", None, Some(DisplayValue::Written(locale)));
        }
        Event::Renamed { from, to } => {
            change_in_words("renamed the organization", "name", DisplayValue::Text(from), DisplayValue::Text(to), sink);
        }
        Event::BrandingChanged { from, to } => {
            sink.words("changed the branding");
            branding_changes(Some(from), to, sink);
        }
        Event::BusinessHoursChanged { from, to } => {
            sink.words("changed the business hours");
            business_hours_changes(Some(from), to, sink);
        }
        Event::LocaleChanged { from, to } => {
            change_in_words(
                "changed the locale",
                "locale",
                DisplayValue::Written(from),
                DisplayValue::Written(to),
                sink,
            );
        }
        Event::Suspended { reason } => {
            sink.words("suspended the organization: ");
            status_change(OrganizationStatus::Suspended, Some(reason), sink);
        }
        Event::Reactivated {} => {
            sink.words("reactivated the organization");
            status_change(OrganizationStatus::Active, None, sink);
        }
        Event::Deactivated { reason } => {
            sink.words("deactivated the organization for good: ");
            status_change(OrganizationStatus::Deactivated, Some(reason), sink);
        }
    }
}

fn status_change(status: OrganizationStatus, reason: Option<&Personal>, sink: &mut dyn DescriptionSink) {
    if let Some(reason) = reason {
        sink.value(DisplayValue::Personal(reason));
    }
    sink.change("status", None, Some(DisplayValue::Text(status.as_str())));
    if let Some(reason) = reason {
        sink.change("reason", None, Some(DisplayValue::Personal(reason)));
    }
}

fn branding_changes(from: Option<&Branding>, to: &Branding, sink: &mut dyn DescriptionSink) {
    fn fields(branding: &Branding) -> [(&'static str, Option<DisplayValue<'_>>); 4] {
        let Branding { display_name, primary_colour, secondary_colour, logo } = branding;
        [
            ("display_name", display_name.as_deref().map(DisplayValue::Text)),
            ("primary_colour", primary_colour.as_ref().map(|colour| DisplayValue::Written(colour))),
            ("secondary_colour", secondary_colour.as_ref().map(|colour| DisplayValue::Written(colour))),
            ("logo", logo.as_deref().map(DisplayValue::Text)),
        ]
    }
    let nothing = Branding::default();
    for ((field, from), (_, to)) in fields(from.unwrap_or(&nothing)).into_iter().zip(fields(to)) {
        change_if_different(field, from, to, sink);
    }
}

fn business_hours_changes(from: Option<&BusinessHours>, to: &BusinessHours, sink: &mut dyn DescriptionSink) {
    change_if_different(
        "time_zone",
        from.map(|from| DisplayValue::Text(&from.time_zone)),
        Some(DisplayValue::Text(&to.time_zone)),
        sink,
    );
    for day in Weekday::ALL {
        let from = from.and_then(|from| from.days.get(day)).map(Open);
        let to = to.days.get(day).map(Open);
        let (from, to) =
            (from.as_ref().map(|it| DisplayValue::Written(it)), to.as_ref().map(|it| DisplayValue::Written(it)));
        change_if_different(day.as_str(), from, to, sink);
    }
}

/// Hours of a day: `09:00-17:00`.
struct Open<'a>(&'a Hours);

impl Display for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { opens, closes } = self.0;
        write!(f, "{opens}-{closes}")
    }
}

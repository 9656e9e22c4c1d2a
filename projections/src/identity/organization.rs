//! The organizations of the platform.

use std::fmt::{self, Display};

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Personal, TextEnum,
    identity::{
        InvitationQuota, OrganizationStatus,
        organization::Event,
        settings::{Branding, BusinessHours, Hours, Settings, Weekday},
    },
};

use serde::Serialize;

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
            /// When its trial ends; `None` for the platform's own organization.
            trial_ends_at: Option<Timestamp>,
            /// Its branding as JSON.
            branding: String,
            /// Its business hours as JSON.
            business_hours: String,
            /// The language of its mails.
            locale: String,
            /// Maximum invitations per day; `None` is the operator's default.
            invitations_per_day: Option<u64>,
            /// Maximum invitations of imports per day; `None` is the operator's default.
            import_invitations_per_day: Option<u64>,
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
    const VERSION: u32 = 4;
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
            Event::Created { name, domain, plan, trial_ends_at, settings } => Change::Put(Organization {
                organization: recorded.organization,
                name: name.clone(),
                normalized_name: normalized(name),
                domain: domain.clone(),
                status: OrganizationStatus::Active,
                plan: plan.clone(),
                // The platform's own organization was once stored with the last instant.
                trial_ends_at: trial_ends_at.filter(|at| *at < Timestamp::MAX),
                branding: json(&settings.branding),
                business_hours: json(&settings.business_hours),
                locale: settings.locale.to_string(),
                invitations_per_day: None,
                import_invitations_per_day: None,
                created_at: recorded.time(),
                version,
            }),
            Event::Renamed { to, .. } => {
                with(&|row| Organization { name: to.clone(), normalized_name: normalized(to), ..row })
            }
            Event::BrandingChanged { to, .. } => with(&|row| Organization { branding: json(to), ..row }),
            Event::BusinessHoursChanged { to, .. } => with(&|row| Organization { business_hours: json(to), ..row }),
            Event::LocaleChanged { to, .. } => with(&|row| Organization { locale: to.to_string(), ..row }),
            Event::InvitationQuotaChanged { to: InvitationQuota { per_day, imports_per_day }, .. } => {
                let [invitations_per_day, import_invitations_per_day] =
                    [per_day, imports_per_day].map(|number| number.map(u64::from));
                with(&|row| Organization { invitations_per_day, import_invitations_per_day, ..row })
            }
            Event::Suspended { .. } => status(OrganizationStatus::Suspended),
            Event::Reactivated {} => status(OrganizationStatus::Active),
            Event::Deactivated { .. } => status(OrganizationStatus::Deactivated),
        }
    }
}

fn json(setting: &impl Serialize) -> String {
    serde_json::to_string(setting).unwrap_or_default()
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
            if let Some(at) = trial_ends_at.as_ref().filter(|at| **at < Timestamp::MAX) {
                sink.change("trial_ends_at", None, Some(DisplayValue::Filtered(at)));
            }
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
        Event::InvitationQuotaChanged { from, to } => {
            sink.words("changed how many invitations the organization may send per day");
            let numbers = |quota: &InvitationQuota| [quota.per_day, quota.imports_per_day];
            let fields = ["invitations_per_day", "import_invitations_per_day"];
            for (field, (from, to)) in fields.into_iter().zip(numbers(from).into_iter().zip(numbers(to))) {
                let (from, to) = (from.map(|it| it.to_string()), to.map(|it| it.to_string()));
                change_if_different(
                    field,
                    from.as_deref().map(DisplayValue::Text),
                    to.as_deref().map(DisplayValue::Text),
                    sink,
                );
            }
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

/// Hours of a day: `09:00-12:00, 13:00-17:00`.
struct Open<'a>(&'a Vec<Hours>);

impl Display for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Hours { opens, closes }) in self.0.iter().enumerate() {
            write!(f, "{}{opens}-{closes}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

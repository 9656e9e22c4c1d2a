//! The organizations of the platform.

use jiff::Timestamp;
use porttask_domain::{
    Fact, OrganizationId,
    identity::{Standing, organization::Event},
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, folded, row};

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
            /// The name as it is sorted and searched.
            folded_name: String,
            /// Its domain.
            domain: String,
            /// How it stands with the platform.
            standing: Standing,
            /// Its plan.
            plan: String,
            /// When its trial ends.
            trial_ends_at: Timestamp,
            /// When it was made.
            created_at: Timestamp,
            /// Its version.
            version: u64,
        }
    }
}

/// Which organizations are there, and how do they stand?
pub struct Organizations;

impl ReadModel for Organizations {
    const NAME: &'static str = "organizations";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["folded_name", "organization"] },
        Index { name: "by_domain", columns: &["domain"] },
    ];
    const SEARCHED: &'static [&'static str] = &["folded_name", "domain"];
    type Row = Organization;

    fn keys(recorded: &Recorded) -> Vec<Key> {
        match &recorded.fact {
            Fact::Organization(_) => vec![vec![Value::Id(recorded.organization.0)]],
            Fact::User(_)
            | Fact::Session(_)
            | Fact::ApiKey(_)
            | Fact::Mailbox(_)
            | Fact::Refusal(_)
            | Fact::Reading(_)
            | Fact::Export(_) => Vec::new(),
        }
    }

    fn project(row: Option<Organization>, recorded: &Recorded) -> Change<Organization> {
        let Fact::Organization(event) = &recorded.fact else { return Change::Keep };
        let version = recorded.version;
        let with = |change: &dyn Fn(Organization) -> Organization| {
            row.clone().map_or(Change::Keep, |row| Change::Put(Organization { version, ..change(row) }))
        };
        let standing = |standing| with(&|row| Organization { standing, ..row });
        match event {
            Event::Created { name, domain, plan, trial_ends_at, .. } => Change::Put(Organization {
                organization: recorded.organization,
                name: name.clone(),
                folded_name: folded(name),
                domain: domain.clone(),
                standing: Standing::Active,
                plan: plan.clone(),
                trial_ends_at: *trial_ends_at,
                created_at: recorded.recorded_at,
                version,
            }),
            Event::Renamed { to, .. } => with(&|row| Organization { name: to.clone(), folded_name: folded(to), ..row }),
            Event::BrandingChanged { .. } | Event::BusinessHoursChanged { .. } | Event::LocaleChanged { .. } => {
                with(&|row| row)
            }
            Event::Suspended { .. } => standing(Standing::Suspended),
            Event::Reactivated {} => standing(Standing::Active),
            Event::Deactivated { .. } => standing(Standing::Deactivated),
        }
    }
}

//! Who took a seat, and from when until when.

use std::collections::BTreeMap;

use porttask_domain::{
    OrganizationId, UserId,
    identity::user::{Event, Link},
};

use super::usage::day_of;
use crate::{Change, Index, ReadModel, Recorded, row};

row! {
    /// The seat of a user: taken while they are invited or active.
    pub struct Seat {
        key {
            /// The organization of the account.
            organization: OrganizationId,
            /// The user.
            user: UserId,
        }
        row {
            /// Whether it is taken.
            is_taken: bool,
            /// Whether the user has accepted an invitation.
            has_accepted: bool,
            /// Whether an invitation is pending.
            is_invited: bool,
            /// The date of the last change, in UTC.
            changed_on: String,
            /// By how many seats the user had more or fewer at the end of a day than at its beginning, by date, as JSON.
            changes: String,
        }
    }
}

impl Seat {
    /// By how many seats the user had more or fewer at the end of a day than at its beginning, by date.
    pub fn changes(&self) -> BTreeMap<String, i64> {
        serde_json::from_str(&self.changes).unwrap_or_default()
    }

    fn taken(mut self, is_taken: bool, day: String) -> Self {
        let by = i64::from(is_taken) - i64::from(self.is_taken);
        if by != 0 {
            let mut changes = self.changes();
            *changes.entry(day.clone()).or_default() += by;
            changes.retain(|_, by| *by != 0);
            self.changes = serde_json::to_string(&changes).unwrap_or_default();
            (self.is_taken, self.changed_on) = (is_taken, day);
        }
        self
    }
}

/// How many seats were taken when?
pub struct Seats;

impl ReadModel for Seats {
    const NAME: &'static str = "seats";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[Index { name: "by_change", columns: &["organization", "changed_on", "user"] }];
    type Source = Event;
    type Row = Seat;

    fn project(row: Option<Seat>, event: &Event, recorded: &Recorded) -> Change<Seat> {
        let day = day_of(recorded.time());
        let row = row.unwrap_or_else(|| Seat {
            organization: recorded.organization,
            user: UserId(recorded.subject),
            is_taken: false,
            has_accepted: false,
            is_invited: false,
            changed_on: day.clone(),
            changes: "{}".to_owned(),
        });
        let (is_taken, has_accepted, is_invited) = match event {
            Event::Registered { .. } | Event::AddressCorrected { .. } | Event::Removed {} => {
                (false, row.has_accepted, false)
            }
            Event::Invited { .. } | Event::InvitationSent { .. } => (true, row.has_accepted, true),
            Event::InvitationAccepted {} => (true, true, false),
            // Those who had not accepted yet return to their previous status.
            Event::Reactivated {} => (row.has_accepted || row.is_invited, row.has_accepted, row.is_invited),
            Event::Deactivated {} => (false, row.has_accepted, row.is_invited),
            Event::InvitationRevoked {} | Event::LinkExpired { link: Link::Invitation } => {
                (row.is_taken && row.has_accepted, row.has_accepted, false)
            }
            Event::LinkExpired { link: Link::AddressChange | Link::PasswordReset }
            | Event::RoleChanged { .. }
            | Event::PermissionsChanged { .. }
            | Event::Promoted { .. }
            | Event::Demoted {}
            | Event::Renamed { .. }
            | Event::LocaleChanged { .. }
            | Event::TimeZoneChanged { .. }
            | Event::AddressChangeRequested { .. }
            | Event::AddressChanged { .. }
            | Event::AddressChangeCancelled {}
            | Event::PasswordResetRequested { .. }
            | Event::PasswordReset {}
            | Event::PasswordChanged { .. }
            | Event::SessionsEnded { .. }
            | Event::Locked { .. }
            | Event::Unlocked {} => return Change::Keep,
        };
        Change::Put(Seat { has_accepted, is_invited, ..row }.taken(is_taken, day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat() -> Seat {
        Seat {
            organization: OrganizationId(uuid::Uuid::from_u128(7)),
            user: UserId(uuid::Uuid::from_u128(1)),
            is_taken: false,
            has_accepted: false,
            is_invited: false,
            changed_on: String::new(),
            changes: "{}".to_owned(),
        }
    }

    #[test]
    fn a_seat_that_is_taken_and_given_back_on_one_day_is_no_change() {
        let taken = seat().taken(true, "2026-11-27".to_owned());
        assert_eq!(taken.changes(), BTreeMap::from([("2026-11-27".to_owned(), 1)]));
        assert_eq!(taken.clone().taken(true, "2026-11-28".to_owned()).changed_on, "2026-11-27");
        let given_back = taken.clone().taken(false, "2026-11-27".to_owned());
        assert!(given_back.changes().is_empty());
        let later = taken.taken(false, "2026-12-01".to_owned());
        assert_eq!((later.changes()["2026-12-01"], later.changed_on.as_str()), (-1, "2026-12-01"));
    }
}

//! A counter: what it counts, and how far.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_domain::{
    Actor, Impersonator, Meta, OrganizationId, UserId,
    compliance::staff_access::{Area, MOST_IDS},
};
use std::net::IpAddr;
use tokio::time::Instant;

use super::Denied;

/// Seconds of an hour.
pub(super) const HOUR: i64 = 3_600;
/// Hours of a day.
const DAY: i64 = 24;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// A denied operation.
    Operation {
        /// Its name.
        operation: String,
        /// Why it was denied: the slug of a problem.
        problem: String,
        /// The public id of what it was about, if it named one.
        target: Option<String>,
    },
    /// A failed sign-in to an existing account.
    SignIn {
        /// The network of the client.
        network: Option<IpAddr>,
    },
    /// The platform's staff read something while impersonating the caller.
    StaffAccess {
        /// The name of the operation.
        operation: String,
    },
    /// The platform's staff or a key of the platform read something of an organization.
    StaffRead {
        /// What part of it.
        area: Area,
    },
}

impl What {
    /// Whether it is a read, not a denial.
    pub(super) fn is_read(&self) -> bool {
        match self {
            Self::Operation { .. } | Self::SignIn { .. } => false,
            Self::StaffAccess { .. } | Self::StaffRead { .. } => true,
        }
    }
}

/// What a counter counts, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
    actor: Actor,
    impersonator: Option<Impersonator>,
    pub(super) what: What,
    /// The hour, since 1970, before which it counts.
    pub(super) ends: i64,
}

impl Line {
    /// The counter of a denial or read: of its hour; of its day for reads by keys and for searches.
    pub(super) fn of(denied: &Denied, now: Timestamp) -> Self {
        let Denied { organization, user, what, meta, .. } = denied;
        let is_by_key = matches!(meta.actor, Actor::ApiKey { .. });
        let is_search = matches!(what, What::StaffRead { area: Area::Search });
        let hours = if is_search || is_by_key && what.is_read() { DAY } else { 1 };
        let ends = (now.as_second().div_euclid(HOUR * hours) + 1) * hours;
        let (organization, user, what) = (*organization, *user, what.clone());
        Self { organization, user, actor: meta.actor, impersonator: meta.impersonator, what, ends }
    }

    /// The counter of the same denial regardless of its target, and the target, if it has one.
    pub(super) fn without_target(&self) -> Option<(Self, String)> {
        let What::Operation { operation, problem, target: Some(target) } = &self.what else { return None };
        let what = What::Operation { operation: operation.clone(), problem: problem.clone(), target: None };
        Some((Self { what, ..self.clone() }, target.clone()))
    }

    /// Whether its record is delayed.
    pub(super) fn is_delayed(&self) -> bool {
        matches!(self.what, What::SignIn { .. })
    }

    /// Whether the counter is recorded immediately when it reaches this value.
    pub(super) fn is_due_at(&self, total: u64) -> bool {
        let is_power_of_ten = total.checked_ilog10().is_some_and(|power| 10_u64.pow(power) == total);
        total == 1 || is_power_of_ten && self.is_delayed()
    }
}

/// How much was counted.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub(super) total: u64,
    pub(super) recorded: u64,
    /// The first ids of what was read.
    pub(super) ids: Vec<String>,
    /// The targets that are counted apart.
    pub(super) targets: BTreeSet<String>,
    /// The metadata of the last request.
    pub(super) meta: Meta,
    /// When the last one happened.
    last_at: Option<Timestamp>,
    /// Until when the record is delayed.
    pub(super) not_before: Option<Instant>,
}

impl Count {
    pub(super) fn new(meta: Meta) -> Self {
        Self { total: 0, recorded: 0, ids: Vec::new(), targets: BTreeSet::new(), meta, last_at: None, not_before: None }
    }

    /// Whether the record is delayed still.
    pub(super) fn is_delayed(&self) -> bool {
        self.not_before.is_some_and(|not_before| Instant::now() < not_before)
    }

    /// The metadata of the event: with the time of the last request if it is recorded later.
    pub(super) fn meta(&self, line: &Line) -> Meta {
        let is_late = line.is_delayed() || self.recorded > 0;
        Meta { occurred_at: self.last_at.filter(|_| is_late).or(self.meta.occurred_at), ..self.meta.clone() }
    }

    /// Counts one more, with the ids of what was read.
    pub(super) fn add(&mut self, ids: Vec<String>, now: Timestamp) {
        self.total += 1;
        self.last_at = Some(now);
        for id in ids {
            if self.ids.len() < MOST_IDS && !self.ids.contains(&id) {
                self.ids.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use porttask_domain::ApiKeyId;
    use uuid::Uuid;

    use super::*;

    fn line(actor: Actor, what: What, at: &str) -> Line {
        let (organization, user) = (OrganizationId(Uuid::from_u128(7)), UserId(Uuid::from_u128(1)));
        let denied = Denied { organization, user, what, ids: Vec::new(), meta: Meta::by(actor) };
        Line::of(&denied, at.parse().unwrap())
    }

    #[test]
    fn reads_by_people_are_counted_by_the_hour_and_those_by_keys_and_searches_by_the_day() {
        let organization = OrganizationId::PLATFORM;
        let person = Actor::User { organization, user: UserId(Uuid::from_u128(1)) };
        let key = Actor::ApiKey { organization, key: ApiKeyId(Uuid::from_u128(2)) };
        let of = |actor, area, at: &str| line(actor, What::StaffRead { area }, &format!("2026-12-02T{at}Z"));
        for (actor, area, is_same_later) in
            [(person, Area::Users, false), (key, Area::Users, true), (person, Area::Search, true)]
        {
            assert_eq!(of(actor, area, "09:00:00"), of(actor, area, "09:59:59"));
            assert_eq!(of(actor, area, "09:00:00") == of(actor, area, "10:00:00"), is_same_later, "{actor:?} {area}");
        }
        assert_ne!(of(key, Area::Users, "09:00:00"), of(person, Area::Users, "09:00:00"));
        assert_ne!(of(person, Area::Vendors, "09:00:00"), of(person, Area::Users, "09:00:00"));
    }

    #[test]
    fn failed_sign_ins_are_recorded_in_steps() {
        let sign_in = line(Actor::Anonymous, What::SignIn { network: None }, "2026-12-02T09:00:00Z");
        let steps: Vec<u64> = (0..2_000).filter(|total| sign_in.is_due_at(*total)).collect();
        assert_eq!(steps, [1, 10, 100, 1_000]);
    }
}

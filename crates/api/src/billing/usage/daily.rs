//! What was used day by day. Days are in UTC.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_app::billing::subscriptions::counted;
use porttask_domain::{
    billing::{subscription::UsageRange, terms::Meter},
    identity::user::SEATS,
    operations::document::STORAGE_BYTES,
};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::{
        seat::Seats,
        usage::{DAY, UsageDay, UsageDays},
    },
};
use porttask_runtime::views::{Condition, Query};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{app::App, permissions::Permission, problem::Problem, request::Authorized};

/// How many days a read looks back at most.
pub(super) const MOST_DAYS: usize = 800;
/// The most users whose seats are followed.
const MOST_SEATS: usize = 100_000;

/// The usage of a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub(super) day: Date,
    pub(super) port_calls: u64,
    pub(super) api_calls: u64,
    pub(super) storage_bytes: u64,
    pub(super) users: u64,
}

/// The usage of a day. If one meter is asked for, the others are left out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DayUsage {
    #[schema(value_type = String, format = Date)]
    pub(super) day: Date,
    /// Port calls created.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub(super) port_calls: Option<u64>,
    /// Requests with API keys; counted when the day is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub(super) api_calls: Option<u64>,
    /// Bytes of stored documents at its end, or now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub(super) storage_bytes: Option<u64>,
    /// Users who are invited or active at its end, or now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub(super) users: Option<u64>,
}

impl DayUsage {
    /// Of all meters, or of one.
    pub(super) fn of(day: &Day, meter: Option<Meter>) -> Self {
        let only = |one: Meter, value: u64| Some(value).filter(|_| meter.is_none_or(|meter| meter == one));
        Self {
            day: day.day,
            port_calls: only(Meter::PortCalls, day.port_calls),
            api_calls: only(Meter::ApiCalls, day.api_calls),
            storage_bytes: only(Meter::StorageBytes, day.storage_bytes),
            users: only(Meter::Users, day.users),
        }
    }
}

/// What changed on the days since an instant, and what there is now.
pub(super) struct Daily {
    rows: BTreeMap<String, UsageDay>,
    seats: BTreeMap<String, i64>,
    stored: u64,
    users: u64,
}

impl Daily {
    /// The days since an instant.
    ///
    /// # Errors
    /// If the views or the log cannot be read.
    pub(super) async fn since<P: Permission>(
        app: &App,
        caller: &Authorized<P>,
        since: Timestamp,
    ) -> Result<Self, Problem> {
        caller.catch_up(app, UsageDays::NAME).await?;
        caller.catch_up(app, Seats::NAME).await?;
        let (partition, since) = (caller.partition, utc_date(since).to_string());
        let conditions = |column| {
            vec![
                Condition::Equal("organization", caller.organization.to_value()),
                Condition::AtLeast(column, since.to_value()),
            ]
        };
        let (sort, limit) = (vec!["organization", "day"], MOST_DAYS);
        let query = Query { partition, conditions: conditions("day"), sort, limit, ..Query::default() };
        let rows = app.views.rows::<UsageDays>(&query).await?;
        let (sort, limit) = (vec!["organization", "changed_on", "user"], MOST_SEATS);
        let query = Query { partition, conditions: conditions("changed_on"), sort, limit, ..Query::default() };
        let mut seats: BTreeMap<String, i64> = BTreeMap::new();
        for seat in app.views.rows::<Seats>(&query).await? {
            for (day, by) in seat.changes() {
                *seats.entry(day).or_default() += by;
            }
        }
        let count = async |name| {
            let count = counted(&app.executor, caller.organization, name).await;
            count.map_err(|error| Problem::unavailable(&error))
        };
        let rows = rows.into_iter().map(|row| (row.day.clone(), row)).collect();
        Ok(Self { rows, seats, stored: count(STORAGE_BYTES).await?, users: count(SEATS).await? })
    }

    /// The bytes stored at the beginning of a day: what is stored now, without what was added since.
    pub(super) fn stored_before(&self, day: Date) -> u64 {
        let since: i64 = self.rows.range(day.to_string()..).map(|(_, row)| row.storage_change()).sum();
        self.stored.saturating_add_signed(-since)
    }

    /// The seats that were taken at the beginning of a day.
    pub(super) fn users_before(&self, day: Date) -> u64 {
        let since: i64 = self.seats.range(day.to_string()..).map(|(_, by)| by).sum();
        self.users.saturating_add_signed(-since)
    }

    /// The requests with API keys on the days of a range that were counted.
    pub(super) fn api_calls(&self, (from, until): (Date, Date)) -> u64 {
        self.rows.range(from.to_string()..until.to_string()).map(|(_, row)| row.api_calls).sum()
    }

    /// The days of a range, without its end.
    pub(super) fn days(&self, (from, until): (Date, Date)) -> Vec<Day> {
        let (mut day, mut days) = (from, Vec::new());
        while day < until && days.len() < MOST_DAYS {
            let (row, next) = (self.rows.get(&day.to_string()), day.saturating_add(1.day()));
            days.push(Day {
                day,
                port_calls: row.map_or(0, |row| row.port_calls),
                api_calls: row.map_or(0, |row| row.api_calls),
                storage_bytes: self.stored_before(next),
                users: self.users_before(next),
            });
            day = next;
        }
        days
    }

    /// The time-weighted average of the bytes stored in a month so far.
    pub(super) fn average(&self, range: &UsageRange, now: Timestamp) -> u64 {
        let (from, until) = (utc_date(range.starts_at), utc_date(range.ends_at.min(now)).saturating_add(1.day()));
        let until = until.min(utc_date(range.ends_at)).max(from.saturating_add(1.day()));
        let (mut day, mut sum, mut days) = (from, 0_i128, 0_i128);
        while day < until {
            let weight = self.rows.get(&day.to_string()).map_or(0, UsageDay::storage_weight);
            sum += i128::from(self.stored_before(day)) * i128::from(DAY) + i128::from(weight);
            (day, days) = (day.saturating_add(1.day()), days + 1);
        }
        let seconds = days.max(1) * i128::from(DAY);
        u64::try_from((sum.max(0) + seconds / 2) / seconds).unwrap_or_default()
    }

    /// The average of the users of a month so far: who has a seat at the end of a day has it on that day.
    pub(super) fn average_users(&self, range: &UsageRange, now: Timestamp) -> u64 {
        let (from, until) = (utc_date(range.starts_at), utc_date(range.ends_at.min(now)).saturating_add(1.day()));
        let until = until.min(utc_date(range.ends_at)).max(from.saturating_add(1.day()));
        let days = self.days((from, until));
        let (sum, count) = (days.iter().map(|day| day.users).sum::<u64>(), days.len().max(1) as u64);
        (sum + count / 2) / count
    }
}

/// The date of an instant in UTC.
pub(super) fn utc_date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The dates of a month in UTC: the first, and the one after the last.
pub(super) fn utc_dates(range: &UsageRange) -> (Date, Date) {
    (utc_date(range.starts_at), utc_date(range.ends_at))
}

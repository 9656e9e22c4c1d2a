//! Averages of what is not counted from zero each month, users and stored bytes, as they are billed when a usage month is over.
//!
//! Days are in UTC, as on the usage page: a month is measured from the day on which it begins to the day on which it ends,
//! so that months follow each other without a day twice or never. A user has a day if they have a seat at its end.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_domain::{
    OrganizationId,
    billing::{period::local_date, terms::Meter},
};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::{
        seat::Seats,
        usage::{DAY, UsageDays},
    },
};
use porttask_runtime::{
    execute::{ExecuteError, Executor},
    log::{LogError, PartitionId},
    views::{Condition, Query, ViewError, Views},
};

/// How long a read model may take to catch up; otherwise it is measured later.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows per read.
const PAGE: usize = 1_000;

/// What was added on a day: the change at its end, and the sum of each change times the seconds that were left of the day.
type Changes = BTreeMap<String, (i128, i128)>;

/// The time-weighted average of a meter between two instants, rounded; `None` if the meter is counted from zero each month.
///
/// # Errors
/// If the read models are behind the log, or cannot be read.
pub async fn average(
    views: &Views,
    executor: &Executor,
    organization: OrganizationId,
    meter: Meter,
    (from, until): (Timestamp, Timestamp),
) -> Result<Option<u64>, ExecuteError> {
    let name = match meter {
        Meter::Users => Seats::NAME,
        Meter::StorageBytes => UsageDays::NAME,
        Meter::PortCalls | Meter::ApiCalls => return Ok(None),
    };
    let Some(partition) = executor.database().partition_of(organization).await? else { return Ok(Some(0)) };
    let heads = executor.database().heads().await?;
    if let Some(head) = heads.iter().find(|head| head.position.partition == partition)
        && !views.wait_for(name, head.position, PATIENCE).await.map_err(unavailable)?
    {
        let error =
            format!("the read model {name} is behind the log: what is billed by it waits until it has caught up");
        return Err(LogError::Unavailable(error).into());
    }
    let changes = match meter {
        Meter::Users => seats(views, organization, partition).await,
        Meter::PortCalls | Meter::StorageBytes | Meter::ApiCalls => stored(views, organization, partition).await,
    };
    let utc = |at| local_date(at, &TimeZone::UTC);
    Ok(Some(average_of(&changes.map_err(unavailable)?, utc(from), utc(until))))
}

fn unavailable(error: ViewError) -> ExecuteError {
    LogError::Unavailable(error.to_string()).into()
}

/// The average over the days of a range.
fn average_of(changes: &Changes, from: Date, until: Date) -> u64 {
    let (first, day) = (from.to_string(), i128::from(DAY));
    let mut value: i128 = changes.range(..first).map(|(_, (by, _))| by).sum();
    let (mut on, mut sum, mut days) = (from, 0_i128, 0_i128);
    while on < until.max(from.saturating_add(1.day())) {
        let (by, weight) = changes.get(&on.to_string()).copied().unwrap_or_default();
        sum += value * day + weight;
        value += by;
        (on, days) = (on.saturating_add(1.day()), days + 1);
    }
    let seconds = days * day;
    u64::try_from((sum.max(0) + seconds / 2) / seconds).unwrap_or_default()
}

/// How the stored bytes changed on each day.
async fn stored(views: &Views, organization: OrganizationId, partition: PartitionId) -> Result<Changes, ViewError> {
    let conditions = vec![Condition::Equal("organization", organization.to_value())];
    let mut query = Query { partition, conditions, sort: vec!["organization", "day"], limit: PAGE, ..Query::default() };
    let mut changes = Changes::new();
    loop {
        let rows = views.rows::<UsageDays>(&query).await?;
        query.after = rows.last().map(|last| vec![organization.to_value(), last.day.to_value()]);
        let is_last = rows.len() < PAGE;
        for row in rows {
            changes.insert(row.day.clone(), (row.storage_change().into(), row.storage_weight().into()));
        }
        if is_last {
            return Ok(changes);
        }
    }
}

/// How the seats that are taken changed on each day. Who has one at the end of a day has it on all of the day.
async fn seats(views: &Views, organization: OrganizationId, partition: PartitionId) -> Result<Changes, ViewError> {
    let conditions = vec![Condition::Equal("organization", organization.to_value())];
    let mut query =
        Query { partition, conditions, sort: vec!["organization", "user"], limit: PAGE, ..Query::default() };
    let mut changes = Changes::new();
    loop {
        let rows = views.rows::<Seats>(&query).await?;
        query.after = rows.last().map(|last| vec![organization.to_value(), last.user.to_value()]);
        let is_last = rows.len() < PAGE;
        for (day, by) in rows.iter().flat_map(|row| row.changes()) {
            let of_day = changes.entry(day).or_default();
            *of_day = (of_day.0 + i128::from(by), of_day.1 + i128::from(by) * i128::from(DAY));
        }
        if is_last {
            return Ok(changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn an_average_weighs_each_value_by_the_time_for_which_it_held() {
        let (from, until) = (date(2026, 11, 1), date(2026, 12, 1));
        let changes = |all: &[(&str, i128, i128)]| -> Changes {
            all.iter().map(|(day, by, seconds)| ((*day).to_owned(), (*by, by * seconds))).collect()
        };
        let day = i128::from(DAY);
        assert_eq!(average_of(&changes(&[]), from, until), 0);
        // Since before the month.
        assert_eq!(average_of(&changes(&[("2026-10-30", 300, 5)]), from, until), 300);
        // Half of the month, from noon on.
        assert_eq!(
            average_of(&changes(&[("2026-11-15", 300, day / 2), ("2026-11-30", -300, day / 2)]), from, until),
            150
        );
        // What comes after it does not count.
        assert_eq!(average_of(&changes(&[("2026-12-01", 300, day)]), from, until), 0);
        // Rounded: 300 for one of 30 days is 10, 100 is 3.3, 50 is 1.7.
        for (bytes, average) in [(300, 10), (100, 3), (50, 2)] {
            assert_eq!(average_of(&changes(&[("2026-11-30", bytes, day)]), from, until), average);
        }
    }
}

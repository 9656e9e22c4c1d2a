//! The usage of a month, as far as it does not follow from other events: requests with API keys, and warnings.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::terms::Meter;
use crate::{Aggregate, ApiKeyId, Kind, OrganizationId};

crate::ids! {
    /// The usage of an organization in a month.
    UsageMonthId = "usg";
}

impl UsageMonthId {
    /// The month of an organization that begins on a date.
    pub fn new(organization: OrganizationId, from: Date) -> Self {
        let digest = Sha256::new().chain_update(b"usage").chain_update(organization.0).chain_update(from.to_string());
        Self(Uuid::new_v8(digest.finalize().first_chunk().copied().unwrap_or_default()))
    }
}

/// How many keys are named with the count of a day.
pub const TOP_KEYS: usize = 20;

/// Commands on the usage of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record the requests with API keys of a day that is over.
    CountApiCalls {
        /// The day.
        day: Date,
        /// How many.
        count: u64,
        /// The keys with the most, at most [`TOP_KEYS`].
        by_key: BTreeMap<ApiKeyId, u64>,
    },
    /// Record the average of what is not counted from zero each month, when the month is over.
    Measure {
        /// The meter.
        meter: Meter,
        /// The time-weighted average.
        average: u64,
    },
    /// Warn of a share of a limit that was reached.
    Warn {
        /// The meter.
        meter: Meter,
        /// What is used.
        used: u64,
        /// The limit.
        limit: u64,
    },
}

/// Events of the usage of a month. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// The requests with API keys of a day were counted.
    #[serde(rename = "usage.api_calls_counted.v1")]
    ApiCallsCounted {
        /// The day.
        day: Date,
        /// How many.
        count: u64,
        /// The keys with the most.
        by_key: BTreeMap<ApiKeyId, u64>,
    },
    /// The average of a month that is over was measured, because it is billed.
    #[serde(rename = "usage.average_measured.v1")]
    AverageMeasured {
        /// The meter.
        meter: Meter,
        /// The time-weighted average.
        average: u64,
    },
    /// A share of a limit was reached.
    #[serde(rename = "usage.threshold_reached.v1")]
    ThresholdReached {
        /// The meter.
        meter: Meter,
        /// The share, in percent.
        share: u64,
        /// What is used.
        used: u64,
        /// The limit.
        limit: u64,
    },
}

/// Usage is recorded as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A day is over that was counted before.
    #[error("the requests of this day were counted before")]
    Counted,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }

    fn slug(&self) -> &'static str {
        "usage-counted"
    }
}

/// The state of the usage of a month.
#[derive(Debug, Clone, Default)]
pub struct UsageMonth {
    days: BTreeMap<Date, u64>,
    keys: BTreeMap<ApiKeyId, u64>,
    warned: BTreeMap<Meter, Vec<u64>>,
    averages: BTreeMap<Meter, u64>,
    /// How many events there were.
    events: u64,
}

impl UsageMonth {
    /// The requests that were counted.
    pub fn api_calls(&self) -> u64 {
        self.days.values().sum()
    }

    /// What was used of a meter that is billed by this month: the requests, or the average that was measured.
    pub fn billed(&self, meter: Meter) -> Option<u64> {
        match meter {
            Meter::ApiCalls => Some(self.api_calls()),
            Meter::Users | Meter::StorageBytes => self.averages.get(&meter).copied(),
            Meter::PortCalls => None,
        }
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The keys with the most requests.
    pub fn top_keys(&self) -> Vec<(ApiKeyId, u64)> {
        let mut keys: Vec<(ApiKeyId, u64)> = self.keys.iter().map(|(key, count)| (*key, *count)).collect();
        keys.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        keys.truncate(TOP_KEYS);
        keys
    }

    /// Whether a day was counted.
    pub fn has(&self, day: Date) -> bool {
        self.days.contains_key(&day)
    }

    /// Whether there is a warning to be recorded.
    pub fn warns(&self, meter: Meter, used: u64, limit: u64) -> bool {
        !self.shares(meter, used, limit).is_empty()
    }

    fn shares(&self, meter: Meter, used: u64, limit: u64) -> Vec<u64> {
        super::usage::warnings(used, Some(limit), self.warned.get(&meter).map_or(&[], Vec::as_slice))
    }
}

impl Aggregate for UsageMonth {
    const CATEGORY: &'static str = "usage";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = UsageMonthId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::CountApiCalls { day, count, .. } if self.days.get(day) == Some(count) => Ok(vec![]),
            Command::CountApiCalls { day, .. } if self.has(*day) => Err(Rejection::Counted),
            Command::CountApiCalls { count: 0, .. } => Ok(vec![]),
            Command::CountApiCalls { day, count, by_key } => {
                Ok(vec![Event::ApiCallsCounted { day: *day, count: *count, by_key: by_key.clone() }])
            }
            Command::Measure { meter, .. } if self.averages.contains_key(meter) => Ok(vec![]),
            Command::Measure { meter, average } => {
                Ok(vec![Event::AverageMeasured { meter: *meter, average: *average }])
            }
            Command::Warn { meter, used, limit } => {
                let event = |share| Event::ThresholdReached { meter: *meter, share, used: *used, limit: *limit };
                Ok(self.shares(*meter, *used, *limit).into_iter().map(event).collect())
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::ApiCallsCounted { day, count, by_key } => {
                self.days.insert(*day, *count);
                for (key, count) in by_key {
                    *self.keys.entry(*key).or_default() += count;
                }
            }
            Event::AverageMeasured { meter, average } => _ = self.averages.insert(*meter, *average),
            Event::ThresholdReached { meter, share, .. } => self.warned.entry(*meter).or_default().push(*share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn day() -> Date {
        jiff::civil::date(2026, 11, 27)
    }

    fn count(count: u64) -> Command {
        Command::CountApiCalls { day: day(), count, by_key: BTreeMap::new() }
    }

    #[test]
    fn a_day_is_counted_once() {
        let counted = || Event::ApiCallsCounted { day: day(), count: 7, by_key: BTreeMap::new() };
        given::<UsageMonth>([]).when(count(7)).then([counted()]);
        given::<UsageMonth>([counted()]).when(count(8)).then_rejected(Rejection::Counted);
        given::<UsageMonth>([]).when(count(0)).then([]);
    }

    #[test]
    fn an_average_is_measured_once() {
        let measure = |average| Command::Measure { meter: Meter::StorageBytes, average };
        let measured = || Event::AverageMeasured { meter: Meter::StorageBytes, average: 7 };
        given::<UsageMonth>([]).when(measure(7)).then([measured()]);
        given::<UsageMonth>([measured()]).when(measure(8)).then([]);
        let mut month = UsageMonth::default();
        month.evolve(&measured());
        let billed = [Meter::StorageBytes, Meter::Users, Meter::ApiCalls, Meter::PortCalls].map(|it| month.billed(it));
        assert_eq!(billed, [Some(7), None, Some(0), None]);
    }

    #[test]
    fn each_share_is_warned_of_once_and_a_jump_warns_of_both() {
        let warn = |used| Command::Warn { meter: Meter::PortCalls, used, limit: 50 };
        let reached = |share, used| Event::ThresholdReached { meter: Meter::PortCalls, share, used, limit: 50 };
        given::<UsageMonth>([]).when(warn(39)).then([]);
        given::<UsageMonth>([]).when(warn(40)).then([reached(80, 40)]);
        given::<UsageMonth>([reached(80, 40)]).when(warn(50)).then([reached(100, 50)]);
        given::<UsageMonth>([]).when(warn(50)).then([reached(80, 50), reached(100, 50)]);
    }
}

//! Usage of days.

use jiff::{Timestamp, tz::TimeZone};
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{terms::Meter, usage_month},
    operations::{document, port_call},
};

use crate::{
    Change, Index, Key, ReadModel, Recorded, Value,
    audit_text::{DescriptionSink, DisplayValue, words_of},
    row,
};

porttask_domain::sources! {
    /// The events that are usage.
    pub enum Source {
        PortCall(port_call::Event),
        Document(document::Event),
        Usage(usage_month::Event),
    }
}

row! {
    /// The usage of a day, in UTC.
    pub struct UsageDay {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The date: `2026-11-27`.
            day: String,
        }
        row {
            /// Port calls created.
            port_calls: u64,
            /// Requests with API keys.
            api_calls: u64,
            /// By how many bytes the stored documents grew, with an offset of 2^62.
            storage_change: u64,
            /// The sum of each growth times the seconds that were left of the day, with an offset of 2^62.
            storage_weight: u64,
        }
    }
}

/// How much was used on which day?
pub struct UsageDays;

impl ReadModel for UsageDays {
    const NAME: &'static str = "usage_days";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[Index { name: "by_day", columns: &["organization", "day"] }];
    type Source = Source<'static>;
    type Row = UsageDay;

    fn keys(event: Source<'_>, recorded: &Recorded) -> Vec<Key> {
        let day = match event {
            Source::PortCall(port_call::Event::Created { .. }) => day_of(recorded.time()),
            Source::Document(document::Event::Stored { .. } | document::Event::Deleted { .. }) => {
                day_of(recorded.time())
            }
            Source::Usage(usage_month::Event::ApiCallsCounted { day, .. }) => day.to_string(),
            Source::PortCall(_) | Source::Document(_) | Source::Usage(_) => return Vec::new(),
        };
        vec![vec![Value::Id(recorded.organization.0), Value::Text(day)]]
    }

    fn project(row: Option<UsageDay>, event: Source<'_>, recorded: &Recorded) -> Change<UsageDay> {
        let day = match event {
            Source::Usage(usage_month::Event::ApiCallsCounted { day, .. }) => day.to_string(),
            Source::PortCall(_) | Source::Document(_) | Source::Usage(_) => day_of(recorded.time()),
        };
        let mut row = row.unwrap_or(UsageDay {
            organization: recorded.organization,
            day,
            port_calls: 0,
            api_calls: 0,
            storage_change: ZERO,
            storage_weight: ZERO,
        });
        match event {
            Source::PortCall(port_call::Event::Created { .. }) => row.port_calls += 1,
            Source::Document(document::Event::Stored { bytes, .. }) => row.grow(i64_of(*bytes), recorded.time()),
            Source::Document(document::Event::Deleted { bytes }) => row.grow(-i64_of(*bytes), recorded.time()),
            Source::Usage(usage_month::Event::ApiCallsCounted { count, .. }) => row.api_calls += count,
            Source::PortCall(_) | Source::Document(_) | Source::Usage(_) => return Change::Keep,
        }
        Change::Put(row)
    }
}

row! {
    /// The usage of a day, in UTC, of all organizations of a partition.
    pub struct UsageTotal {
        key {
            /// The date: `2026-11-27`.
            day: String,
        }
        row {
            /// Port calls created.
            port_calls: u64,
            /// Requests with API keys.
            api_calls: u64,
            /// By how many bytes the stored documents grew, with an offset of 2^62.
            storage_change: u64,
        }
    }
}

impl UsageTotal {
    /// By how many bytes the stored documents grew.
    pub fn storage_change(&self) -> i64 {
        self.storage_change.wrapping_sub(ZERO).cast_signed()
    }
}

/// How much do all organizations use together?
pub struct UsageTotals;

impl ReadModel for UsageTotals {
    const NAME: &'static str = "usage_totals";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[Index { name: "all_by_day", columns: &["day"] }];
    type Source = Source<'static>;
    type Row = UsageTotal;

    fn keys(event: Source<'_>, recorded: &Recorded) -> Vec<Key> {
        let of_organization = UsageDays::keys(event, recorded);
        of_organization.into_iter().map(|key| key.into_iter().skip(1).collect()).collect()
    }

    fn project(row: Option<UsageTotal>, event: Source<'_>, recorded: &Recorded) -> Change<UsageTotal> {
        let Change::Put(day) = UsageDays::project(None, event, recorded) else { return Change::Keep };
        let known =
            row.unwrap_or(UsageTotal { day: day.day.clone(), port_calls: 0, api_calls: 0, storage_change: ZERO });
        Change::Put(UsageTotal {
            port_calls: known.port_calls + day.port_calls,
            api_calls: known.api_calls + day.api_calls,
            storage_change: known.storage_change.wrapping_add_signed(day.storage_change()),
            day: known.day,
        })
    }
}

/// The offset of signed values.
const ZERO: u64 = 1 << 62;
/// The seconds of a day of UTC.
pub const DAY: i64 = 86_400;

impl UsageDay {
    /// By how many bytes the stored documents grew.
    pub fn storage_change(&self) -> i64 {
        self.storage_change.wrapping_sub(ZERO).cast_signed()
    }

    /// The sum of each growth times the seconds that were left of the day.
    pub fn storage_weight(&self) -> i64 {
        self.storage_weight.wrapping_sub(ZERO).cast_signed()
    }

    fn grow(&mut self, by: i64, at: Timestamp) {
        let left = DAY - at.as_second().rem_euclid(DAY);
        self.storage_change = self.storage_change.wrapping_add_signed(by);
        self.storage_weight = self.storage_weight.wrapping_add_signed(by.wrapping_mul(left));
    }
}

fn i64_of(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(super) fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &usage_month::Event, sink: &mut dyn DescriptionSink) {
    match event {
        usage_month::Event::ApiCallsCounted { day, count, .. } => {
            sink.words("counted the requests with API keys of ");
            sink.value(DisplayValue::Written(day));
            sink.change("api_calls", None, Some(DisplayValue::Filtered(count)));
        }
        usage_month::Event::AverageMeasured { meter, average } => {
            sink.words("measured the average use of ");
            sink.value(DisplayValue::Text(&words_of(meter_name(*meter))));
            sink.change("average", None, Some(DisplayValue::Written(average)));
        }
        usage_month::Event::ThresholdReached { meter, share, used, limit } => {
            sink.words("reached ");
            sink.value(DisplayValue::Written(share));
            sink.words(" percent of the limit of ");
            sink.value(DisplayValue::Text(&words_of(meter_name(*meter))));
            sink.change("used", None, Some(DisplayValue::Written(used)));
            sink.change("limit", None, Some(DisplayValue::Written(limit)));
        }
    }
}

fn meter_name(meter: Meter) -> &'static str {
    meter.as_str()
}

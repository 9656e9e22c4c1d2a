//! Business hours: the intervals of each day of the week, in a time zone.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

use super::{InvalidSetting, ZoneName, as_text};
use crate::{InvalidText, TextEnum, merge_patch::not_null};

/// Maximum intervals of a day.
const MOST_INTERVALS: usize = 8;
const DAY: u16 = 24 * 60;

/// The business hours of an organization, in its time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BusinessHours {
    /// The name of its time zone in the IANA database: `Europe/Lisbon`.
    pub time_zone: String,
    /// The intervals of each business day, by their beginning. Days that are missing are closed.
    pub days: BTreeMap<Weekday, Vec<Hours>>,
}

/// The most days that are looked at for the end of a period: four years.
const MOST_DAYS: usize = 1_461;

impl BusinessHours {
    /// When this much of business hours has passed since an instant. Without any business hours, every hour counts.
    pub fn after(&self, from: Timestamp, period: SignedDuration) -> Timestamp {
        if self.days.is_empty() {
            return from + period;
        }
        let zone = TimeZoneDatabase::bundled().get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let (mut left, mut counted_until) = (period, from);
        // An interval of the day before may reach into the first day.
        let first = from.to_zoned(zone.clone()).date().yesterday().ok();
        let days = std::iter::successors(first, |day| day.tomorrow().ok()).take(MOST_DAYS);
        for (opens, closes) in days.flat_map(|day| self.open(day, &zone)) {
            let start = opens.max(counted_until);
            let open = closes.duration_since(start);
            if open >= left {
                return start + left;
            }
            if open.is_positive() {
                (left, counted_until) = (left - open, closes);
            }
        }
        from + period
    }

    /// The intervals that begin on a day, in order.
    fn open(&self, day: Date, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
        let weekday = Weekday::ALL[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())];
        let instant = |minutes: u16| {
            let day = if minutes < DAY { Some(day) } else { day.tomorrow().ok() };
            let minutes = i64::from(minutes % DAY);
            let midnight = day?.at(0, 0, 0, 0).checked_add(SignedDuration::from_mins(minutes)).ok()?;
            Some(zone.to_ambiguous_zoned(midnight).compatible().ok()?.timestamp())
        };
        let hours = self.days.get(&weekday).into_iter().flatten().filter_map(|hours| hours.minutes());
        hours.filter_map(|(opens, closes)| Some((instant(opens)?, instant(closes)?))).collect()
    }
}

crate::texts! {
    /// A day of the week.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    #[expect(missing_docs, reason = "the days of the week")]
    pub enum Weekday {
        Monday = "monday",
        Tuesday = "tuesday",
        Wednesday = "wednesday",
        Thursday = "thursday",
        Friday = "friday",
        Saturday = "saturday",
        Sunday = "sunday",
    }
}

/// An interval: from a time of day until a later one, or until one on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hours {
    /// The first minute.
    pub opens: TimeOfDay,
    /// The minute after the last one; on the next day if it is earlier than `opens`. `24:00` is the end of the day.
    pub closes: TimeOfDay,
}

impl Hours {
    /// The interval in minutes since the beginning of its day; `None` if it is empty.
    fn minutes(self) -> Option<(u16, u16)> {
        let (opens, closes) = (self.opens.minutes, self.closes.minutes);
        let closes = if closes < opens { closes + DAY } else { closes };
        (opens < DAY && opens < closes).then_some((opens, closes))
    }
}

/// A change of business hours: a JSON merge patch (RFC 7396).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BusinessHoursPatch {
    /// The name of the time zone in the IANA database: `Europe/Lisbon`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = String, required = false))]
    pub time_zone: Option<String>,
    /// The intervals of some days, at most 8 a day, which must not overlap; null or none: closed. Other days stay as
    /// they are.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<Weekday, Option<Vec<Hours>>>, required = false))]
    pub days: Option<BTreeMap<Weekday, Option<Vec<Hours>>>>,
}

impl BusinessHoursPatch {
    /// The hours after this change, validated.
    ///
    /// # Errors
    /// If a field is invalid: which one, and why.
    pub(in super::super) fn apply(&self, to: &BusinessHours) -> Result<BusinessHours, InvalidSetting> {
        let BusinessHours { mut time_zone, mut days } = to.clone();
        if let Some(named) = &self.time_zone {
            time_zone = known_zone(named)?;
        }
        for (day, hours) in self.days.iter().flatten() {
            days.insert(*day, hours.clone().unwrap_or_default());
        }
        days.retain(|_, hours| !hours.is_empty());
        days.values_mut().for_each(|hours| hours.sort_by_key(|it| it.opens));
        check(&days)?;
        Ok(BusinessHours { time_zone, days })
    }
}

/// The name of a time zone as it is written in the IANA database.
fn known_zone(name: &str) -> Result<String, InvalidSetting> {
    let zone = name.parse::<ZoneName>().map(|zone| zone.to_string());
    zone.map_err(|error| InvalidSetting::new("business_hours/time_zone", error.to_string()))
}

/// Checks the intervals of a week, of which each may reach into the next day and Sunday's into Monday.
fn check(days: &BTreeMap<Weekday, Vec<Hours>>) -> Result<(), InvalidSetting> {
    let wrong = |message: &str| Err(InvalidSetting::new("business_hours/days", message));
    let week = DAY * 7;
    let mut intervals = Vec::new();
    for (first, hours) in (0..).step_by(DAY.into()).zip(Weekday::ALL.iter().map(|day| days.get(day))) {
        let hours = hours.map(Vec::as_slice).unwrap_or_default();
        if hours.len() > MOST_INTERVALS {
            return wrong("a day has at most 8 intervals");
        }
        for interval in hours {
            let Some((opens, closes)) = interval.minutes() else {
                return wrong("an interval must not be empty: it closes later than it opens, or on the next day");
            };
            intervals.push((first + opens, first + closes));
        }
    }
    let again = intervals.first().map(|(opens, closes)| (opens + week, closes + week));
    let next = intervals.iter().copied().skip(1).chain(again);
    match intervals.iter().zip(next).any(|((_, closes), (opens, _))| opens < *closes) {
        true => wrong("the intervals must not overlap"),
        false => Ok(()),
    }
}

impl BusinessHours {
    /// The calendar month of an instant in its time zone: `2026-11`.
    pub fn month(&self, instant: Timestamp) -> String {
        let zone = TimeZoneDatabase::bundled().get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let date = instant.to_zoned(zone).date();
        format!("{:04}-{:02}", date.year(), date.month())
    }
}

/// Monday to Friday from nine to five, UTC.
impl Default for BusinessHours {
    fn default() -> Self {
        let hours = Hours { opens: TimeOfDay { minutes: 9 * 60 }, closes: TimeOfDay { minutes: 17 * 60 } };
        let days = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
        Self { time_zone: "UTC".to_owned(), days: days.map(|day| (day, vec![hours])).into() }
    }
}

/// Hours and minutes, `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    minutes: u16,
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for TimeOfDay {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
        let text = text.description(Some("A time of day, to the minute; `24:00` is the end of the day."));
        text.pattern(Some("^([01][0-9]|2[0-4]):[0-5][0-9]$")).examples([serde_json::json!("09:00")]).into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for TimeOfDay {}

impl FromStr for TimeOfDay {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let invalid = || InvalidText("must be a time of day such as 09:30".to_owned());
        let (hours, minutes) = text.split_once(':').ok_or_else(invalid)?;
        let two = |digits: &str| {
            let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(invalid)?;
        let total = hours * 60 + minutes;
        if minutes > 59 || total > 24 * 60 {
            return Err(invalid());
        }
        Ok(Self { minutes: total })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

as_text!(TimeOfDay);

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(json: &str) -> BusinessHoursPatch {
        serde_json::from_str(json).unwrap()
    }

    /// The days after a patch of the default hours.
    fn days(json: &str) -> Result<BTreeMap<Weekday, Vec<Hours>>, String> {
        let changed = patch(&format!(r#"{{"days": {json}}}"#)).apply(&BusinessHours::default());
        changed.map(|it| it.days).map_err(|error| format!("{}: {}", error.field, error.message))
    }

    #[test]
    fn times_of_day_round_trip() {
        for good in ["00:00", "09:30", "23:59", "24:00"] {
            assert_eq!(good.parse::<TimeOfDay>().unwrap().to_string(), good);
        }
        for bad in ["", "9:30", "09:60", "24:01", "25:00", "-1:00", "09:3", "09:30:00", "0９:30"] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_month_is_that_of_the_time_zone() {
        let last = "2026-11-30T23:30:00Z".parse().unwrap();
        let month = |zone: &str| BusinessHours { time_zone: zone.to_owned(), days: BTreeMap::new() }.month(last);
        assert_eq!(
            [month("UTC"), month("Europe/Berlin"), month("America/Sao_Paulo")],
            ["2026-11", "2026-12", "2026-11"]
        );
    }

    #[test]
    fn a_time_zone_is_named_as_in_the_iana_database() {
        let zone = |name: &str| {
            let patch = BusinessHoursPatch { time_zone: Some(name.to_owned()), days: None };
            patch.apply(&BusinessHours::default()).map(|it| it.time_zone)
        };
        for good in ["UTC", "Europe/Lisbon", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Etc/GMT+3"] {
            assert_eq!(zone(good).as_deref(), Ok(good));
        }
        assert_eq!(zone("europe/LISBON").as_deref(), Ok("Europe/Lisbon"));
        for bad in
            ["", "Lisbon", "+01:00", "Europe/Atlantis", "../../etc/passwd", "Etc/Unknown", "Factory", "localtime"]
        {
            assert_eq!(zone(bad).unwrap_err().field, "business_hours/time_zone", "{bad}");
        }
    }

    #[test]
    fn a_patch_of_one_day_keeps_the_others() {
        let changed =
            days(r#"{"monday": [{"opens": "13:00", "closes": "17:30"}, {"opens": "08:00", "closes": "12:00"}]}"#);
        let changed = changed.unwrap();
        assert_eq!(changed.len(), 5);
        let monday: Vec<String> = changed[&Weekday::Monday].iter().map(|it| it.opens.to_string()).collect();
        assert_eq!(monday, ["08:00", "13:00"], "by their beginning");
        for closed in ["null", "[]"] {
            assert_eq!(days(&format!(r#"{{"friday": {closed}}}"#)).unwrap().len(), 4, "{closed}");
        }
    }

    #[test]
    fn a_period_of_business_hours_ends_within_them() {
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let lisbon = |json: &str| {
            let patch = patch(&format!(r#"{{"time_zone": "Europe/Lisbon", "days": {json}}}"#));
            patch.apply(&BusinessHours::default()).unwrap()
        };
        let usual = lisbon("{}");
        for (from, until) in [
            // A Friday, in winter; then over the weekend.
            ("2026-11-27T09:30:00Z", "2026-11-27T13:30:00Z"),
            ("2026-11-27T15:00:00Z", "2026-11-30T11:00:00Z"),
            ("2026-11-28T03:00:00Z", "2026-11-30T13:00:00Z"),
            // One hour ahead of UTC in summer.
            ("2026-07-01T05:00:00Z", "2026-07-01T12:00:00Z"),
        ] {
            assert_eq!(usual.after(instant(from), SignedDuration::from_hours(4)), instant(until), "{from}");
        }
        let night = lisbon(r#"{"friday": [{"opens": "20:00", "closes": "02:00"}]}"#);
        let after = night.after(instant("2026-11-28T01:00:00Z"), SignedDuration::from_hours(4));
        assert_eq!(after, instant("2026-11-30T12:00:00Z"), "an hour of the night, and three of Monday");
        let all = ["monday", "tuesday", "wednesday", "thursday", "friday"].map(|day| format!(r#""{day}": null"#));
        let none = lisbon(&format!("{{{}}}", all.join(",")));
        let from = instant("2026-11-28T01:00:00Z");
        assert_eq!(none.after(from, SignedDuration::from_hours(4)), instant("2026-11-28T05:00:00Z"));
    }

    #[test]
    fn an_interval_may_end_on_the_next_day() {
        let night = r#"[{"opens": "18:00", "closes": "02:00"}]"#;
        assert!(days(&format!(r#"{{"monday": {night}, "sunday": {night}}}"#)).is_ok());
        assert!(days(r#"{"saturday": [{"opens": "00:00", "closes": "24:00"}]}"#).is_ok());
        assert!(days(r#"{"saturday": [{"opens": "22:00", "closes": "00:00"}]}"#).is_ok());
    }

    #[test]
    fn intervals_are_neither_empty_nor_overlapping() {
        for bad in [
            r#"{"monday": [{"opens": "12:00", "closes": "12:00"}]}"#,
            r#"{"monday": [{"opens": "24:00", "closes": "24:00"}]}"#,
            r#"{"monday": [{"opens": "24:00", "closes": "08:00"}]}"#,
            r#"{"monday": [{"opens": "08:00", "closes": "12:00"}, {"opens": "11:59", "closes": "13:00"}]}"#,
            // Into the opening of the next day, and from Sunday into Monday.
            r#"{"monday": [{"opens": "18:00", "closes": "09:01"}]}"#,
            r#"{"sunday": [{"opens": "18:00", "closes": "09:01"}]}"#,
        ] {
            assert!(days(bad).unwrap_err().starts_with("business_hours/days: "), "{bad}");
        }
        let minutes: Vec<String> =
            (0..9).map(|at| format!(r#"{{"opens": "0{at}:00", "closes": "0{at}:30"}}"#)).collect();
        assert!(days(&format!(r#"{{"saturday": [{}]}}"#, minutes.join(","))).is_err());
    }
}

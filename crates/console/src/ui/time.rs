//! Instants in the reader's time zone, and durations.

use jiff::{Timestamp, Unit, tz::TimeZone};
use maud::{Markup, html};

use crate::visit::Frame;

/// An instant: relative for a week, then a date; the full instant in the reader's zone and in UTC as a title.
pub(crate) fn instant(frame: &Frame, at: Timestamp) -> Markup {
    let there = at.to_zoned(frame.zone.clone());
    let utc = at.to_zoned(TimeZone::UTC);
    let title = format!("{} · {} UTC", there.strftime("%-d %b %Y, %H:%M:%S %Z"), utc.strftime("%Y-%m-%d %H:%M:%S"));
    html! { time datetime=(at.round(Unit::Second).unwrap_or(at)) title=(title) { (relative(frame, at)) } }
}

/// An instant that may be missing.
pub(crate) fn maybe(frame: &Frame, at: Option<Timestamp>, otherwise: &str) -> Markup {
    html! { @match at { Some(at) => (instant(frame, at)), None => span.soft { (otherwise) } } }
}

fn relative(frame: &Frame, at: Timestamp) -> String {
    let seconds = frame.now.as_second() - at.as_second();
    let (count, unit) = match seconds.abs() {
        0..60 => return if seconds < 0 { "in less than a minute" } else { "just now" }.to_owned(),
        it @ 60..3_600 => (it / 60, "min"),
        it @ 3_600..86_400 => (it / 3_600, "h"),
        it @ 86_400..691_200 => (it / 86_400, if it < 172_800 { "day" } else { "days" }),
        _ => return at.to_zoned(frame.zone.clone()).strftime("%-d %b %Y").to_string(),
    };
    if seconds < 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// The time of day in the reader's zone.
pub(crate) fn clock(frame: &Frame, at: Timestamp) -> Markup {
    let there = at.to_zoned(frame.zone.clone());
    let utc = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at) title=(utc) { (there.strftime("%H:%M:%S")) } }
}

/// The time zone of a port.
pub(crate) fn of_port(zone: &str) -> TimeZone {
    TimeZone::get(zone).unwrap_or(TimeZone::UTC)
}

/// An instant in the time zone of a port, which is named with it.
pub(crate) fn at_port(at: Timestamp, zone: &str) -> Markup {
    exact(at, &of_port(zone))
}

/// The date and time of an instant in a time zone, which is named with it.
pub(crate) fn exact(at: Timestamp, zone: &TimeZone) -> Markup {
    let there = at.to_zoned(zone.clone());
    let utc = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let title = format!("{} · {utc}", zone.iana_name().unwrap_or("UTC"));
    html! { time datetime=(at.round(Unit::Second).unwrap_or(at)) title=(title) { (there.strftime("%-d %b %Y, %H:%M %Z")) } }
}

/// An instant as the value of an input for local times, in the time zone of a port.
pub(crate) fn local_input(at: Timestamp, zone: &str) -> String {
    at.to_zoned(of_port(zone)).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The day in the reader's zone.
pub(crate) fn day(frame: &Frame, at: Timestamp) -> String {
    at.to_zoned(frame.zone.clone()).strftime("%A, %-d %B %Y").to_string()
}

/// The name of the reader's zone.
pub(crate) fn zone(frame: &Frame) -> String {
    frame.zone.iana_name().unwrap_or("UTC").to_owned()
}

/// A duration in words.
pub(crate) fn seconds(seconds: u64) -> String {
    match seconds {
        0..=1 => "a second".to_owned(),
        2..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3_600)),
    }
}

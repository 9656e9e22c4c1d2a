//! Query strings: parsing, and what is wrong with each parameter.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use percent_encoding::percent_decode_str;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor},
};

use super::body::without_value;
use crate::http::problem::{FieldError, Problem};

/// Maximum length of a name that is repeated in a message.
const MAX_NAME: usize = 50;

/// Parses the parameters of a query string.
///
/// # Errors
/// All parameters that are not valid. Values are not repeated.
pub(crate) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut pairs: Vec<(String, String)> = query.split('&').filter(|pair| !pair.is_empty()).map(decoded).collect();
    let mut errors = Vec::new();
    pairs.retain(|(name, value)| {
        let is_clean = !value.contains('\0');
        if !is_clean {
            errors.push(FieldError { pointer: shown(name), detail: "must not contain the character NUL".to_owned() });
        }
        is_clean
    });
    loop {
        let rest = encoded(&pairs);
        let input = serde_urlencoded::Deserializer::new(form_urlencoded::parse(rest.as_bytes()));
        let fault = match serde_path_to_error::deserialize::<_, T>(input) {
            Ok(parsed) if errors.is_empty() => return Ok(parsed),
            Ok(_) => break,
            Err(fault) => fault,
        };
        let message = fault.inner().to_string();
        let named = message.split('`').nth(1).filter(|_| is_about_a_name(&message));
        let name = named.map_or_else(|| fault.path().to_string(), str::to_owned);
        if errors.iter().all(|error| error.pointer != shown(&name)) {
            errors.push(FieldError { pointer: shown(&name), detail: detail(&message) });
        }
        let before = pairs.len();
        pairs.retain(|(it, _)| *it != name);
        if pairs.len() == before {
            break;
        }
    }
    Err(Problem::invalid_fields(errors))
}

/// An instant in the precision of all instants that are stored and shown.
pub(crate) fn whole_microseconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}

/// An instant in a parameter: RFC 3339, also with a plus sign that was not escaped, or a date, whose start in UTC is
/// meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl Instant {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(date) = text.parse::<civil::Date>()
            && text.len() == "2026-11-27".len()
        {
            return date.to_zoned(TimeZone::UTC).ok().map(|start| Self(start.timestamp()));
        }
        // In a query string, a plus sign stands for a space.
        let text = match text.rsplit_once(' ') {
            Some((time, offset)) if time.contains(['T', 't']) => format!("{time}+{offset}"),
            _ => text.to_owned(),
        };
        if let Ok(instant) = text.parse() {
            return Some(Self(whole_microseconds(instant)));
        }
        // The last hours of the year 9999 are valid, but beyond what is stored.
        let is_last_day = text.strip_suffix(['Z', 'z']).is_some_and(|time| {
            time.parse::<civil::DateTime>().is_ok_and(|time| time.date() >= civil::date(9999, 12, 30))
        });
        is_last_day.then(|| Self(whole_microseconds(Timestamp::MAX - SignedDuration::from_secs(1))))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Instant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant such as 2026-11-27T08:30:00Z, or a date such as 2026-11-27")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Instant, E> {
                Instant::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("text"), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn decoded(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let part = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    (part(name), part(value))
}

fn encoded(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The name of a parameter in a message.
fn shown(name: &str) -> String {
    if name == "." { "query".to_owned() } else { name.chars().filter(|it| !it.is_control()).take(MAX_NAME).collect() }
}

fn is_about_a_name(message: &str) -> bool {
    ["unknown field `", "duplicate field `", "missing field `"].iter().any(|start| message.starts_with(start))
}

fn detail(message: &str) -> String {
    if message.starts_with("duplicate field") {
        return "must be given only once".to_owned();
    }
    if message.starts_with("missing field") {
        return "is required".to_owned();
    }
    if let Some((_, known)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        return format!("unknown parameter: {}", known.replace("there are no fields", "there are none"));
    }
    if message.contains("digit") || message.contains("integer") || message.contains("number") {
        return "must be a whole number in the range of this parameter".to_owned();
    }
    if message.contains("`true` or `false`") {
        return "must be true or false".to_owned();
    }
    match without_value(message) {
        known if known != message => known,
        _ => "is not valid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        q: Option<String>,
        limit: Option<usize>,
        #[serde(default)]
        dry_run: bool,
        from: Option<Instant>,
        role: Option<Role>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Role {
        Admin,
        ReadOnly,
    }

    fn faults(query: &str) -> Vec<(String, String)> {
        let problem = serde_json::to_value(parse::<Filter>(query).unwrap_err()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        problem["errors"].as_array().unwrap().iter().map(|it| (text(&it["pointer"]), text(&it["detail"]))).collect()
    }

    #[test]
    fn parameters_are_decoded() {
        let filter: Filter = parse("q=a+b%20c&limit=3&dry_run=true&role=read_only").unwrap();
        assert_eq!((filter.q.as_deref(), filter.limit, filter.dry_run), (Some("a b c"), Some(3), true));
        assert_eq!(filter.role, Some(Role::ReadOnly));
    }

    #[test]
    fn each_fault_is_reported_at_its_parameter_without_the_value() {
        let found = faults("q=a%00b&limit=hunter2&dry_run=hunter2&from=hunter2&role=hunter2&other=hunter2");
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        for pointer in ["q", "limit", "dry_run", "from", "role", "other"] {
            assert!(pointers.contains(&pointer), "{pointer}: {found:?}");
        }
        assert!(found.iter().all(|(_, detail)| !detail.contains("hunter2") && !detail.contains("field")), "{found:?}");
        assert_eq!(faults("limit=1&limit=2"), [("limit".to_owned(), "must be given only once".to_owned())]);
    }

    #[test]
    fn instants_are_read_as_people_write_them() {
        let instant = |text: &str| Instant::parse(text).map(|it| it.0.to_string());
        let utc = Some("2026-11-27T08:00:00Z".to_owned());
        assert_eq!(instant("2026-11-27T08:00:00Z"), utc);
        assert_eq!(instant("2026-11-27T10:00:00+02:00"), utc);
        assert_eq!(instant("2026-11-27T10:00:00 02:00"), utc, "a plus sign that was not escaped");
        assert_eq!(instant("2026-11-27"), Some("2026-11-27T00:00:00Z".to_owned()));
        assert!(instant("9999-12-31T23:59:59Z").is_some_and(|last| last.ends_with(".999999Z")));
        assert_eq!(instant("2026-11-27T08:00:00.123456789Z"), Some("2026-11-27T08:00:00.123456Z".to_owned()));
        assert_eq!((instant("yesterday"), instant("2026-13-01"), instant("10 02:00")), (None, None, None));
    }
}

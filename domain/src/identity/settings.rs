//! The settings of an organization: branding, business hours, locale.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

use crate::{InvalidText, text::company_name};

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its branding.
    pub branding: Branding,
    /// Its business hours.
    pub business_hours: BusinessHours,
    /// The language of its mails: a BCP 47 tag.
    pub locale: Locale,
}

/// How an organization looks to its users and in mails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Branding {
    /// The name shown instead of the organization's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The colour of buttons and links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_colour: Option<Colour>,
    /// The secondary colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_colour: Option<Colour>,
    /// The `https` URL of its logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
}

impl Branding {
    /// Validates the branding and normalizes its texts.
    ///
    /// # Errors
    /// If a field is invalid: which one, and why.
    pub fn checked(self) -> Result<Self, InvalidSetting> {
        let display_name = self.display_name.map(|text| company_name(&text, 100)).transpose();
        let display_name =
            display_name.map_err(|error| InvalidSetting::new("branding/display_name", error.to_string()))?;
        if let Some(logo) = &self.logo {
            let host = logo.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
            let is_good = logo.len() <= 500
                && logo.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
                && host.is_some_and(|host| crate::identity::DomainName::new(host).is_ok());
            if !is_good {
                return Err(InvalidSetting::new("branding/logo", "must be an https URL of at most 500 characters"));
            }
        }
        Ok(Self { display_name, ..self })
    }
}

/// `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^#[0-9A-Fa-f]{6}$", example = "#1a2b3c"))]
pub struct Colour([u8; 3]);

impl FromStr for Colour {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let invalid = || InvalidText("must be a colour such as #1a2b3c".to_owned());
        let digits = text.strip_prefix('#').ok_or_else(invalid)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| invalid())?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The business hours of an organization, in its time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BusinessHours {
    /// The name of its time zone in the IANA database: `Europe/Lisbon`.
    pub time_zone: String,
    /// The hours of each business day.
    pub days: BTreeMap<Weekday, Hours>,
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

/// From a time of day until a later one on the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hours {
    /// The first minute.
    pub opens: TimeOfDay,
    /// The minute after the last one; `24:00` is the end of the day.
    pub closes: TimeOfDay,
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

impl BusinessHours {
    /// Validates the hours.
    ///
    /// # Errors
    /// If a field is invalid: which one, and why.
    pub fn checked(self) -> Result<Self, InvalidSetting> {
        // The bundled database, so that every node and every replay knows the same names.
        if TimeZoneDatabase::bundled().get(&self.time_zone).is_err() {
            let name: String = self.time_zone.chars().take(64).collect();
            let message = format!("{name:?} is not in the IANA time zone database");
            return Err(InvalidSetting::new("business_hours/time_zone", message));
        }
        if self.days.values().any(|hours| hours.opens >= hours.closes) {
            return Err(InvalidSetting::new("business_hours/days", "the closing time must be after the opening time"));
        }
        Ok(self)
    }
}

/// A language, optionally with script and region: `en`, `pt-BR`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, example = "pt-BR"))]
pub struct Locale(String);

impl FromStr for Locale {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        let is_language = (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_region = |part: &str| {
            (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_uppercase()))
                || (part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphabetic()))
        };
        if !is_language || text.len() > 20 || !parts.all(is_region) {
            return Err(InvalidText("must be a language tag such as en or pt-BR".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_text!(Colour, TimeOfDay, Locale);

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidSetting {
    /// The field, as a JSON pointer without its first slash.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl InvalidSetting {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// The defaults: Monday to Friday from nine to five, UTC, English.
impl Default for Settings {
    fn default() -> Self {
        let hours = Hours { opens: TimeOfDay { minutes: 9 * 60 }, closes: TimeOfDay { minutes: 17 * 60 } };
        let days = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
        Self {
            branding: Branding::default(),
            business_hours: BusinessHours { time_zone: "UTC".to_owned(), days: days.map(|day| (day, hours)).into() },
            locale: Locale("en".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branding(logo: &str) -> Branding {
        Branding { logo: Some(logo.to_owned()), ..Branding::default() }
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
    fn a_time_zone_is_named_as_in_the_iana_database() {
        let hours = |zone: &str| BusinessHours { time_zone: zone.to_owned(), ..Settings::default().business_hours };
        for good in ["UTC", "Europe/Lisbon", "America/Argentina/Buenos_Aires", "Asia/Kolkata"] {
            assert!(hours(good).checked().is_ok(), "{good}");
        }
        for bad in ["", "Lisbon", "+01:00", "Europe/Atlantis", "../../etc/passwd"] {
            assert_eq!(hours(bad).checked().unwrap_err().field, "business_hours/time_zone", "{bad}");
        }
    }

    #[test]
    fn a_day_closes_after_it_opens() {
        let mut hours = Settings::default().business_hours;
        let noon = TimeOfDay { minutes: 12 * 60 };
        hours.days.insert(Weekday::Monday, Hours { opens: noon, closes: noon });
        assert_eq!(hours.checked().unwrap_err().field, "business_hours/days");
    }

    #[test]
    fn a_logo_is_an_https_url() {
        assert!(branding("https://cdn.example.com/logo.svg?v=1").checked().is_ok());
        for bad in [
            "",
            "logo.svg",
            "http://example.com/a",
            "javascript:alert(1)",
            "https://",
            "https://localhost/a",
            "https://user@example.com/a",
            "https://example.com/\"><script>",
            "https://example.com/a b",
        ] {
            assert_eq!(branding(bad).checked().unwrap_err().field, "branding/logo", "{bad}");
        }
    }

    #[test]
    fn colours_and_locales_are_canonical() {
        assert_eq!("#1A2b3C".parse::<Colour>().unwrap().to_string(), "#1a2b3c");
        for bad in ["", "1a2b3c", "#1a2b3", "#1a2b3g", "#+12345", "red"] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
        for good in ["en", "pt-BR", "zh-Hant-TW"] {
            assert!(good.parse::<Locale>().is_ok(), "{good}");
        }
        for bad in ["", "e", "EN", "en_US", "en-us", "en-", "en-US-en-US-en-US-en-US"] {
            assert!(bad.parse::<Locale>().is_err(), "{bad}");
        }
    }
}

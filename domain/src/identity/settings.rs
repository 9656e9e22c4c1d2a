//! The settings of an organization: branding, business hours, locale.

mod business_hours;
mod locale;
mod time_zone;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    business_hours::{BusinessHours, BusinessHoursPatch, Hours, TimeOfDay, Weekday},
    locale::{KnownLocale, Locale},
    time_zone::ZoneName,
};
use crate::{InvalidText, merge_patch::nullable, text::company_name};

/// Stores a type as its text.
macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

use as_text;

as_text!(Colour);

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

/// A change of branding: a JSON merge patch (RFC 7396). Null removes a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BrandingPatch {
    /// The name shown instead of the organization's name.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub display_name: Option<Option<String>>,
    /// The colour of buttons and links.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Colour>))]
    pub primary_colour: Option<Option<Colour>>,
    /// The secondary colour.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Colour>))]
    pub secondary_colour: Option<Option<Colour>>,
    /// The `https` URL of its logo.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub logo: Option<Option<String>>,
}

impl BrandingPatch {
    /// The branding after this change.
    pub(super) fn apply(&self, to: &Branding) -> Branding {
        let Branding { display_name, primary_colour, secondary_colour, logo } = to.clone();
        Branding {
            display_name: self.display_name.clone().unwrap_or(display_name),
            primary_colour: self.primary_colour.unwrap_or(primary_colour),
            secondary_colour: self.secondary_colour.unwrap_or(secondary_colour),
            logo: self.logo.clone().unwrap_or(logo),
        }
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
    /// A field and what is wrong with it.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// The defaults: Monday to Friday from nine to five, UTC, English.
impl Default for Settings {
    fn default() -> Self {
        let (branding, business_hours) = (Branding::default(), BusinessHours::default());
        Self { branding, business_hours, locale: Locale::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branding(logo: &str) -> Branding {
        Branding { logo: Some(logo.to_owned()), ..Branding::default() }
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
    fn colours_are_canonical() {
        assert_eq!("#1A2b3C".parse::<Colour>().unwrap().to_string(), "#1a2b3c");
        for bad in ["", "1a2b3c", "#1a2b3", "#1a2b3g", "#+12345", "red"] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
    }
}

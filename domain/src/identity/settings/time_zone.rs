//! Time zones: names of the IANA database.

use std::{fmt, str::FromStr};

use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

use crate::InvalidText;

/// A time zone, as it is named in the IANA database: `Europe/Lisbon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, example = "Europe/Lisbon"))]
pub struct ZoneName(String);

impl FromStr for ZoneName {
    type Err = InvalidText;

    /// The bundled database, so that every node and every replay knows the same names.
    fn from_str(name: &str) -> Result<Self, InvalidText> {
        // Entries of the database that stand for no place.
        let is_placeholder = ["etc/unknown", "factory"].contains(&name.to_ascii_lowercase().as_str());
        let zone = TimeZoneDatabase::bundled().get(name).ok().filter(|_| !is_placeholder);
        zone.and_then(|zone| zone.iana_name().map(str::to_owned)).map(Self).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            InvalidText(format!("{name:?} is not in the IANA time zone database"))
        })
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From an event: what was known when it was recorded stays valid.
impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_bundled_database_but_the_placeholders_is_known() {
        let names = TimeZoneDatabase::bundled();
        let is_known = |name: &String| name.parse::<ZoneName>().is_ok_and(|it| it.to_string() == *name);
        let unknown: Vec<String> = names.available().map(|it| it.to_string()).filter(|name| !is_known(name)).collect();
        assert!(unknown.iter().all(|it| ["Etc/Unknown", "Factory"].contains(&it.as_str())), "{unknown:?}");
    }

    #[test]
    fn a_recorded_time_zone_is_read_as_it_is() {
        assert_eq!(serde_json::from_str::<ZoneName>("\"Mars/Olympus\"").unwrap().to_string(), "Mars/Olympus");
    }
}

//! Ports: those of the UN/LOCODE list, and others that are named by a request.

use std::sync::LazyLock;

use jiff::{
    Timestamp, civil,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

use crate::{InvalidText, identity::settings::ZoneName, text};

/// The list, by code: one line each, with code, name, country and time zone, which is missing for some.
const LIST: &str = include_str!("../../data/ports.tsv");

/// A port of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedPort {
    /// Its code.
    pub unlocode: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The name of its country.
    pub country: &'static str,
    /// Its time zone; `None` if the list has none.
    pub time_zone: Option<&'static str>,
}

static PORTS: LazyLock<Vec<ListedPort>> = LazyLock::new(|| LIST.lines().filter_map(ListedPort::read).collect());

impl ListedPort {
    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (unlocode, name, country) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { unlocode, name, country, time_zone: fields.next().filter(|zone| !zone.is_empty()) })
    }

    /// All ports of the list, by code.
    pub fn all() -> &'static [Self] {
        &PORTS
    }

    /// The port with this code.
    pub fn with(code: &Unlocode) -> Option<&'static Self> {
        let place = PORTS.binary_search_by_key(&code.as_str(), |port| port.unlocode).ok()?;
        PORTS.get(place)
    }
}

/// The code of a place in UN/LOCODE: two letters for the country, three letters or digits for the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocode(String);

/// The name of a port or of its country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceName(String);

/// A time at a port, as people write it: an instant with an offset, or the local time of the port without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortTime {
    /// An instant.
    Instant(Timestamp),
    /// The time on the clocks of the port.
    Local(civil::DateTime),
}

text::entered!(Unlocode, PlaceName, PortTime);

impl PortTime {
    /// # Errors
    /// If it is no time, or not between the years 2000 and 2100.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let (text, years) = (text.trim(), 2000..2100);
        // A civil time ignores an offset, so an instant is read first.
        let (time, year) = match text.parse::<Timestamp>() {
            Ok(instant) => (Self::Instant(instant), instant.to_zoned(TimeZone::UTC).year()),
            Err(_) => {
                // A date alone is the first second of its day, which nobody means.
                let local = text.parse::<civil::DateTime>().ok().filter(|_| text.len() > "2026-12-03".len());
                let expected = "must be a time such as 2026-12-03T08:30:00Z, or 2026-12-03T08:30 at the port";
                let local = local.ok_or_else(|| InvalidText(expected.to_owned()))?;
                (Self::Local(local), local.year())
            }
        };
        if years.contains(&year) { Ok(time) } else { Err(InvalidText("must be between 2000 and 2100".to_owned())) }
    }

    /// The instant, in microseconds. A local time that the clocks skip counts as if they had not been put forward; of one
    /// that occurs twice, the first is meant.
    pub fn at(self, zone: &TimeZone) -> Timestamp {
        let instant = match self {
            Self::Instant(instant) => instant,
            // Between 2000 and 2100, every local time has an instant.
            Self::Local(local) => local.to_zoned(zone.clone()).map_or(Timestamp::UNIX_EPOCH, |it| it.timestamp()),
        };
        Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
    }
}

impl Unlocode {
    /// A code, in any case, also with a space after the country.
    ///
    /// # Errors
    /// If it does not have the form of one.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let code: String = text.trim().to_ascii_uppercase().replacen(' ', "", 1);
        let is_place = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'9').contains(&byte);
        match code.as_bytes() {
            [first, second, place @ ..]
                if first.is_ascii_uppercase()
                    && second.is_ascii_uppercase()
                    && place.len() == 3
                    && place.iter().copied().all(is_place) =>
            {
                Ok(Self(code))
            }
            _ => Err(InvalidText(
                "must be a UN/LOCODE such as BRSSZ: two letters, and three letters or digits".to_owned(),
            )),
        }
    }

    /// The code, in upper case and without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PlaceName {
    /// # Errors
    /// If it is empty, longer than 100 characters, has control or invisible characters, or looks like a link.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::name(text, 100).map(Self)
    }
}

/// A port, as it was when it was chosen: a later list does not change what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its UN/LOCODE.
    pub unlocode: String,
    /// Its name.
    pub name: String,
    /// The name of its country.
    pub country: String,
    /// Its time zone.
    pub time_zone: ZoneName,
}

impl Port {
    /// Its time zone; UTC if this program does not know it any more.
    pub fn zone(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(&self.time_zone.to_string()).unwrap_or(TimeZone::UTC)
    }
}

/// A port in a request: its code, and what the list does not say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenPort {
    /// Its code.
    pub unlocode: Unlocode,
    /// Its name: required if the list does not have the port.
    pub name: Option<PlaceName>,
    /// Its country: required if the list does not have the port.
    pub country: Option<PlaceName>,
    /// Its time zone: required if the list does not have it.
    pub time_zone: Option<ZoneName>,
}

/// What is wrong with a port in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFault {
    /// The member.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl GivenPort {
    /// The port that is meant.
    ///
    /// # Errors
    /// What is missing, or differs from the list.
    pub fn resolve(&self) -> Result<Port, Vec<PortFault>> {
        let Self { unlocode, name, country, time_zone } = self;
        let listed = ListedPort::with(unlocode);
        let mut faults = Vec::new();
        let mut settle = |field, listed: Option<&str>, given: Option<String>| match (listed, given) {
            (Some(listed), Some(given)) if listed != given => {
                let reason = format!("differs from the list of ports, which says {listed}: leave it out");
                faults.push(PortFault { field, reason });
                String::new()
            }
            (Some(listed), _) => listed.to_owned(),
            (None, Some(given)) => given,
            (None, None) => {
                let reason =
                    format!("is required, because the list of ports does not have it for {}", unlocode.as_str());
                faults.push(PortFault { field, reason });
                String::new()
            }
        };
        let name = settle("name", listed.map(|it| it.name), name.as_ref().map(|it| it.0.clone()));
        let country = settle("country", listed.map(|it| it.country), country.as_ref().map(|it| it.0.clone()));
        let zone = settle("time_zone", listed.and_then(|it| it.time_zone), time_zone.as_ref().map(ToString::to_string));
        let time_zone = zone.parse::<ZoneName>();
        match time_zone {
            Ok(time_zone) if faults.is_empty() => {
                Ok(Port { unlocode: unlocode.as_str().to_owned(), name, country, time_zone })
            }
            Err(error) if faults.is_empty() => Err(vec![PortFault { field: "time_zone", reason: error.to_string() }]),
            Ok(_) | Err(_) => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(code: &str, name: Option<&str>, country: Option<&str>, time_zone: Option<&str>) -> GivenPort {
        let place = |text: Option<&str>| text.map(|text| PlaceName::new(text).unwrap());
        let time_zone = time_zone.map(|zone| zone.parse().unwrap());
        GivenPort { unlocode: Unlocode::new(code).unwrap(), name: place(name), country: place(country), time_zone }
    }

    fn fields(port: &GivenPort) -> Vec<&'static str> {
        port.resolve().unwrap_err().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn every_port_of_the_list_is_found_and_its_time_zone_is_known() {
        assert_eq!(ListedPort::all().len(), LIST.lines().count());
        for port in ListedPort::all() {
            let code = Unlocode::new(port.unlocode).unwrap();
            assert_eq!(ListedPort::with(&code), Some(port));
            assert!(port.time_zone.is_none_or(|zone| zone.parse::<ZoneName>().is_ok()), "{port:?}");
        }
    }

    #[test]
    fn a_code_is_read_as_people_write_it() {
        for text in ["BRSSZ", "brssz", " BR SSZ "] {
            assert_eq!(Unlocode::new(text).unwrap().as_str(), "BRSSZ");
        }
        for bad in ["", "BRSS", "BRSSZZ", "B1SSZ", "BRSS0", "BR  SSZ", "Santos", "ÉÉSSZ"] {
            assert!(Unlocode::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_an_instant_or_local_to_the_port() {
        let zone = given("BRSSZ", None, None, None).resolve().unwrap().zone();
        for (text, expected) in [
            ("2026-12-03T08:30:00Z", "2026-12-03T08:30:00Z"),
            ("2026-12-03T08:30:00.123456789Z", "2026-12-03T08:30:00.123456Z"),
            ("2026-12-03T08:30-03:00", "2026-12-03T11:30:00Z"),
            ("2026-12-03T08:30", "2026-12-03T11:30:00Z"),
            (" 2026-12-03 08:30 ", "2026-12-03T11:30:00Z"),
        ] {
            assert_eq!(PortTime::new(text).unwrap().at(&zone).to_string(), expected, "{text}");
        }
        for bad in ["", "tomorrow", "2026-12-03", "08:30", "2026-13-03T08:30", "1999-12-31T08:30", "2100-01-01T00:00Z"]
        {
            assert!(PortTime::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_list_names_a_port_and_a_request_names_others() {
        let santos = given("BRSSZ", None, None, None).resolve().unwrap();
        let expected = ("Santos", "Brazil", "America/Sao_Paulo".to_owned());
        assert_eq!((santos.name.as_str(), santos.country.as_str(), santos.time_zone.to_string()), expected);
        assert_eq!(given("BRSSZ", Some("Santos"), Some("Brazil"), Some("America/Sao_Paulo")).resolve(), Ok(santos));
        assert_eq!(fields(&given("BRSSZ", Some("Rio"), None, Some("UTC"))), ["name", "time_zone"]);
        assert_eq!(fields(&given("XXQQQ", None, None, None)), ["name", "country", "time_zone"]);
        assert_eq!(fields(&given("XXQQQ", Some("Quay"), None, Some("UTC"))), ["country"]);
        let port = given("XXQQQ", Some("Quay"), Some("Nowhere"), Some("Europe/Lisbon")).resolve().unwrap();
        assert_eq!((port.unlocode.as_str(), port.name.as_str()), ("XXQQQ", "Quay"));
        // The list has it without a time zone.
        assert_eq!(fields(&given("BRVLC", None, None, None)), ["time_zone"]);
        assert!(given("BRVLC", None, None, Some("America/Belem")).resolve().is_ok());
    }
}

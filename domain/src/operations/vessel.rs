//! Vessels: their names and IMO numbers, and the numbers of their voyages.

use serde::{Deserialize, Serialize};

use crate::{InvalidText, text};

/// A vessel, as it was named when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vessel {
    /// Its name.
    pub name: String,
    /// Its IMO number.
    pub imo: String,
}

/// The name of a vessel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VesselName(String);

/// The IMO number of a vessel: seven digits, the last of which is a check digit (IMO Resolution A.1117(30)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImoNumber(String);

/// The number of a voyage, as the carrier writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoyageNumber(String);

text::entered!(VesselName, ImoNumber, VoyageNumber);

impl VesselName {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 100;

    /// # Errors
    /// If it is empty, too long, has control or invisible characters, or contains a link other than a domain: it appears in
    /// mails to vendors.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::company_name(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ImoNumber {
    /// A number, which may follow the letters `IMO`.
    ///
    /// # Errors
    /// If it does not have seven digits, or the last one is not the check digit of the others.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        let digits = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("imo") => text[3..].trim_start(),
            _ => text,
        };
        if digits.len() != 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidText("must be an IMO number: seven digits, such as 9074729".to_owned()));
        }
        let weighted = digits.bytes().zip((2..=7).rev()).map(|(digit, weight)| u32::from(digit - b'0') * weight);
        let check = u32::from(digits.as_bytes()[6] - b'0');
        match weighted.sum::<u32>() % 10 == check {
            true => Ok(Self(digits.to_owned())),
            false => Err(InvalidText("is no IMO number: its last digit does not match the others".to_owned())),
        }
    }

    /// The seven digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VoyageNumber {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 40;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::line(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_of_an_imo_number_is_checked() {
        for good in ["9074729", "9176187", " 9811000", "IMO 9074729", "imo9074729", "1000021"] {
            assert!(ImoNumber::new(good).is_ok(), "{good}");
        }
        assert_eq!(ImoNumber::new("IMO 9074729").unwrap().as_str(), "9074729");
        for bad in ["", "IMO", "9074728", "907472", "90747290", "9O74729", "٩٠٧٤٧٢٩", "9074729 9"] {
            assert!(ImoNumber::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_vessels_are_visible_lines_without_links() {
        for good in ["MSC Anna", "M/V Águia", "Ever Given", "НОРД"] {
            assert!(VesselName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Ana\nSouza", "www.evil.example", "evil.com/prize", "\u{200b}"] {
            assert!(VesselName::new(bad).is_err(), "{bad:?}");
        }
    }
}

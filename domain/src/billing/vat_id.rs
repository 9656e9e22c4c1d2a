//! VAT ids of the European Union, Great Britain, Northern Ireland, Switzerland and Norway: form, check digits, canonical
//! form. Whether one is registered is another question.

use std::fmt;

use stdnum::{Validator, country};

use super::vat_rate::tax_country;

/// A VAT id with a valid form and valid check digits: in capitals, without separators, with its prefix; that of Greece is
/// EL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VatId(String);

/// Why a text is no VAT id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVatId {
    /// Its prefix is that of no country whose ids are known.
    #[error("must be a VAT id with its prefix, such as DE136695976: of the European Union, GB, XI, CHE or NO")]
    Prefix,
    /// It is given to sellers of one-stop shops, who buy under another one.
    #[error("a VAT id that begins with EU or IM belongs to a one-stop shop: enter the one of the business itself")]
    OneStopShop,
    /// Its form or its check digits are wrong.
    #[error("is no valid VAT id of {0}: check each character")]
    Number(&'static str),
}

impl VatId {
    /// The longest input, in bytes.
    const LONGEST: usize = 60;

    /// The canonical form of a VAT id.
    ///
    /// # Errors
    /// If its prefix is unknown, or its form or check digits are wrong.
    pub fn new(text: &str) -> Result<Self, InvalidVatId> {
        let text = text.trim().replace('\u{a0}', " ").to_ascii_uppercase();
        if text.len() > Self::LONGEST {
            return Err(InvalidVatId::Prefix);
        }
        // Enough of the prefix to tell countries apart, without separators.
        let mut letters = text.chars().filter(char::is_ascii_alphanumeric);
        let prefix: String = letters.by_ref().take(2).collect();
        match prefix.as_str() {
            "EU" | "IM" => Err(InvalidVatId::OneStopShop),
            "GB" => national(&country::gb::VAT, "GB", &text, "Great Britain").map(|number| Self(format!("GB{number}"))),
            "CH" => national(&country::ch::VAT, "", &text, "Switzerland").map(Self),
            "NO" => national(&country::no::MVA, "NO", &text, "Norway").map(|number| Self(format!("NO{number}"))),
            _ => match eu_vat::Vat::parse(&text) {
                Ok(id) if text.is_ascii() => Ok(Self(id.to_string())),
                Err(eu_vat::Error::UnknownCountry(_) | eu_vat::Error::Empty) => Err(InvalidVatId::Prefix),
                Ok(_) | Err(_) => {
                    let country = eu_vat::Country::from_code(&prefix);
                    Err(country.map_or(InvalidVatId::Prefix, |country| InvalidVatId::Number(country.name())))
                }
            },
        }
    }

    /// The canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country, as ISO 3166 names it: Greece is GR, Northern Ireland GB.
    pub fn country(&self) -> &str {
        country_of(&self.0)
    }

    /// Whether it is one of this country; ids of France are those of Monaco as well.
    pub fn is_of(&self, country: &str) -> bool {
        self.country() == tax_country(country)
    }
}

/// The country of a canonical VAT id, as ISO 3166 names it.
pub fn country_of(id: &str) -> &str {
    match id.get(..2).unwrap_or_default() {
        "EL" => "GR",
        "XI" => "GB",
        prefix => prefix,
    }
}

impl fmt::Display for VatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for VatId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The number without its prefix, in canonical form.
fn national(rules: &dyn Validator, prefix: &str, text: &str, name: &'static str) -> Result<String, InvalidVatId> {
    let invalid = InvalidVatId::Number(name);
    if !text.is_ascii() {
        return Err(invalid);
    }
    let valid = rules.validate(text).map_err(|_| invalid)?;
    Ok(valid.compact.strip_prefix(prefix).unwrap_or(&valid.compact).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stored_in_its_canonical_form() {
        for (text, canonical, country) in [
            ("de 136 695 976", "DE136695976", "DE"),
            ("GR094259216", "EL094259216", "GR"),
            ("XI980780684", "XI980780684", "GB"),
            ("gb 980 7806 84", "GB980780684", "GB"),
            ("CHE-107.787.577 IVA", "CHE107787577IVA", "CH"),
            ("NO 995 525 828 MVA", "NO995525828MVA", "NO"),
            ("BE428759497\u{a0}", "BE0428759497", "BE"),
        ] {
            let id = VatId::new(text).unwrap();
            assert_eq!((id.as_str(), id.country()), (canonical, country), "{text}");
            assert_eq!(VatId::new(canonical), Ok(id), "{text}");
        }
        assert!(VatId::new("FR83404833048").is_ok_and(|id| id.is_of("MC") && id.is_of("FR") && !id.is_of("DE")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "123456789", "US123456789", "DE", "é", "日本", &"1".repeat(100)] {
            assert!(VatId::new(text).is_err(), "{text}");
        }
        assert_eq!(VatId::new("EU826010755"), Err(InvalidVatId::OneStopShop));
        assert_eq!(VatId::new("IM3720000419"), Err(InvalidVatId::OneStopShop));
        assert_eq!(VatId::new("DE136695978"), Err(InvalidVatId::Number("Germany")));
        assert_eq!(VatId::new("GB980780685"), Err(InvalidVatId::Number("Great Britain")));
        assert!(VatId::new("NO 995 525 82٨ MVA").is_err());
    }
}

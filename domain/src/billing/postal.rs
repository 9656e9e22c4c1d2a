//! Postal addresses as they are entered, and what is checked of them.

use serde::Deserialize;

use super::{
    billing_document::{Address, NAME_MAX, Name, parsed_name},
    country::Country,
    vat_rate::is_member_state,
};
use crate::{InvalidText, identity::settings::InvalidSetting, merge_patch, text};

/// The most lines of a street.
const LINES_MAX: usize = 3;
/// The longest postcode.
const POSTCODE_MAX: usize = 20;

/// A change of an address: members that are absent keep their value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddressPatch {
    /// Street and number, building, post-office box: one to three lines.
    #[serde(default, deserialize_with = "merge_patch::not_null")]
    pub street: Option<Vec<String>>,
    /// The postcode; null if the country has none.
    #[serde(default, deserialize_with = "merge_patch::nullable")]
    pub postcode: Option<Option<String>>,
    /// The city.
    #[serde(default, deserialize_with = "merge_patch::not_null")]
    pub city: Option<String>,
    /// The state or province, if the country writes one.
    #[serde(default, deserialize_with = "merge_patch::nullable")]
    pub region: Option<Option<String>>,
    /// The country: ISO 3166-1, two letters.
    #[serde(default, deserialize_with = "merge_patch::not_null")]
    pub country: Option<String>,
}

fn invalid(field: &'static str) -> impl Fn(InvalidText) -> InvalidSetting {
    move |error| InvalidSetting::new(field, error.to_string())
}

impl AddressPatch {
    /// The changed address; `name` makes a line of its street a name.
    ///
    /// # Errors
    /// If something is missing or invalid.
    pub fn apply(&self, to: Option<&Address>, name: &dyn Fn(String) -> Name) -> Result<Address, InvalidSetting> {
        let wrong = |field, message: &str| InvalidSetting::new(field, message);
        let street = match &self.street {
            Some(lines) => {
                let lines = lines.iter().map(|line| parsed_name(line));
                lines.collect::<Result<Vec<_>, _>>().map_err(invalid("address/street"))?.into_iter().map(name).collect()
            }
            None => to.map(|address| address.street.clone()).unwrap_or_default(),
        };
        if !(1..=LINES_MAX).contains(&street.len()) {
            return Err(wrong("address/street", "must have one to three lines"));
        }
        let city = match &self.city {
            Some(city) => text::line(city, NAME_MAX).map_err(invalid("address/city"))?,
            None => to.map(|address| address.city.clone()).ok_or_else(|| wrong("address/city", "is missing"))?,
        };
        let country = match &self.country {
            Some(code) => Country::with(code)
                .map(|country| country.code.to_owned())
                .ok_or_else(|| wrong("address/country", "must be a code of ISO 3166-1 in capitals, such as PT"))?,
            None => to.map(|address| address.country.clone()).ok_or_else(|| wrong("address/country", "is missing"))?,
        };
        let optional = |value: &Option<Option<String>>, current: Option<String>, member, longest| match value {
            Some(value) => value
                .as_deref()
                .filter(|value| !value.trim().is_empty())
                .map_or(Ok(None), |value| text::line(value, longest).map(Some).map_err(invalid(member))),
            None => Ok(current),
        };
        let postcode = to.map(|address| address.postcode.clone());
        let postcode = optional(&self.postcode, postcode, "address/postcode", POSTCODE_MAX)?.unwrap_or_default();
        // It decides about territories with another tax.
        if postcode.is_empty() && is_member_state(&country) && country != "IE" {
            return Err(wrong("address/postcode", "is missing: this country needs one"));
        }
        let region = to.and_then(|address| address.region.clone());
        let region = optional(&self.region, region, "address/region", NAME_MAX)?;
        Ok(Address { street, postcode, city, region, country })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(json: serde_json::Value) -> AddressPatch {
        serde_json::from_value(json).unwrap()
    }

    fn apply(json: serde_json::Value, to: Option<&Address>) -> Result<Address, String> {
        patch(json).apply(to, &Name::Open).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_changed_member_by_member() {
        let given = serde_json::json!({
            "street": ["Rua do Comércio 1"], "postcode": "1100-148", "city": " Lisboa ", "country": "PT",
        });
        let address = apply(given, None).unwrap();
        assert_eq!((address.city.as_str(), address.region.clone()), ("Lisboa", None));
        let moved = apply(serde_json::json!({"city": "Porto", "region": "Norte"}), Some(&address)).unwrap();
        assert_eq!(moved, Address { city: "Porto".to_owned(), region: Some("Norte".to_owned()), ..address.clone() });
        assert_eq!(apply(serde_json::json!({"region": null}), Some(&moved)).unwrap().region, None);
    }

    #[test]
    fn incomplete_and_invalid_addresses_are_refused() {
        let whole = serde_json::json!({"street": ["x"], "postcode": "1", "city": "x", "country": "DE"});
        for (member, value) in [
            ("street", serde_json::json!([])),
            ("street", serde_json::json!(["a", "b", "c", "d"])),
            ("street", serde_json::json!([""])),
            ("city", serde_json::json!("\n")),
            ("country", serde_json::json!("XX")),
            ("country", serde_json::json!("de")),
            ("postcode", serde_json::json!(null)),
            ("postcode", serde_json::json!("123456789012345678901")),
        ] {
            let mut bad = whole.clone();
            bad[member] = value;
            let error = apply(bad, None).unwrap_err();
            assert!(error.starts_with(&format!("address/{member}:")), "{error}");
        }
        assert!(apply(serde_json::json!({"street": ["x"], "city": "x", "country": "HK"}), None).is_ok());
        assert!(apply(serde_json::json!({"city": "x"}), None).is_err());
    }
}

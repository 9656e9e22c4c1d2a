//! The countries of ISO 3166-1.

use std::sync::LazyLock;

/// The list, by code: one line each, with code and name.
const LIST: &str = include_str!("../../data/countries.tsv");

/// A country of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    /// Its code: two letters.
    pub code: &'static str,
    /// Its name in English.
    pub name: &'static str,
}

static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
    LIST.lines().filter_map(|line| line.split_once('\t').map(|(code, name)| Country { code, name })).collect()
});

impl Country {
    /// All countries, by code.
    pub fn all() -> &'static [Self] {
        &COUNTRIES
    }

    /// The country with this code, in capitals.
    pub fn with(code: &str) -> Option<&'static Self> {
        let place = COUNTRIES.binary_search_by_key(&code, |country| country.code).ok()?;
        COUNTRIES.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_countries_are_found_by_their_codes() {
        assert_eq!(Country::all().len(), 249);
        for country in Country::all() {
            assert_eq!(Country::with(country.code), Some(country));
            assert!(country.code.len() == 2 && !country.name.is_empty());
        }
        assert_eq!(Country::with("PT").map(|country| country.name), Some("Portugal"));
        assert_eq!([Country::with("pt"), Country::with("XX"), Country::with("")], [None; 3]);
    }
}

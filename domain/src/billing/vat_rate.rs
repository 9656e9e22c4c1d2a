//! Standard rates of value-added tax, with their first days, and territories that have another one or none.

use jiff::civil::Date;
use rust_decimal::Decimal;

/// The member states of the European Union, as ISO 3166 names them.
const MEMBER_STATES: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The country whose rules apply: Monaco counts as France.
pub fn tax_country(country: &str) -> &str {
    if country == "MC" { "FR" } else { country }
}

/// Whether a country is a member state of the European Union.
pub fn is_member_state(country: &str) -> bool {
    MEMBER_STATES.contains(&country)
}

/// Whether a place of a member state is outside its VAT area.
pub fn is_outside_vat_area(country: &str, postcode: &str) -> bool {
    is_in(&OUTSIDE, country, postcode).is_some()
}

/// Whether a place has another rate than the rest of its country.
pub fn is_regional(country: &str, postcode: &str) -> bool {
    is_in(&REGIONAL, country, postcode).is_some()
}

/// The standard rate of a place on a date, in percent; `None` if it is not known.
pub fn standard_rate(country: &str, postcode: &str, on: Date) -> Option<Decimal> {
    if let Some((.., rate)) = is_in(&REGIONAL, country, postcode) {
        return rate.parse().ok();
    }
    let is_in_force = |from: &str| from.parse::<Date>().map_or(from.is_empty(), |from| from <= on);
    let mut rates = RATES.iter().filter(|(of, from, _)| *of == country && is_in_force(from));
    rates.next_back().and_then(|(.., rate)| rate.parse().ok())
}

/// Territories of countries: patterns of postcodes, in which # is a digit, and the rate.
type Territory = (&'static str, &'static [&'static str], &'static str);

fn is_in(territories: &'static [Territory], country: &str, postcode: &str) -> Option<&'static Territory> {
    let code: String = postcode.chars().filter(|it| !it.is_whitespace() && *it != '-').collect();
    let matches = |pattern: &&str| {
        let fits = |(digit, expected): (char, char)| digit == expected || (expected == '#' && digit.is_ascii_digit());
        code.chars().count() == pattern.len() && code.chars().zip(pattern.chars()).all(fits)
    };
    territories.iter().find(|(of, patterns, _)| *of == country && patterns.iter().any(&matches))
}

/// The Canary Islands, Ceuta, Melilla; Åland; Büsingen, Heligoland; Livigno, Campione d'Italia; Mount Athos; the French overseas
/// departments (Directive 2006/112/EC, article 6).
const OUTSIDE: [Territory; 6] = [
    ("ES", &["35###", "38###", "51###", "52###"], ""),
    ("FI", &["22###"], ""),
    ("DE", &["78266", "27498"], ""),
    ("IT", &["23041", "22061"], ""),
    ("GR", &["63086", "63087"], ""),
    ("FR", &["971##", "972##", "973##", "974##", "975##", "976##"], ""),
];

/// Madeira, the Azores; Jungholz and Mittelberg.
const REGIONAL: [Territory; 3] = [
    ("PT", &["90##", "91##", "92##", "93##", "94##", "90#####", "91#####", "92#####", "93#####", "94#####"], "22"),
    ("PT", &["95##", "96##", "97##", "98##", "99##", "95#####", "96#####", "97#####", "98#####", "99#####"], "16"),
    ("AT", &["6691", "6991", "6992", "6993"], "19"),
];

/// Country, first day (empty: always), rate. Sources: ibericode/vat-rates 5abb1e1 for the European Union and GB, checked against
/// vatnode.dev of March 2026; CH since 1 January 2024, NO.
#[rustfmt::skip]
const RATES: [(&str, &str, &str); 49] = [
    ("AT", "", "20"),
    ("BE", "", "21"),
    ("BG", "", "20"),
    ("CH", "2018-01-01", "7.7"),
    ("CH", "2024-01-01", "8.1"),
    ("CY", "", "19"),
    ("CZ", "", "21"),
    ("DE", "", "19"),
    ("DE", "2020-07-01", "16"),
    ("DE", "2021-01-01", "19"),
    ("DK", "", "25"),
    ("EE", "", "20"),
    ("EE", "2024-01-01", "22"),
    ("EE", "2025-07-01", "24"),
    ("ES", "", "21"),
    ("FI", "", "24"),
    ("FI", "2024-09-01", "25.5"),
    ("FR", "", "19.6"),
    ("FR", "2014-01-01", "20"),
    ("GB", "2011-01-04", "20"),
    ("GR", "", "23"),
    ("GR", "2016-06-01", "24"),
    ("HR", "", "25"),
    ("HU", "", "27"),
    ("IE", "", "23"),
    ("IE", "2020-09-01", "21"),
    ("IE", "2021-03-01", "23"),
    ("IT", "", "22"),
    ("LT", "", "21"),
    ("LU", "", "15"),
    ("LU", "2015-01-01", "17"),
    ("LU", "2023-01-01", "16"),
    ("LU", "2024-01-01", "17"),
    ("LV", "", "21"),
    ("MT", "", "18"),
    ("NL", "", "19"),
    ("NL", "2012-10-01", "21"),
    ("NO", "2005-01-01", "25"),
    ("PL", "", "23"),
    ("PT", "", "23"),
    ("RO", "", "24"),
    ("RO", "2016-01-01", "20"),
    ("RO", "2017-01-01", "19"),
    ("RO", "2025-08-01", "21"),
    ("SE", "", "25"),
    ("SI", "", "22"),
    ("SK", "", "19"),
    ("SK", "2011-01-01", "20"),
    ("SK", "2025-01-01", "23"),
];

//! The countries of ISO 3166-1, for forms.

/// The list of the domain, by code: one line each, with code and name.
const LIST: &str = include_str!("../../../../domain/data/countries.tsv");

/// Code and name of all countries, by name, after a first choice of none.
pub(super) fn countries() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = LIST.lines().filter_map(|line| line.split_once('\t')).collect();
    all.sort_by_key(|(_, name)| *name);
    all.insert(0, ("", "Choose a country"));
    all
}

/// The name of a country.
pub(super) fn country_name(code: &str) -> &str {
    LIST.lines().filter_map(|line| line.split_once('\t')).find(|(known, _)| *known == code).map_or(code, |it| it.1)
}

//! Calendar months in parameters and responses: `2026-11`, by their first day.

use jiff::civil::Date;

use crate::http::problem::Problem;

/// A month in a parameter, by its first day.
///
/// # Errors
/// If it is not a month.
pub(super) fn month_of(parameter: &str, text: &str) -> Result<Date, Problem> {
    let is_month = text.len() == "2026-11".len() && !text.starts_with('-');
    let first = format!("{text}-01").parse::<Date>().ok().filter(|_| is_month);
    first.ok_or_else(|| Problem::invalid(parameter, "must be a month such as 2026-11"))
}

/// The text of the month of a date.
pub(super) fn name_of(month: Date) -> String {
    month.strftime("%Y-%m").to_string()
}

//! Usage of a month: averages, overage, forecasts, warnings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{
    Currency,
    amount::{TooLarge, ratio, rounded},
};

/// The seconds of a full local day, as forecasts count them.
const DAY: i128 = 86_400;
/// How many full days a forecast looks back.
const LOOK_BACK: usize = 14;
/// How many full days a forecast needs.
const FEWEST: usize = 3;
/// The shares of a limit at which is warned, in percent.
pub const SHARES: [u64; 2] = [80, 100];

/// The stock of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// The integral over time.
    pub byte_seconds: i128,
    /// The length of the month.
    pub seconds: i64,
    /// The time-weighted average.
    pub average: i64,
    /// The largest value.
    pub peak: i64,
    /// The value at the end.
    pub end: i64,
}

/// The time-weighted average of a stock, from its value at the start and its changes in order of time.
///
/// # Errors
/// If it is too large, or the range is empty.
pub fn stock(
    (from, until): (Timestamp, Timestamp),
    start: i64,
    changes: &[(Timestamp, i64)],
) -> Result<Stock, TooLarge> {
    let mut ordered: Vec<(Timestamp, i64)> = changes.iter().copied().filter(|(at, _)| *at < until).collect();
    ordered.sort_by_key(|(at, _)| *at);
    let seconds = |from: Timestamp, until: Timestamp| until.as_second() - from.as_second();
    let (mut value, mut peak, mut since, mut byte_seconds) = (start, start, from, 0_i128);
    for (at, change) in ordered {
        let at = at.max(from);
        byte_seconds += i128::from(value) * i128::from(seconds(since, at));
        value = value.checked_add(change).ok_or(TooLarge)?;
        (peak, since) = (peak.max(value), at);
    }
    byte_seconds += i128::from(value) * i128::from(seconds(since, until));
    let seconds = seconds(from, until);
    Ok(Stock { byte_seconds, seconds, average: ratio(byte_seconds, i128::from(seconds))?, peak, end: value })
}

/// What is used beyond what a plan includes: units that have begun, and their price.
///
/// # Errors
/// If it is too large, or the unit is zero.
pub fn overage(
    quantity: u64,
    included: u64,
    unit: u64,
    price: Decimal,
    currency: Currency,
) -> Result<(u64, i64), TooLarge> {
    if unit == 0 {
        return Err(TooLarge);
    }
    let units = quantity.saturating_sub(included).div_ceil(unit);
    let minor = Decimal::from(units)
        .checked_mul(price)
        .and_then(|it| it.checked_mul(Decimal::from(10_i64.pow(currency.exponent()))));
    Ok((units, rounded(minor.ok_or(TooLarge)?)?))
}

/// The usage at the end of a month, if it goes on as in the last 14 full days; `None` below 3 of them.
///
/// # Errors
/// If it is too large.
pub fn forecast(used: i64, full_days: &[i64], seconds_left: i64) -> Result<Option<i64>, TooLarge> {
    let days = &full_days[full_days.len().saturating_sub(LOOK_BACK)..];
    if days.len() < FEWEST {
        return Ok(None);
    }
    let sum: i128 = days.iter().map(|day| i128::from(*day)).sum();
    let more = ratio(sum * i128::from(seconds_left), days.len() as i128 * DAY)?;
    used.checked_add(more).map(Some).ok_or(TooLarge)
}

/// The stock at the end of a month, if it goes on as in the last 14 daily values; `None` below 3 of them.
///
/// # Errors
/// If it is too large.
pub fn stock_forecast(current: i64, daily: &[i64], days_left: i64) -> Result<Option<i64>, TooLarge> {
    let days = &daily[daily.len().saturating_sub(LOOK_BACK)..];
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(None) };
    if days.len() < FEWEST {
        return Ok(None);
    }
    let change = (i128::from(*last) - i128::from(*first)) * i128::from(days_left);
    let more = ratio(change, days.len() as i128 - 1)?;
    current.checked_add(more).map(|it| Some(it.max(0))).ok_or(TooLarge)
}

/// The time-weighted average of a month at its end, if the stock goes from its current value to the expected one evenly.
pub fn average_forecast(
    average: u64,
    (current, at_the_end): (u64, u64),
    seconds_so_far: i64,
    seconds_left: i64,
) -> u64 {
    let (so_far, left) = (i128::from(seconds_so_far.max(0)), i128::from(seconds_left.max(0)));
    let rest = (i128::from(current) + i128::from(at_the_end)) * left / 2;
    let total = i128::from(average) * so_far + rest;
    u64::try_from(total / (so_far + left).max(1)).unwrap_or(u64::MAX)
}

/// The shares of a limit that are reached and were not warned of yet. A limit of zero has no shares.
pub fn warnings(used: u64, limit: Option<u64>, warned: &[u64]) -> Vec<u64> {
    let Some(limit) = limit.filter(|limit| *limit > 0) else { return Vec::new() };
    let is_reached = |share: &u64| u128::from(used) * 100 >= u128::from(limit) * u128::from(*share);
    SHARES.into_iter().filter(is_reached).filter(|share| !warned.contains(share)).collect()
}

/// Counts of API calls of a day, as runs of nodes report them: each states its count so far, and the greatest counts, so
/// that a report that is repeated or late changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Takes note of a report, and returns the total.
    pub fn report(&mut self, run: &str, count: u64) -> u64 {
        let known = self.0.entry(run.to_owned()).or_default();
        *known = count.max(*known);
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_goes_on_from_the_current_value_to_the_expected_one() {
        assert_eq!(average_forecast(100, (100, 100), 50, 50), 100);
        assert_eq!(average_forecast(100, (200, 400), 50, 50), 200);
        assert_eq!(average_forecast(100, (200, 400), 100, 0), 100);
        assert_eq!(average_forecast(u64::MAX, (u64::MAX, u64::MAX), 0, 0), 0);
    }
}

//! Rounding and division of amounts.

use rust_decimal::{Decimal, RoundingStrategy};

/// An amount is larger than the arithmetic can represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large")]
pub struct TooLarge;

/// A quotient rounded half away from zero.
///
/// # Errors
/// If it is too large, or the denominator is zero.
pub fn ratio(numerator: i128, denominator: i128) -> Result<i64, TooLarge> {
    if denominator == 0 {
        return Err(TooLarge);
    }
    let (magnitude, by) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    let rounded = magnitude / by + u128::from(magnitude % by >= by - magnitude % by);
    let rounded = i64::try_from(rounded).map_err(|_| TooLarge)?;
    Ok(if (numerator < 0) == (denominator < 0) { rounded } else { -rounded })
}

/// A decimal number of minor units rounded half away from zero.
///
/// # Errors
/// If it is too large.
pub fn rounded(amount: Decimal) -> Result<i64, TooLarge> {
    let whole = amount.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(whole.mantissa() / 10_i128.pow(whole.scale())).map_err(|_| TooLarge)
}

/// The part of an amount over `days` that falls on the days from `from` until `until`. Parts of adjacent days add up.
///
/// # Errors
/// If it is too large.
pub fn part(amount: i64, (from, until): (i64, i64), days: i64) -> Result<i64, TooLarge> {
    let until_then = |day: i64| ratio(i128::from(amount) * i128::from(day), i128::from(days));
    Ok(until_then(until)? - until_then(from)?)
}

/// Divides a total by weights, by the largest remainder; of equal remainders, the first one gets the unit. All shares are
/// zero if all weights are.
///
/// # Errors
/// If a share is too large.
pub fn allocate(total: i64, weights: &[i64]) -> Result<Vec<i64>, TooLarge> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return Ok(vec![0; weights.len()]);
    }
    let magnitude = i128::from(total.unsigned_abs());
    let exact = |weight: &i64| magnitude * i128::from(*weight);
    let mut shares: Vec<i128> = weights.iter().map(|weight| exact(weight) / sum).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact(&weights[*index]) % sum));
    let rest = usize::try_from(magnitude - shares.iter().sum::<i128>()).map_err(|_| TooLarge)?;
    for index in order.into_iter().take(rest) {
        shares[index] += 1;
    }
    let signed = |share: i128| i64::try_from(share).map(|share| share * total.signum()).map_err(|_| TooLarge);
    shares.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (numerator, denominator, expected) in [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (5, 3, 2), (-5, -2, 3), (0, 7, 0)]
        {
            assert_eq!(ratio(numerator, denominator), Ok(expected), "{numerator}/{denominator}");
        }
        assert_eq!(ratio(i128::MAX, 1), Err(TooLarge));
        assert_eq!(ratio(1, 0), Err(TooLarge));
        assert_eq!(rounded(Decimal::new(-25, 1)), Ok(-3));
    }

    proptest! {
        #[test]
        fn parts_of_a_divided_period_add_up(amount in -1_000_000_000_i64..1_000_000_000, days in 1_i64..367, cut in 0_i64..367) {
            let cut = cut.min(days);
            let whole = part(amount, (0, cut), days).unwrap() + part(amount, (cut, days), days).unwrap();
            prop_assert_eq!(whole, amount);
        }

        #[test]
        fn shares_add_up_and_keep_to_their_weights(total in -1_000_000_i64..1_000_000, weights in prop::collection::vec(0_i64..10_000, 1..9)) {
            let shares = allocate(total, &weights).unwrap();
            let sum: i64 = weights.iter().sum();
            prop_assert_eq!(shares.iter().sum::<i64>(), if sum == 0 { 0 } else { total });
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!((share * sum - total * weight).abs() < sum.max(1));
            }
        }
    }
}

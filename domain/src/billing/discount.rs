//! Discounts on the recurring lines of a full period.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::amount::{TooLarge, allocate, rounded};

/// A discount on lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Decides the order among discounts that were redeemed at the same moment.
    pub id: String,
    /// How much.
    pub off: Off,
    /// When it was redeemed.
    pub redeemed_at: Timestamp,
    /// The indexes of the lines that it applies to; `None` means all.
    pub applies_to: Option<Vec<usize>>,
}

/// How much a discount takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// A percentage of what is left, above 0 and at most 100.
    Percent(Decimal),
    /// An amount; what is left of it lapses.
    Amount(i64),
}

/// What one discount takes off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The discount.
    pub discount: String,
    /// In total.
    pub off: i64,
    /// By line, of those in its scope.
    pub per_line: Vec<(usize, i64)>,
}

/// Lines after discounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discounted {
    /// What each discount takes off, in their order.
    pub steps: Vec<Step>,
    /// What is left of each line.
    pub net: Vec<i64>,
}

/// Applies discounts: percentages first, then amounts; each kind by redemption, then by id; each on what the earlier ones
/// have left, never below zero.
///
/// # Errors
/// If an amount is too large.
pub fn apply(lines: &[i64], discounts: &[Discount]) -> Result<Discounted, TooLarge> {
    let mut ordered: Vec<&Discount> = discounts.iter().collect();
    let is_amount = |discount: &Discount| matches!(discount.off, Off::Amount(_));
    ordered.sort_by(|one, other| {
        (is_amount(one), one.redeemed_at, &one.id).cmp(&(is_amount(other), other.redeemed_at, &other.id))
    });
    let (mut net, mut steps) = (lines.to_vec(), Vec::new());
    for Discount { id, off, applies_to, .. } in ordered {
        let scope: Vec<usize> = match applies_to {
            Some(scope) => scope.iter().copied().filter(|index| *index < net.len()).collect(),
            None => (0..net.len()).collect(),
        };
        let left: Vec<i64> = scope.iter().map(|index| net[*index]).collect();
        let total = left.iter().try_fold(0_i64, |sum, line| sum.checked_add(*line)).ok_or(TooLarge)?;
        let off = match off {
            Off::Percent(percent) => {
                let exact = Decimal::from(total).checked_mul(*percent).ok_or(TooLarge)? / Decimal::ONE_HUNDRED;
                rounded(exact)?.min(total)
            }
            Off::Amount(amount) => (*amount).min(total),
        };
        let per_line: Vec<(usize, i64)> = scope.into_iter().zip(allocate(off, &left)?).collect();
        for (index, share) in &per_line {
            net[*index] -= share;
        }
        steps.push(Step { discount: id.clone(), off, per_line });
    }
    Ok(Discounted { steps, net })
}

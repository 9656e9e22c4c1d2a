//! Prices: amounts in the minor unit of a currency (ISO 4217).

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{InvalidText, billing::Currency};

/// Maximum digits of an amount before the point.
const MAX_DIGITS: usize = 12;

/// A price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The amount in the minor unit of the currency.
    pub amount_minor: u64,
    /// The currency: its code in ISO 4217.
    pub currency: String,
}

/// What is wrong with a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidPrice {
    /// The amount.
    Amount(InvalidText),
    /// The currency.
    Currency(InvalidText),
}

impl Price {
    /// A price from an amount such as `1250.00` and the code of its currency.
    ///
    /// # Errors
    /// If the amount is no decimal number with at most the decimals of the currency, or there is no such currency.
    pub fn new(amount: &str, currency: &str) -> Result<Self, InvalidPrice> {
        let code = currency.trim().to_ascii_uppercase();
        let unknown = || InvalidPrice::Currency(InvalidText("must be a currency of ISO 4217, such as EUR".to_owned()));
        let decimals = code.parse::<Currency>().map_err(|_| unknown())?.exponent();
        let wrong = || {
            let example =
                if decimals == 0 { "1250".to_owned() } else { format!("1250.{}", "0".repeat(decimals as usize)) };
            InvalidPrice::Amount(InvalidText(format!(
                "must be an amount of at most {MAX_DIGITS} digits such as {example}"
            )))
        };
        let (whole, fraction) = amount.trim().split_once('.').unwrap_or((amount.trim(), ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_good = (1..=MAX_DIGITS).contains(&whole.len()) && fraction.len() <= decimals as usize;
        if !is_good || !are_digits(whole) || !are_digits(fraction) || amount.trim().ends_with('.') {
            return Err(wrong());
        }
        let digits = format!("{whole}{fraction:0<width$}", width = decimals as usize);
        let amount_minor = digits.parse().map_err(|_| wrong())?;
        Ok(Self { amount_minor, currency: code })
    }

    /// The amount as a decimal number, with all decimals of the currency.
    pub fn amount(&self) -> String {
        let decimals = self.currency.parse::<Currency>().map_or(0, Currency::exponent);
        Decimal::from_i128_with_scale(i128::from(self.amount_minor), decimals).to_string()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (amount, currency, minor, shown) in [
            ("1250", "EUR", 125_000, "1250.00 EUR"),
            ("0.5", "usd", 50, "0.50 USD"),
            (" 12.05 ", "BRL", 1_205, "12.05 BRL"),
            ("1250", "JPY", 1_250, "1250 JPY"),
            ("1.005", "KWD", 1_005, "1.005 KWD"),
        ] {
            let price = Price::new(amount, currency).unwrap();
            assert_eq!((price.amount_minor, price.to_string().as_str()), (minor, shown), "{amount} {currency}");
        }
    }

    #[test]
    fn wrong_amounts_and_currencies_are_rejected() {
        for (amount, currency) in [
            ("", "EUR"),
            ("-1", "EUR"),
            ("1,50", "EUR"),
            ("1.005", "EUR"),
            ("1.0", "JPY"),
            ("1.", "EUR"),
            ("1e3", "EUR"),
        ] {
            assert!(matches!(Price::new(amount, currency), Err(InvalidPrice::Amount(_))), "{amount} {currency}");
        }
        assert!(matches!(Price::new(&"9".repeat(13), "EUR"), Err(InvalidPrice::Amount(_))));
        for currency in ["", "EURO", "XXX", "€", "EUR USD"] {
            assert!(matches!(Price::new("1", currency), Err(InvalidPrice::Currency(_))), "{currency}");
        }
    }
}

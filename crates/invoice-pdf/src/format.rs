//! Numbers and dates in a form that no reader takes for another one: `1 234.56`, `2026-11-30`.

use jiff::civil::Date;
use porttask_domain::billing::Currency;
use rust_decimal::Decimal;

/// Between groups of three digits: a narrow space that does not break.
const GROUP: char = '\u{202f}';
/// Before a negative number.
const MINUS: char = '\u{2212}';

/// An amount in minor units, with all decimals of its currency.
pub(crate) fn amount(currency: Currency, minor: i64) -> String {
    number(&currency.decimal(minor).to_string())
}

/// An amount with the code of its currency, which a line break does not separate.
pub(crate) fn money(currency: Currency, minor: i64) -> String {
    format!("{}\u{a0}{}", currency.code(), amount(currency, minor))
}

/// A price with at least all decimals of its currency.
pub(crate) fn price(currency: Currency, price: Decimal) -> String {
    let mut price = price.normalize();
    if price.scale() < currency.exponent() {
        price.rescale(currency.exponent());
    }
    number(&price.to_string())
}

/// A whole number.
pub(crate) fn count(count: impl Into<i128>) -> String {
    number(&count.into().to_string())
}

/// A percentage or an exchange rate, without needless zeros.
pub(crate) fn rate(rate: Decimal) -> String {
    number(&rate.normalize().to_string())
}

/// A date.
pub(crate) fn date(date: Date) -> String {
    date.to_string()
}

/// The dates from one until before another one, which a line break does not separate.
pub(crate) fn dates(from: Date, until: Date) -> String {
    let last = last_day(from, until);
    if last == from { date(from) } else { format!("{from}\u{a0}–\u{a0}{last}") }
}

/// The day before a date, but not before the first one.
pub(crate) fn last_day(from: Date, until: Date) -> Date {
    until.yesterday().unwrap_or(until).max(from)
}

/// An IBAN in groups of four.
pub(crate) fn iban(iban: &str) -> String {
    let characters: Vec<char> = iban.chars().filter(|it| !it.is_whitespace()).collect();
    characters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("\u{a0}")
}

fn number(plain: &str) -> String {
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut text = String::new();
    if !sign.is_empty() {
        text.push(MINUS);
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(GROUP);
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap_or_else(|_| unreachable!("a currency"))
    }

    #[test]
    fn numbers_have_groups_and_all_decimals_of_the_currency() {
        let amounts = [
            ("EUR", 0, "0.00"),
            ("EUR", 99_999, "999.99"),
            ("EUR", -123_456_789, "−1\u{202f}234\u{202f}567.89"),
            ("JPY", 1_000, "1\u{202f}000"),
            ("KWD", 1_230, "1.230"),
        ];
        for (code, minor, text) in amounts {
            assert_eq!(amount(currency(code), minor), text);
        }
        assert_eq!(price(currency("EUR"), Decimal::new(25, 4)), "0.0025");
        assert_eq!(price(currency("EUR"), Decimal::new(2, 0)), "2.00");
        assert_eq!((rate(Decimal::new(1900, 2)), rate(Decimal::new(81, 1))), ("19".to_owned(), "8.1".to_owned()));
    }

    #[test]
    fn the_last_day_belongs_to_the_dates() {
        let day = |day| jiff::civil::date(2026, 11, day);
        assert_eq!(dates(day(1), day(30)), "2026-11-01\u{a0}–\u{a0}2026-11-29");
        assert_eq!([dates(day(1), day(2)), dates(day(1), day(1))], ["2026-11-01", "2026-11-01"]);
    }

    #[test]
    fn an_iban_has_groups_of_four() {
        assert_eq!(iban("DE02120300000000202051"), "DE02\u{a0}1203\u{a0}0000\u{a0}0000\u{a0}2020\u{a0}51");
    }
}

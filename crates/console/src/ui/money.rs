//! Amounts of money: the API's minor units as people read them.

/// The currencies whose minor unit is not a hundredth, with their decimals (ISO 4217).
#[rustfmt::skip]
const DECIMALS: [(&str, u32); 26] = [
    ("BHD", 3), ("BIF", 0), ("CLF", 4), ("CLP", 0), ("DJF", 0), ("GNF", 0), ("IQD", 3), ("ISK", 0), ("JOD", 3),
    ("JPY", 0), ("KMF", 0), ("KRW", 0), ("KWD", 3), ("LYD", 3), ("OMR", 3), ("PYG", 0), ("RWF", 0), ("TND", 3),
    ("UGX", 0), ("UYI", 0), ("UYW", 4), ("VND", 0), ("VUV", 0), ("XAF", 0), ("XOF", 0), ("XPF", 0),
];

fn decimals(currency: &str) -> u32 {
    DECIMALS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, decimals)| *decimals)
}

/// An amount: `1,250.00 EUR`.
pub(crate) fn money(minor: i64, currency: &str) -> String {
    let unit = 10_u64.pow(decimals(currency));
    let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let part = match decimals(currency) {
        0 => String::new(),
        width => format!(".{part:0>width$}", width = width as usize),
    };
    format!("{}{}{part} {currency}", if minor < 0 { "−" } else { "" }, grouped(whole))
}

/// A number with groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = (if first > 0 { Some(&digits[..first]) } else { None }).into_iter().collect();
    parts.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    parts.join(",")
}

/// An amount that was entered, such as `49.00`, in minor units.
pub(crate) fn minor(text: &str, currency: &str) -> Option<i64> {
    let width = decimals(currency) as usize;
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let whole = whole.replace(',', "");
    if whole.is_empty() || part.len() > width || !(whole.clone() + part).bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{part:0<width$}").parse().ok()
}

/// An amount in units of the currency, for a chart.
pub(crate) fn units(minor: i64, currency: &str) -> f64 {
    minor as f64 / 10_f64.powf(f64::from(decimals(currency)))
}

/// An amount as the value of an input: `49.00`.
pub(crate) fn input(minor: i64, currency: &str) -> String {
    let text = money(minor, currency).replace(',', "");
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The decimals of a gigabyte.
const GIGABYTE: usize = 9;

/// A number of bytes in GB, as the value of an input: `0.5`.
pub(crate) fn gigabytes(bytes: u64) -> String {
    let unit = 10_u64.pow(GIGABYTE as u32);
    let text = format!("{}.{:0>width$}", bytes / unit, bytes % unit, width = GIGABYTE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of GB that was entered, such as `0.5`, in bytes.
pub(crate) fn bytes_of(gigabytes: &str) -> Option<u64> {
    let (whole, part) = gigabytes.split_once('.').unwrap_or((gigabytes, ""));
    if whole.is_empty() || part.len() > GIGABYTE || !whole.bytes().chain(part.bytes()).all(|it| it.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{part:0<width$}", width = GIGABYTE).parse().ok()
}

/// A number of bytes: `1.5 GB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1_000.0, unit + 1);
    }
    let value = (value * 10.0).round() / 10.0;
    format!("{value} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        assert_eq!(money(125_000, "EUR"), "1,250.00 EUR");
        assert_eq!(money(-5, "EUR"), "−0.05 EUR");
        assert_eq!(money(1_250, "JPY"), "1,250 JPY");
        assert_eq!((minor("1,250.5", "EUR"), minor("1.005", "EUR"), minor("x", "EUR")), (Some(125_050), None, None));
        assert_eq!(input(4_900, "EUR"), "49.00");
        assert_eq!((bytes(1_500_000_000), bytes(12)), ("1.5 GB".to_owned(), "12 bytes".to_owned()));
        assert_eq!((grouped(0), grouped(1_234_567)), ("0".to_owned(), "1,234,567".to_owned()));
    }

    #[test]
    fn gigabytes_lose_no_byte_in_a_form() {
        for (bytes, text) in [(0, "0"), (1, "0.000000001"), (500_000_000, "0.5"), (100_000_000_000, "100")] {
            assert_eq!((gigabytes(bytes).as_str(), bytes_of(text)), (text, Some(bytes)));
        }
        for text in ["", ".5", "-1", "1.0000000001", "many", "99999999999999"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }
}

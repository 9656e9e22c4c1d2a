//! English.

use jiff::civil::Date;
use porttask_domain::billing::{
    period::Interval,
    subscription::{EndReason, ReadOnlyReason},
    terms::{Held, Meter},
};

use super::texts::Message;
use crate::mail::{
    language::Reader,
    letter::{Letter, Paragraph},
};

pub(super) fn letter(message: &Message<'_>, reader: &Reader<'_>, address: &str) -> Letter {
    let organization = reader.organization;
    let (subject, texts) = match message {
        Message::ThresholdReached { meter, share, used, limit, resets_on } => (
            format!("{share}% of your {} are used", plural(*meter)),
            vec![
                format!("{organization} has used {} of {}.", amount(*meter, *used), amount_of(*meter, *limit)),
                consequence(*meter, *resets_on),
            ],
        ),
        Message::TrialEnds { until, plan, chosen } => {
            let last = date(until.yesterday().unwrap_or(*until));
            let then = match chosen {
                Some(held) => format!(
                    "{} begins on {}, if the tax details and a way to pay are entered under Billing by then.",
                    described(held),
                    date(*until)
                ),
                None => "Choose a plan before: otherwise, nothing can be created or changed afterwards.".to_owned(),
            };
            (
                format!("Your PortTask trial ends on {last}"),
                vec![format!("The trial of {plan} for {organization} lasts until the end of {last}."), then],
            )
        }
        Message::Renews { on, held } => (
            format!("Your PortTask subscription renews on {}", date(*on)),
            vec![
                format!("The subscription of {organization} renews on {}: {}.", date(*on), described(held)),
                "To change or cancel it, do so before that date.".to_owned(),
            ],
        ),
        Message::ReadOnly { why, ends_on } => {
            let (because, remedy) = match why {
                ReadOnlyReason::TrialOver => ("The trial of", "Choose a plan to go on"),
                ReadOnlyReason::Unpaid => ("The time to pay an invoice of", "Pay it under Billing → Invoices to go on"),
            };
            (
                format!("{organization} is read-only"),
                vec![
                    format!("{because} {organization} is over. Everything can be read and exported, but not changed."),
                    format!("{remedy}. Otherwise, the subscription ends on {}.", date(*ends_on)),
                ],
            )
        }
        Message::Ended { why, on } => {
            let because = match why {
                EndReason::Canceled => "because it was canceled",
                EndReason::TrialOver => "because no plan was chosen after the trial",
                EndReason::Unpaid => "because an invoice was not paid",
                EndReason::Deactivated => "because the organization was deactivated",
            };
            let texts = vec![format!("The subscription of {organization} ended on {}, {because}.", date(*on))];
            ("Your PortTask subscription has ended".to_owned(), texts)
        }
        Message::Activated { held, from, until } => (
            format!("Your subscription of {} is active", held.terms.name),
            vec![
                format!("{organization} has subscribed to {}.", described(held)),
                format!("The first period begins on {}, the next on {}.", date(*from), date(*until)),
            ],
        ),
        Message::Changed { from, to, effective } => (
            "Your PortTask subscription has changed".to_owned(),
            vec![format!(
                "The subscription of {organization} changed from {} to {}, from {} on.",
                described(from),
                described(to),
                date(*effective)
            )],
        ),
        Message::MigrationNotice { from, to, effective } => (
            format!("{} changes on {}", to.terms.name, date(*effective)),
            vec![
                format!("The plan {} of {organization} changes on {}.", to.terms.name, date(*effective)),
                format!("So far: {}. From then on: {}.", described(from), described(to)),
                "If you do not agree, you can cancel or choose another plan before.".to_owned(),
            ],
        ),
    };
    let mut paragraphs = vec![Paragraph::Text(format!("Hello {},", reader.name))];
    paragraphs.extend(texts.into_iter().map(Paragraph::Text));
    paragraphs.push(Paragraph::Link { label: "Open the subscription", address: address.to_owned() });
    Letter { subject, paragraphs }
}

fn date(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// What a limit is of: `80% of your port calls are used`.
const fn plural(meter: Meter) -> &'static str {
    match meter {
        Meter::PortCalls => "port calls",
        Meter::Users => "seats",
        Meter::StorageBytes => "bytes of storage",
        Meter::ApiCalls => "API calls",
    }
}

/// What is used, without its unit if it is that of the limit.
fn amount(meter: Meter, used: u64) -> String {
    match meter {
        Meter::StorageBytes => bytes(used),
        Meter::PortCalls | Meter::Users | Meter::ApiCalls => grouped(used),
    }
}

/// A limit with what it is of.
fn amount_of(meter: Meter, limit: u64) -> String {
    match meter {
        Meter::StorageBytes => format!("{} of storage", bytes(limit)),
        Meter::Users => format!("{} seats", grouped(limit)),
        Meter::PortCalls => format!("{} port calls of this usage month", grouped(limit)),
        Meter::ApiCalls => format!("{} API calls of this usage month", grouped(limit)),
    }
}

/// What happens at the limit, and what helps.
fn consequence(meter: Meter, resets_on: Date) -> String {
    let resets = date(resets_on);
    match meter {
        Meter::PortCalls => {
            format!("At the limit, no port calls can be created until {resets}. A larger plan includes more.")
        }
        Meter::ApiCalls => {
            format!("At the limit, requests with API keys are refused until {resets}. A larger plan includes more.")
        }
        Meter::Users => {
            "At the limit, nobody can be invited. Deactivate users, buy seats, or choose a larger plan.".into()
        }
        Meter::StorageBytes => {
            "At the limit, no documents can be uploaded. Delete documents, or choose a larger plan.".into()
        }
    }
}

/// Terms with their price: `Professional with 2 extra seats, 167.00 EUR a month without tax`.
fn described(held: &Held) -> String {
    let offer = &held.terms.offer;
    let seats = match held.seats {
        0 => String::new(),
        1 => " with 1 extra seat".to_owned(),
        seats => format!(" with {seats} extra seats"),
    };
    let Some(price) = offer.price(held.currency, held.interval) else { return format!("{}{seats}", held.terms.name) };
    let extra = price.seat_price.unwrap_or_default().saturating_mul(held.seats.into());
    let amount = held.currency.decimal(price.price.saturating_add(extra));
    let interval = match held.interval {
        Interval::Month => "month",
        Interval::Year => "year",
    };
    let tax = if offer.prices_include_tax { "with" } else { "without" };
    format!("{}{seats}, {amount} {} a {interval} {tax} tax", held.terms.name, held.currency.code())
}

/// With commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let is_border = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if is_border(place) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// In decimal units, as plans state them, rounded down to a tenth.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} bytes"),
        Some((unit, name)) => match bytes % unit / (unit / 10) {
            0 => format!("{} {name}", bytes / unit),
            tenths => format!("{}.{tenths} {name}", bytes / unit),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use porttask_domain::billing::{plan::built_in, terms::Terms};

    use super::*;

    const READER: Reader<'static> =
        Reader { name: "Bob Fisher", organization: "Acme Shipping", time_zone: "Europe/Lisbon" };
    const ADDRESS: &str = "https://admin.example/settings/billing";

    fn held(seats: u32, interval: Interval) -> Held {
        let (plan, code, name, _, offer) = built_in()[1].clone();
        let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
        Held::new(terms, seats, interval, "EUR".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_mail_about_a_limit_says_what_is_used_and_what_helps() {
        let message = |meter, used, limit| Message::ThresholdReached {
            meter,
            share: 80,
            used,
            limit,
            resets_on: date(2026, 12, 10),
        };
        let calls = letter(&message(Meter::PortCalls, 400, 500), &READER, ADDRESS);
        assert_eq!(calls.subject, "80% of your port calls are used");
        let expected = "Hello Bob Fisher,

Acme Shipping has used 400 of 500 port calls of this usage month.

At the limit, no port calls can be created until 10 December 2026. A larger plan includes more.

https://admin.example/settings/billing
";
        assert_eq!(calls.text(), expected);
        let text = |meter, used, limit| letter(&message(meter, used, limit), &READER, ADDRESS).text();
        assert!(text(Meter::StorageBytes, 4_050_000_000, 5_000_000_000).contains("used 4 GB of 5 GB of storage."));
        assert!(text(Meter::StorageBytes, 999, 1_500).contains("used 999 bytes of 1.5 kB of storage."));
        assert!(text(Meter::Users, 8, 10).contains("used 8 of 10 seats."));
        assert!(text(Meter::ApiCalls, 800_000, 1_000_000).contains("used 800,000 of 1,000,000 API calls of"));
    }

    #[test]
    fn a_mail_about_a_date_names_the_date_and_what_it_costs() {
        let (month, year) = (held(2, Interval::Month), held(0, Interval::Year));
        let until = date(2026, 1, 25);
        let trial = |chosen| letter(&Message::TrialEnds { until, plan: "Professional", chosen }, &READER, ADDRESS);
        assert_eq!(trial(None).subject, "Your PortTask trial ends on 24 January 2026");
        assert!(trial(None).text().contains("Choose a plan before"));
        let begins = "Professional with 2 extra seats, 167.00 EUR a month without tax begins on 25 January 2026, if";
        assert!(trial(Some(&month)).text().contains(begins), "{}", trial(Some(&month)).text());
        let renews = letter(&Message::Renews { on: until, held: &year }, &READER, ADDRESS);
        assert_eq!(renews.subject, "Your PortTask subscription renews on 25 January 2026");
        assert!(renews.text().contains("Professional, 1490.00 EUR a year without tax."), "{}", renews.text());
        let notice = Message::MigrationNotice { from: &year, to: &month, effective: until };
        assert_eq!(letter(&notice, &READER, ADDRESS).subject, "Professional changes on 25 January 2026");
    }
}

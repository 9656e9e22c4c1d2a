use jiff::civil::date;

use super::*;

const ADDRESS: &str = "https://admin.example/settings/billing/invoices/inv_1";
const LANGUAGES: [DocumentLanguage; 2] = [DocumentLanguage::English, DocumentLanguage::German];

fn money(minor: i64) -> Money {
    Money(minor, "EUR".parse().unwrap())
}

fn debt() -> Debt<'static> {
    Debt { number: "PT-2026-000007", due: money(11_900) }
}

fn said(language: DocumentLanguage, message: &Message<'_>) -> Letter {
    let reader = Reader { name: "Ana Souza", organization: "Acme Shipping", time_zone: "Europe/Lisbon" };
    letter(language, message, &reader, ADDRESS)
}

fn english(message: &Message<'_>) -> String {
    said(DocumentLanguage::English, message).text()
}

#[test]
fn a_tag_is_one_of_two_languages() {
    for (tag, expected) in [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("en-GB", "en"), ("pt", "en"), ("", "en")] {
        assert_eq!(DocumentLanguage::of(tag).tag(), expected, "{tag}");
    }
}

fn issued(pay: Pay<'static>) -> InvoiceIssued<'static> {
    let (total, due) = (money(11_900), money(11_900));
    InvoiceIssued { number: "PT-2026-000007", total, due, replaces: None, pay, file: File::Attached }
}

#[test]
fn a_mail_with_an_invoice_says_what_is_due_and_how_it_is_paid() {
    let account = Account { holder: "PortTask GmbH", iban: "DE02120300000000202051", bic: None };
    let transfer = issued(Pay::Transfer { until: date(2026, 12, 28), account: Some(account) });
    let letter = said(DocumentLanguage::English, &Message::Invoice(transfer.clone()));
    assert_eq!(letter.subject, "Invoice PT-2026-000007: 119.00 EUR");
    let expected = "Hello Ana Souza,

Invoice PT-2026-000007 for Acme Shipping over 119.00 EUR is attached as a PDF.

Please pay it by 28 December 2026.

Transfer it to PortTask GmbH, IBAN DE02 1203 0000 0000 2020 51, with the reference PT-2026-000007.

https://admin.example/settings/billing/invoices/inv_1
";
    assert_eq!(letter.text(), expected);
    let german = said(DocumentLanguage::German, &Message::Invoice(transfer));
    assert_eq!(german.subject, "Rechnung PT-2026-000007: 119.00 EUR");
    let expected = "Guten Tag Ana Souza,

die Rechnung PT-2026-000007 für Acme Shipping über 119.00 EUR ist als PDF angehängt.

Bitte zahlen Sie bis zum 28. Dezember 2026.

Überweisen Sie an PortTask GmbH, IBAN DE02 1203 0000 0000 2020 51, Verwendungszweck PT-2026-000007.

https://admin.example/settings/billing/invoices/inv_1
";
    assert_eq!(german.text(), expected);
}

#[test]
fn an_invoice_is_paid_in_one_of_these_ways() {
    let next = Next { read_only_on: Some(date(2026, 12, 13)), ..Next::default() };
    for (pay, expected) in [
        (Pay::Paid, "It is paid: there is nothing to do."),
        (Pay::Nothing, "Nothing is due for it any more."),
        (Pay::Charge { method: "4242" }, "charged to your payment method ending in 4242."),
        (Pay::NoMethod { next }, "not paid before 13 December 2026, Acme Shipping becomes read-only then."),
    ] {
        let text = english(&Message::Invoice(issued(pay)));
        assert!(text.contains(expected), "{text}");
    }
    let text = english(&Message::Invoice(InvoiceIssued {
        due: money(6_900),
        replaces: Some("PT-2026-000003"),
        file: File::TooLarge,
        ..issued(Pay::Charge { method: "4242" })
    }));
    for expected in ["Of it, 69.00 EUR are due", "replaces invoice PT-2026-000003", "too large to be attached"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_mail_with_a_credit_note_says_why_and_where_the_money_goes() {
    let note = CreditNoteIssued {
        number: "PT-CN-2026-000001",
        invoice: "PT-2026-000007",
        total: money(10_000),
        reason: CreditReason::Goodwill,
        to_due: money(4_000),
        to_balance: money(0),
        to_refund: money(6_000),
        file: File::Missing,
    };
    let letter = said(DocumentLanguage::English, &Message::CreditNote(note));
    assert_eq!(letter.subject, "Credit note PT-CN-2026-000001 for invoice PT-2026-000007: 100.00 EUR");
    let text = letter.text();
    let money = "40.00 EUR lower what is due for the invoice. 60.00 EUR are paid back to your payment method.";
    assert!(text.contains("Reason: It is a courtesy.") && text.contains(money), "{text}");
    assert!(text.contains("not ready yet") && !text.contains("balance"), "{text}");
}

#[test]
fn a_receipt_names_amount_date_and_the_last_four_digits() {
    let receipt = Receipt {
        number: "PT-2026-000007",
        amount: money(11_900),
        on: date(2026, 11, 28),
        way: Way::Method { brand: "visa", last4: "4242" },
        due: money(0),
        surplus: money(0),
    };
    let text = english(&Message::Receipt(receipt.clone()));
    let expected = "We received 119.00 EUR for invoice PT-2026-000007 of Acme Shipping on 28 November 2026 from visa \
                    ending in 4242.\n\nThe invoice is paid.";
    assert!(text.contains(expected), "{text}");
    let way = Way::Transfer { reference: "R-1" };
    let part = english(&Message::Receipt(Receipt { way, due: money(100), surplus: money(5), ..receipt }));
    for expected in ["by transfer, with the reference R-1", "1.00 EUR are still due.", "0.05 EUR more than"] {
        assert!(part.contains(expected), "{part}");
    }
}

#[test]
fn a_failed_charge_says_why_and_what_happens_when() {
    let next = Next { charge_on: Some(date(2026, 12, 1)), read_only_on: Some(date(2026, 12, 13)), ends_on: None };
    let failed = ChargeFailed { method: Some(("visa", "0341")), why: Why::of("insufficient_funds"), next };
    let text = english(&Message::ChargeFailed(debt(), failed));
    for expected in [
        "119.00 EUR for invoice PT-2026-000007 of Acme Shipping could not be charged to visa ending in 0341.",
        "not enough money",
        "The payment is tried again on 1 December 2026. If the invoice is not paid before 13 December 2026, Acme \
         Shipping becomes read-only then.",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    for (code, why) in [
        ("stolen_card", Why::Blocked),
        ("expired_card", Why::Expired),
        ("expired", Why::NotConfirmed),
        ("never_arrived", Why::Technical),
        ("card_declined", Why::Declined),
        ("something new", Why::Declined),
    ] {
        assert_eq!(Why::of(code), why, "{code}");
    }
}

#[test]
fn a_reminder_says_since_when_and_what_follows() {
    let next = Next { ends_on: Some(date(2027, 2, 1)), ..Next::default() };
    let reminder = |days_overdue| Reminder { until: date(2026, 12, 28), days_overdue, account: None, next };
    for (days, expected) in [
        (-3, "are due on 28 December 2026."),
        (1, "were due yesterday."),
        (8, "were due on 28 December 2026, 8 days ago."),
    ] {
        let text = english(&Message::Reminder(debt(), reminder(days)));
        assert!(text.contains(expected) && text.contains("before 1 February 2027, the subscription ends"), "{text}");
    }
}

#[test]
fn every_mail_has_all_its_parts_in_both_languages() {
    let next = Next::default();
    for message in [
        Message::ConfirmationRequired(debt()),
        Message::NoMethod(debt(), next),
        Message::ReadOnly(debt(), next),
        Message::Ended(debt()),
        Message::TransferRequested,
        Message::TransferGranted { days: 30 },
        Message::TransferRefused,
        Message::ChargedFromNowOn,
    ] {
        let letters = LANGUAGES.map(|language| said(language, &message));
        assert_ne!(letters[0].subject, letters[1].subject);
        for Letter { subject, paragraphs } in letters {
            assert!(!subject.is_empty() && paragraphs.len() >= 3, "{message:?}");
            assert!(matches!(paragraphs.last(), Some(Paragraph::Link { address, .. }) if address == ADDRESS));
        }
    }
}

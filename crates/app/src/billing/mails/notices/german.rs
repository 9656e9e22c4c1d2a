//! German.

use jiff::civil::Date;
use porttask_domain::billing::credit_note::CreditReason;

use super::{
    Account, ChargeFailed, CreditNoteIssued, Debt, File, InvoiceIssued, Message, Next, Pay, Receipt, Reminder, Texts,
    Way, Why, iban,
};

const SEE: &str = "Rechnung öffnen";
const PAY: &str = "Rechnung bezahlen";
const DETAILS: &str = "Steuerdaten öffnen";

pub(super) fn texts(message: &Message<'_>, organization: &str) -> Texts {
    let (subject, paragraphs, label) = match message {
        Message::Invoice(issued) => return invoice(issued, organization),
        Message::CreditNote(issued) => return credit_note(issued, organization),
        Message::Receipt(receipt) => return receipt_of(receipt, organization),
        Message::ChargeFailed(debt, failed) => return charge_failed(*debt, failed, organization),
        Message::Reminder(debt, reminder) => return reminded(*debt, reminder, organization),
        Message::ConfirmationRequired(Debt { number, due }) => {
            let asks = format!(
                "Ihre Bank verlangt, dass Sie die Zahlung von {due} für die Rechnung {number} von {organization} bestätigen."
            );
            let all = vec![asks, "Ohne Bestätigung wird die Rechnung nicht bezahlt.".to_owned()];
            (format!("Bitte bestätigen Sie die Zahlung der Rechnung {number}"), all, PAY)
        }
        Message::NoMethod(Debt { number, due }, next) => {
            let mut all = vec![
                format!("{due} für die Rechnung {number} von {organization} konnten nicht abgebucht werden."),
                "Es gibt kein Zahlungsmittel, das belastet werden kann. Fügen Sie eines hinzu: Die Rechnung wird dann damit \
                 bezahlt."
                    .to_owned(),
            ];
            all.extend(then(*next, organization));
            (format!("Zahlung der Rechnung {number} fehlgeschlagen: kein Zahlungsmittel"), all, PAY)
        }
        Message::ReadOnly(debt, next) => return read_only(*debt, *next, organization),
        Message::Ended(Debt { number, due }) => {
            let all = vec![
                format!(
                    "das Abonnement von {organization} ist beendet, weil {due} für die Rechnung {number} nicht bezahlt wurden."
                ),
                "Der Betrag ist weiterhin zu zahlen.".to_owned(),
            ];
            (format!("Das Abonnement von {organization} ist beendet: Rechnung {number} ist nicht bezahlt"), all, SEE)
        }
        Message::TransferRequested => (
            format!("{organization} möchte per Überweisung zahlen"),
            vec![format!(
                "{organization} bittet um Rechnungen, die per Überweisung bezahlt werden. Entscheiden Sie darüber."
            )],
            "Entscheiden",
        ),
        Message::TransferGranted { days } => (
            "Ihre Rechnungen werden per Überweisung bezahlt".to_owned(),
            vec![format!(
                "Rechnungen von {organization} werden nun innerhalb von {days} Tagen per Überweisung bezahlt."
            )],
            DETAILS,
        ),
        Message::TransferRefused => (
            "Ihre Rechnungen werden weiterhin automatisch abgebucht".to_owned(),
            vec![
                format!("die Anfrage von {organization}, Rechnungen per Überweisung zu bezahlen, wurde abgelehnt."),
                "Ihre Rechnungen werden wie bisher von Ihrem Zahlungsmittel abgebucht.".to_owned(),
            ],
            DETAILS,
        ),
        Message::ChargedFromNowOn => (
            "Ihre Rechnungen werden automatisch abgebucht".to_owned(),
            vec![format!("neue Rechnungen von {organization} werden von nun an von Ihrem Zahlungsmittel abgebucht.")],
            DETAILS,
        ),
    };
    Texts { subject, paragraphs, label }
}

fn invoice(issued: &InvoiceIssued<'_>, organization: &str) -> Texts {
    let InvoiceIssued { number, total, due, replaces, pay, file } = issued;
    let mut all = vec![format!("die Rechnung {number} für {organization} über {total}{}", attached(*file))];
    all.extend(replaces.map(|other| {
        format!("Sie ersetzt die Rechnung {other}, die durch eine eigene Rechnungskorrektur aufgehoben wird.")
    }));
    if due != total && due.is_positive() {
        all.push(format!("Davon sind {due} zu zahlen: Der Rest ist schon bezahlt oder gutgeschrieben."));
    }
    all.extend(payment(pay, number, organization));
    let (subject, paragraphs, label) = (format!("Rechnung {number}: {total}"), all, SEE);
    Texts { subject, paragraphs, label }
}

fn credit_note(issued: &CreditNoteIssued<'_>, organization: &str) -> Texts {
    let CreditNoteIssued { number, invoice, total, reason, to_due, to_balance, to_refund, file } = issued;
    let why = match reason {
        CreditReason::Change => "Das Abonnement wurde geändert.",
        CreditReason::Cancellation => "Die Rechnung oder das Abonnement wurde storniert.",
        CreditReason::Goodwill => "Kulanz.",
        CreditReason::Error => "Die Rechnung war falsch.",
    };
    let to = [
        (to_due, "mindern, was für die Rechnung zu zahlen ist"),
        (to_balance, "kommen zu Ihrem Guthaben, das die nächsten Rechnungen bezahlt"),
        (to_refund, "werden auf Ihr Zahlungsmittel erstattet"),
    ];
    let to = to.iter().filter(|(amount, _)| amount.is_positive());
    let to: Vec<String> = to.map(|(amount, what)| format!("{amount} {what}.")).collect();
    let first = format!("die Rechnungskorrektur {number} für {organization} über {total}{}", attached(*file));
    let all = vec![first, format!("Sie gehört zur Rechnung {invoice}. Grund: {why}"), to.join(" ")];
    let (subject, paragraphs, label) =
        (format!("Rechnungskorrektur {number} zur Rechnung {invoice}: {total}"), all, "Rechnungskorrektur öffnen");
    Texts { subject, paragraphs, label }
}

fn receipt_of(receipt: &Receipt<'_>, organization: &str) -> Texts {
    let Receipt { number, amount, on, way, due, surplus } = receipt;
    let way = match way {
        Way::Method { brand, last4 } => format!(" von {brand} mit den Endziffern {last4}"),
        Way::Transfer { reference } => format!(" per Überweisung mit dem Verwendungszweck {reference}"),
        Way::Other => String::new(),
    };
    let on = date(*on);
    let mut all =
        vec![format!("wir haben am {on} {amount} für die Rechnung {number} von {organization}{way} erhalten.")];
    all.push(match due.is_positive() {
        true => format!("{due} sind noch zu zahlen."),
        false => "Die Rechnung ist bezahlt. Vielen Dank.".to_owned(),
    });
    if surplus.is_positive() {
        all.push(format!("{surplus} mehr als zu zahlen war kommen zu Ihrem Guthaben."));
    }
    let (subject, paragraphs, label) = (format!("Zahlungsbeleg: {amount} für Rechnung {number}"), all, SEE);
    Texts { subject, paragraphs, label }
}

fn charge_failed(Debt { number, due }: Debt<'_>, failed: &ChargeFailed<'_>, organization: &str) -> Texts {
    let ChargeFailed { method, why, next } = failed;
    let method = method.map_or_else(String::new, |(brand, last4)| format!(" von {brand} mit den Endziffern {last4}"));
    let failed = format!("{due} für die Rechnung {number} von {organization} konnten nicht{method} abgebucht werden.");
    let mut all = vec![failed, reason(*why).to_owned()];
    all.extend(then(*next, organization));
    all.push("Sie können die Rechnung jetzt bezahlen, mit diesem oder einem anderen Zahlungsmittel.".to_owned());
    let (subject, paragraphs, label) = (format!("Zahlung der Rechnung {number} fehlgeschlagen"), all, PAY);
    Texts { subject, paragraphs, label }
}

fn reminded(Debt { number, due }: Debt<'_>, reminder: &Reminder<'_>, organization: &str) -> Texts {
    let Reminder { until, days_overdue, account, next } = reminder;
    let until = date(*until);
    let (subject, when) = match days_overdue {
        ..=0 => (format!("Rechnung {number} ist am {until} fällig"), format!("sind am {until} fällig")),
        1 => (format!("Rechnung {number} ist überfällig"), "waren gestern fällig".to_owned()),
        days => (format!("Rechnung {number} ist überfällig"), format!("waren am {until} fällig, vor {days} Tagen")),
    };
    let mut all = vec![format!("{due} für die Rechnung {number} von {organization} {when}.")];
    all.extend(account.as_ref().map(|account| transfer(account, number)));
    all.extend(then(*next, organization));
    all.push("Falls Sie schon bezahlt haben, ist keine Antwort nötig.".to_owned());
    let (subject, paragraphs, label) = (subject, all, SEE);
    Texts { subject, paragraphs, label }
}

fn read_only(Debt { number, due }: Debt<'_>, next: Next, organization: &str) -> Texts {
    let mut all = vec![
        format!(
            "{organization} ist schreibgeschützt, weil {due} für die Rechnung {number} nicht rechtzeitig bezahlt wurden."
        ),
        "Alles kann gelesen und exportiert, aber nicht geändert werden. Sobald die Rechnung bezahlt ist, endet das."
            .to_owned(),
    ];
    all.extend(then(next, organization));
    let (subject, paragraphs, label) =
        (format!("{organization} ist schreibgeschützt: Rechnung {number} ist nicht bezahlt"), all, PAY);
    Texts { subject, paragraphs, label }
}

fn date(date: Date) -> String {
    const MONTHS: [&str; 12] = [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ];
    let month = usize::try_from(date.month() - 1).ok().and_then(|month| MONTHS.get(month)).copied();
    format!("{}. {} {}", date.day(), month.unwrap_or_default(), date.year())
}

/// The end of a sentence about a document.
fn attached(file: File) -> &'static str {
    match file {
        File::Attached => " ist als PDF angehängt.",
        File::TooLarge => {
            " wurde ausgestellt. Das PDF ist zu groß für einen Anhang: Laden Sie es über den Link herunter."
        }
        File::Missing => " wurde ausgestellt. Das PDF ist noch nicht fertig: Sie finden es später hinter dem Link.",
    }
}

fn payment(pay: &Pay<'_>, number: &str, organization: &str) -> Vec<String> {
    match pay {
        Pay::Paid => vec!["Sie ist bezahlt: Es ist nichts zu tun.".to_owned()],
        Pay::Nothing => vec!["Für sie ist nichts mehr zu zahlen.".to_owned()],
        Pay::Transfer { until, account } => {
            let until = format!("Bitte zahlen Sie bis zum {}.", date(*until));
            [until].into_iter().chain(account.as_ref().map(|account| transfer(account, number))).collect()
        }
        Pay::Charge { method } => {
            vec![format!("Der Betrag wird von Ihrem Zahlungsmittel mit den Endziffern {method} abgebucht.")]
        }
        Pay::NoMethod { next } => {
            let add = "Es gibt kein Zahlungsmittel, das belastet werden kann. Fügen Sie eines hinzu: Die Rechnung wird dann \
                       damit bezahlt.";
            [add.to_owned()].into_iter().chain(then(Next { charge_on: None, ..*next }, organization)).collect()
        }
    }
}

fn transfer(Account { holder, iban: number, bic }: &Account<'_>, reference: &str) -> String {
    let bic = bic.map_or_else(String::new, |bic| format!(", BIC {bic}"));
    format!("Überweisen Sie an {holder}, IBAN {}{bic}, Verwendungszweck {reference}.", iban(number))
}

/// What happens next if an invoice is not paid.
fn then(next: Next, organization: &str) -> Option<String> {
    let again = next.charge_on.map(|on| format!("Die Abbuchung wird am {} erneut versucht.", date(on)));
    let consequence = match (next.read_only_on, next.ends_on) {
        (Some(on), _) => Some(format!(
            "Wird die Rechnung nicht vor dem {} bezahlt, ist {organization} von da an schreibgeschützt.",
            date(on)
        )),
        (None, Some(on)) => {
            Some(format!("Wird sie nicht vor dem {} bezahlt, endet das Abonnement an diesem Tag.", date(on)))
        }
        (None, None) => None,
    };
    let all: Vec<String> = [again, consequence].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(" "))
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::InsufficientFunds => "Grund: Das Konto ist nicht gedeckt, oder das Limit der Karte ist erreicht.",
        Why::Expired => "Grund: Die Karte ist abgelaufen. Fügen Sie eine andere hinzu.",
        Why::Blocked => "Grund: Die Karte ist gesperrt. Fügen Sie eine andere hinzu.",
        Why::NotConfirmed => "Grund: Die Zahlung wurde nicht bei der Bank bestätigt.",
        Why::Technical => "Grund: Die Bank war nicht erreichbar.",
        Why::Declined => "Grund: Die Bank hat sie ohne Angabe von Gründen abgelehnt.",
    }
}

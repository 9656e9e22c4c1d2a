//! English.

use jiff::civil::Date;
use porttask_domain::billing::credit_note::CreditReason;

use super::{
    Account, ChargeFailed, CreditNoteIssued, Debt, File, InvoiceIssued, Message, Next, Pay, Receipt, Reminder, Texts,
    Way, Why, iban,
};

const SEE: &str = "Open the invoice";
const PAY: &str = "Pay the invoice";

pub(super) fn texts(message: &Message<'_>, organization: &str) -> Texts {
    let (subject, paragraphs, label) = match message {
        Message::Invoice(issued) => return invoice(issued, organization),
        Message::CreditNote(issued) => return credit_note(issued, organization),
        Message::Receipt(receipt) => return receipt_of(receipt, organization),
        Message::ChargeFailed(debt, failed) => return charge_failed(*debt, failed, organization),
        Message::Reminder(debt, reminder) => return reminded(*debt, reminder, organization),
        Message::ConfirmationRequired(Debt { number, due }) => {
            let asks =
                format!("Your bank asks you to confirm the payment of {due} for invoice {number} of {organization}.");
            let all = vec![asks, "Without it, the invoice is not paid.".to_owned()];
            (format!("Please confirm the payment of invoice {number}"), all, PAY)
        }
        Message::NoMethod(Debt { number, due }, next) => {
            let mut all = vec![
                format!("{due} for invoice {number} of {organization} could not be charged."),
                "There is no payment method that can be charged. Add one: the invoice is then paid with it.".to_owned(),
            ];
            all.extend(then(*next, organization));
            (format!("Payment of invoice {number} failed: no payment method"), all, PAY)
        }
        Message::ReadOnly(debt, next) => return read_only(*debt, *next, organization),
        Message::Ended(Debt { number, due }) => {
            let all = vec![
                format!(
                    "The subscription of {organization} has ended, because {due} for invoice {number} were not paid."
                ),
                "The amount is still owed.".to_owned(),
            ];
            (format!("The subscription of {organization} has ended: invoice {number} is not paid"), all, SEE)
        }
        Message::TransferRequested => (
            format!("{organization} asks to pay by transfer"),
            vec![format!("{organization} asks to receive invoices that are paid by transfer. Grant or refuse it.")],
            "Decide",
        ),
        Message::TransferGranted { days } => (
            "Your invoices are paid by transfer".to_owned(),
            vec![format!("Invoices of {organization} are now paid by transfer within {days} days of their issue.")],
            "Open the tax details",
        ),
        Message::TransferRefused => (
            "Your invoices are still charged automatically".to_owned(),
            vec![
                format!("The request of {organization} to pay invoices by transfer was refused."),
                "Your invoices are charged to your payment method, as before.".to_owned(),
            ],
            "Open the tax details",
        ),
        Message::ChargedFromNowOn => (
            "Your invoices are charged automatically".to_owned(),
            vec![format!("New invoices of {organization} are charged to your payment method from now on.")],
            "Open the tax details",
        ),
    };
    Texts { subject, paragraphs, label }
}

fn invoice(issued: &InvoiceIssued<'_>, organization: &str) -> Texts {
    let InvoiceIssued { number, total, due, replaces, pay, file } = issued;
    let mut all = vec![format!("Invoice {number} for {organization} over {total}{}", attached(*file))];
    all.extend(replaces.map(|other| {
        format!("It replaces invoice {other}, which is credited as a whole by a credit note of its own.")
    }));
    if due != total && due.is_positive() {
        all.push(format!("Of it, {due} are due: the rest is paid or credited already."));
    }
    all.extend(payment(pay, number, organization));
    let (subject, paragraphs, label) = (format!("Invoice {number}: {total}"), all, SEE);
    Texts { subject, paragraphs, label }
}

fn credit_note(issued: &CreditNoteIssued<'_>, organization: &str) -> Texts {
    let CreditNoteIssued { number, invoice, total, reason, to_due, to_balance, to_refund, file } = issued;
    let why = match reason {
        CreditReason::Change => "The subscription changed.",
        CreditReason::Cancellation => "The invoice or the subscription was canceled.",
        CreditReason::Goodwill => "It is a courtesy.",
        CreditReason::Error => "The invoice was wrong.",
    };
    let to = [
        (to_due, "lower what is due for the invoice"),
        (to_balance, "are added to your balance, which pays the next invoices"),
        (to_refund, "are paid back to your payment method"),
    ];
    let to = to.iter().filter(|(amount, _)| amount.is_positive());
    let to: Vec<String> = to.map(|(amount, what)| format!("{amount} {what}.")).collect();
    let first = format!("Credit note {number} for {organization} over {total}{}", attached(*file));
    let all = vec![first, format!("It credits invoice {invoice}. Reason: {why}"), to.join(" ")];
    let (subject, paragraphs, label) =
        (format!("Credit note {number} for invoice {invoice}: {total}"), all, "Open the credit note");
    Texts { subject, paragraphs, label }
}

fn receipt_of(receipt: &Receipt<'_>, organization: &str) -> Texts {
    let Receipt { number, amount, on, way, due, surplus } = receipt;
    let way = match way {
        Way::Method { brand, last4 } => format!(" from {brand} ending in {last4}"),
        Way::Transfer { reference } => format!(" by transfer, with the reference {reference}"),
        Way::Other => String::new(),
    };
    let on = date(*on);
    let mut all = vec![format!("We received {amount} for invoice {number} of {organization} on {on}{way}.")];
    all.push(match due.is_positive() {
        true => format!("{due} are still due."),
        false => "The invoice is paid. Thank you.".to_owned(),
    });
    if surplus.is_positive() {
        all.push(format!("{surplus} more than what was due are added to your balance."));
    }
    let (subject, paragraphs, label) = (format!("Receipt: {amount} for invoice {number}"), all, SEE);
    Texts { subject, paragraphs, label }
}

fn charge_failed(Debt { number, due }: Debt<'_>, failed: &ChargeFailed<'_>, organization: &str) -> Texts {
    let ChargeFailed { method, why, next } = failed;
    let method = method.map_or_else(String::new, |(brand, last4)| format!(" to {brand} ending in {last4}"));
    let failed = format!("{due} for invoice {number} of {organization} could not be charged{method}.");
    let mut all = vec![failed, reason(*why).to_owned()];
    all.extend(then(*next, organization));
    all.push("You can pay the invoice now, with this or another payment method.".to_owned());
    let (subject, paragraphs, label) = (format!("Payment of invoice {number} failed"), all, PAY);
    Texts { subject, paragraphs, label }
}

fn reminded(Debt { number, due }: Debt<'_>, reminder: &Reminder<'_>, organization: &str) -> Texts {
    let Reminder { until, days_overdue, account, next } = reminder;
    let (subject, when) = match days_overdue {
        ..=0 => (format!("Invoice {number} is due on {}", date(*until)), format!("are due on {}", date(*until))),
        1 => (format!("Invoice {number} is overdue"), "were due yesterday".to_owned()),
        days => (format!("Invoice {number} is overdue"), format!("were due on {}, {days} days ago", date(*until))),
    };
    let mut all = vec![format!("{due} for invoice {number} of {organization} {when}.")];
    all.extend(account.as_ref().map(|account| transfer(account, number)));
    all.extend(then(*next, organization));
    all.push("If you have paid already, no reply is needed.".to_owned());
    let (subject, paragraphs, label) = (subject, all, SEE);
    Texts { subject, paragraphs, label }
}

fn read_only(Debt { number, due }: Debt<'_>, next: Next, organization: &str) -> Texts {
    let mut all = vec![
        format!("{organization} is read-only, because {due} for invoice {number} were not paid in time."),
        "Everything can be read and exported, but not changed. Paying the invoice ends this at once.".to_owned(),
    ];
    all.extend(then(next, organization));
    let (subject, paragraphs, label) = (format!("{organization} is read-only: invoice {number} is not paid"), all, PAY);
    Texts { subject, paragraphs, label }
}

fn date(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// The end of a sentence about a document.
fn attached(file: File) -> &'static str {
    match file {
        File::Attached => " is attached as a PDF.",
        File::TooLarge => " was issued. Its PDF is too large to be attached: download it by the link below.",
        File::Missing => " was issued. Its PDF is not ready yet: you find it behind the link below later.",
    }
}

fn payment(pay: &Pay<'_>, number: &str, organization: &str) -> Vec<String> {
    match pay {
        Pay::Paid => vec!["It is paid: there is nothing to do.".to_owned()],
        Pay::Nothing => vec!["Nothing is due for it any more.".to_owned()],
        Pay::Transfer { until, account } => {
            let until = format!("Please pay it by {}.", date(*until));
            [until].into_iter().chain(account.as_ref().map(|account| transfer(account, number))).collect()
        }
        Pay::Charge { method } => vec![format!("The amount is charged to your payment method ending in {method}.")],
        Pay::NoMethod { next } => {
            let add = "There is no payment method that can be charged. Add one: the invoice is then paid with it.";
            [add.to_owned()].into_iter().chain(then(Next { charge_on: None, ..*next }, organization)).collect()
        }
    }
}

fn transfer(Account { holder, iban: number, bic }: &Account<'_>, reference: &str) -> String {
    let bic = bic.map_or_else(String::new, |bic| format!(", BIC {bic}"));
    format!("Transfer it to {holder}, IBAN {}{bic}, with the reference {reference}.", iban(number))
}

/// What happens next if an invoice is not paid.
fn then(next: Next, organization: &str) -> Option<String> {
    let again = next.charge_on.map(|on| format!("The payment is tried again on {}.", date(on)));
    let consequence = match (next.read_only_on, next.ends_on) {
        (Some(on), _) => {
            Some(format!("If the invoice is not paid before {}, {organization} becomes read-only then.", date(on)))
        }
        (None, Some(on)) => Some(format!("If it is not paid before {}, the subscription ends then.", date(on))),
        (None, None) => None,
    };
    let all: Vec<String> = [again, consequence].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(" "))
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::InsufficientFunds => "Reason: the account has not enough money, or the limit of the card is reached.",
        Why::Expired => "Reason: the card has expired. Add another one.",
        Why::Blocked => "Reason: the card is blocked. Add another one.",
        Why::NotConfirmed => "Reason: the payment was not confirmed with the bank.",
        Why::Technical => "Reason: the bank could not be reached.",
        Why::Declined => "Reason: the bank declined it, and gave no reason.",
    }
}

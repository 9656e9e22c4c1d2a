//! Invoices.

use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        Currency,
        billing_document::{InvoiceId, Issued},
        invoice::{Event, InvoiceKind, ManualLine, Step},
    },
};

use super::plan::money;
use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    id_columns, normalized, row, text_columns,
};

id_columns!(InvoiceId);

porttask_domain::texts! {
    /// The status of an invoice.
    pub enum Status {
        /// A super admin prepares it.
        Draft = "draft",
        /// Something is due.
        Open = "open",
        /// Nothing is due.
        Paid = "paid",
        /// Canceled.
        Void = "void",
        /// No longer expected to be paid.
        Uncollectible = "uncollectible",
        /// A draft that was not issued.
        Discarded = "discarded",
    }
}

text_columns!(Status, InvoiceKind);

row! {
    /// An invoice.
    pub struct Invoice {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            invoice: InvoiceId,
        }
        row {
            /// The status.
            status: Status,
            /// Why it was issued.
            kind: InvoiceKind,
            /// The number; empty for a draft.
            invoice_number: String,
            /// The number as it is searched.
            normalized_number: String,
            /// The date of issue; empty for a draft.
            issue_date: String,
            /// The date until which it is to be paid; empty for a draft.
            due_date: String,
            /// The currency.
            currency: String,
            /// Without tax, in minor units of the currency; 0 for a draft.
            net: u64,
            /// The tax.
            tax: u64,
            /// With tax.
            total: u64,
            /// What is due.
            due: u64,
            /// What was credited.
            credited: u64,
            /// Whether it ever held money.
            was_settled: bool,
            /// Since when something is due; the end of the world if nothing is.
            open_since: Timestamp,
            /// The SHA-256 of the PDF; empty while it is not stored.
            pdf: String,
            /// The SHA-256 of the electronic invoice; empty if there is none.
            xml: String,
            /// The next step of its collection; null if none is planned.
            next_step: Option<String>,
            /// When that step is due.
            next_step_at: Option<Timestamp>,
            /// When it was drafted or issued.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which invoices are there, and what is due?
pub struct Invoices;

impl ReadModel for Invoices {
    const NAME: &'static str = "invoices";
    const VERSION: u32 = 3;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_age", columns: &["organization", "created_at", "invoice"] },
        Index { name: "by_number", columns: &["organization", "invoice_number", "invoice"] },
        Index { name: "by_total", columns: &["organization", "total", "invoice"] },
        Index { name: "by_due_date", columns: &["organization", "due_date", "invoice"] },
        Index { name: "by_pdf", columns: &["organization", "pdf"] },
        Index { name: "by_xml", columns: &["organization", "xml"] },
    ];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "all_by_age", columns: &["created_at", "organization", "invoice"] },
        Index { name: "all_by_number", columns: &["invoice_number", "organization", "invoice"] },
        Index { name: "all_by_total", columns: &["total", "organization", "invoice"] },
        Index { name: "all_by_due_date", columns: &["due_date", "organization", "invoice"] },
        Index { name: "all_open", columns: &["open_since", "organization", "invoice"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_number"];
    type Source = Event;
    type Row = Invoice;

    fn project(row: Option<Invoice>, event: &Event, recorded: &Recorded) -> Change<Invoice> {
        let mut row = row.unwrap_or_else(|| drafted(recorded));
        row.version = recorded.version;
        match event {
            Event::Drafted { currency, .. } => row.currency = currency.to_string(),
            Event::DraftChanged { .. } | Event::BuiltOn { .. } | Event::CreditReturned { .. } => {}
            Event::DraftDiscarded {} => row.status = Status::Discarded,
            Event::Issued { kind, document, dunning, .. } => {
                row.issue(*kind, document, recorded);
                row.plan(dunning.first().map(|it| (it.step, it.at)));
            }
            Event::BalanceApplied { due, .. } => {
                row.was_settled = true;
                row.owe(*due, recorded);
            }
            Event::PaymentRecorded { due, amount, surplus, .. } => {
                row.was_settled |= amount > surplus;
                row.owe(*due, recorded);
            }
            Event::PaymentReversed { due, .. } => row.owe(*due, recorded),
            Event::Credited { due, amount, .. } => {
                row.credited += amount.unsigned_abs();
                row.owe(*due, recorded);
                if row.credited == row.total && !row.was_settled {
                    row.status = Status::Void;
                }
            }
            Event::Voided { .. } => {
                row.owe(0, recorded);
                row.status = Status::Void;
            }
            Event::MarkedUncollectible { .. } => {
                row.status = Status::Uncollectible;
                row.plan(None);
            }
            Event::Dunned { rest, .. } => row.plan(rest.first().map(|it| (it.step, it.at))),
            Event::PdfStored { sha256, xml_sha256, .. } => {
                row.pdf.clone_from(sha256);
                row.xml = xml_sha256.clone().unwrap_or_default();
            }
        }
        Change::Put(row)
    }
}

fn drafted(recorded: &Recorded) -> Invoice {
    Invoice {
        organization: recorded.organization,
        invoice: InvoiceId(recorded.subject),
        status: Status::Draft,
        kind: InvoiceKind::Manual,
        invoice_number: String::new(),
        normalized_number: String::new(),
        issue_date: String::new(),
        due_date: String::new(),
        currency: String::new(),
        net: 0,
        tax: 0,
        total: 0,
        due: 0,
        credited: 0,
        was_settled: false,
        open_since: super::subscription::NEVER,
        pdf: String::new(),
        xml: String::new(),
        next_step: None,
        next_step_at: None,
        created_at: recorded.time(),
        version: recorded.version,
    }
}

impl Invoice {
    fn issue(&mut self, kind: InvoiceKind, document: &Issued, recorded: &Recorded) {
        let amount = |amount: i64| u64::try_from(amount).unwrap_or_default();
        self.kind = kind;
        self.invoice_number.clone_from(&document.number);
        self.normalized_number = normalized(&document.number);
        (self.issue_date, self.due_date) = (document.issue_date.to_string(), document.due_date.to_string());
        self.currency = document.currency.to_string();
        (self.net, self.tax) = (amount(document.totals.net), amount(document.totals.tax));
        self.total = amount(document.totals.total);
        self.created_at = recorded.time();
        self.owe(document.totals.total, recorded);
    }

    fn owe(&mut self, due: i64, recorded: &Recorded) {
        self.due = u64::try_from(due).unwrap_or_default();
        if self.due == 0 {
            (self.status, self.open_since) = (Status::Paid, super::subscription::NEVER);
            self.plan(None);
        } else if self.status != Status::Uncollectible {
            self.open_since = self.open_since.min(recorded.time());
            self.status = Status::Open;
        }
    }

    fn plan(&mut self, next: Option<(Step, Timestamp)>) {
        (self.next_step, self.next_step_at) = next.map(|(step, at)| (step.as_str().to_owned(), at)).unzip();
    }
}

fn lines_in_words(lines: &[ManualLine]) -> String {
    let one = |line: &ManualLine| format!("{} × {} at {}", line.quantity, line.description, line.unit_price);
    lines.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn due_change(due: i64, currency: Option<Currency>, sink: &mut dyn DescriptionSink) {
    // The events after the issue do not repeat the currency.
    let text = currency.map_or_else(|| due.to_string(), |currency| money(due, currency));
    sink.change("due", None, Some(DisplayValue::Text(&text)));
}

fn dates(from: Date, until: Date) -> String {
    format!("{from} – {until}")
}

/// What happened, for the audit log. Amounts after the issue are minor units of the invoice's currency.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Drafted { currency, lines } => {
            sink.words("drafted an invoice");
            sink.change("currency", None, Some(DisplayValue::Written(currency)));
            sink.change("lines", None, Some(DisplayValue::Text(&lines_in_words(lines))));
        }
        Event::DraftChanged { from, to } => {
            sink.words("changed the draft of an invoice");
            let (from, to) = (lines_in_words(from), lines_in_words(to));
            change_if_different("lines", Some(DisplayValue::Text(&from)), Some(DisplayValue::Text(&to)), sink);
        }
        Event::DraftDiscarded {} => sink.words("discarded the draft of an invoice"),
        Event::Issued { kind, document, .. } => {
            sink.words("issued the invoice ");
            sink.value(DisplayValue::Text(&document.number));
            let total = money(document.totals.total, document.currency);
            sink.change("number", None, Some(DisplayValue::Filtered(&document.number)));
            sink.change("kind", None, Some(DisplayValue::Text(kind.as_str())));
            sink.change("issue_date", None, Some(DisplayValue::Written(&document.issue_date)));
            sink.change("due_date", None, Some(DisplayValue::Written(&document.due_date)));
            sink.change("total", None, Some(DisplayValue::Text(&total)));
            sink.change("treatment", None, Some(DisplayValue::Text(document.treatment.as_str())));
            if let Some((from, until)) = document.dates() {
                sink.change("period", None, Some(DisplayValue::Text(&dates(from, until))));
            }
        }
        Event::BalanceApplied { amount, due } => {
            sink.words("paid from the balance");
            sink.change("amount", None, Some(DisplayValue::Written(amount)));
            due_change(*due, None, sink);
        }
        Event::PaymentRecorded { payment, amount, due, reference, .. } => {
            sink.words("recorded a payment of the invoice");
            sink.change("payment", None, Some(DisplayValue::Filtered(payment)));
            sink.change("amount", None, Some(DisplayValue::Written(amount)));
            change_if_different("reference", None, reference.as_deref().map(DisplayValue::Text), sink);
            due_change(*due, None, sink);
        }
        Event::PaymentReversed { payment, amount, due } => {
            sink.words("recorded that a payment of the invoice was taken back");
            sink.change("payment", None, Some(DisplayValue::Filtered(payment)));
            sink.change("amount", None, Some(DisplayValue::Written(amount)));
            due_change(*due, None, sink);
        }
        Event::Credited { credit_note, amount, due, .. } => {
            sink.words("credited lines of the invoice");
            sink.change("credit_note", None, Some(DisplayValue::Filtered(credit_note)));
            sink.change("amount", None, Some(DisplayValue::Written(amount)));
            due_change(*due, None, sink);
        }
        Event::BuiltOn { invoice, .. } => {
            sink.words("was credited by lines of a later invoice");
            sink.change("invoice", None, Some(DisplayValue::Filtered(invoice)));
        }
        Event::CreditReturned { invoice, credit_note, .. } => {
            sink.words("got back what a later invoice had credited, because that was credited itself");
            sink.change("invoice", None, Some(DisplayValue::Filtered(invoice)));
            sink.change("credit_note", None, Some(DisplayValue::Filtered(credit_note)));
        }
        Event::Voided { credit_note, reason, .. } => {
            sink.words("voided the invoice: ");
            sink.value(DisplayValue::Text(reason));
            sink.change("credit_note", None, Some(DisplayValue::Filtered(credit_note)));
        }
        Event::MarkedUncollectible { reason } => {
            sink.words("marked the invoice as uncollectible: ");
            sink.value(DisplayValue::Text(reason));
        }
        Event::Dunned { step, stage, .. } => {
            sink.words(match step {
                Step::Charge => "asked for another charge of the invoice",
                Step::Remind => "reminded of the invoice",
                Step::BecomeReadOnly => "took away what grows or works, because the invoice is not paid",
                Step::EndUnpaid => "ended the subscription, because the invoice is not paid",
            });
            sink.change("stage", None, Some(DisplayValue::Written(stage)));
        }
        Event::PdfStored { sha256, .. } => {
            sink.words("stored the PDF of the invoice");
            sink.change("sha256", None, Some(DisplayValue::Text(sha256)));
        }
    }
}

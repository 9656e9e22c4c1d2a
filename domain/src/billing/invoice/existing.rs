//! How an existing invoice handles commands and events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, civil::Date};
use rust_decimal::Decimal;

use super::{Command, CreditedLine, Dunning, Event, InvoiceKind, ManualLine, Rejection, Step, must_be_valid};
use crate::billing::{
    Currency,
    amount::rounded,
    billing_account::Collection,
    billing_document::{CreditNoteId, InvoiceId, Issued},
    payment::PaymentId,
    settlement::{Refusal, Settlement, State, Target},
};

/// How late a charge may be before it counts as overtaken by an outage.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// How far apart charges are that an outage overtook.
const BETWEEN_CHARGES: SignedDuration = SignedDuration::from_hours(20);
/// How long nothing is taken away after such a charge.
const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// An invoice that exists.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    currency: Option<Currency>,
    draft: Vec<ManualLine>,
    is_discarded: bool,
    issued: Option<Box<IssuedInvoice>>,
}

/// An invoice that was issued.
#[derive(Debug, Clone)]
pub struct IssuedInvoice {
    /// Why.
    pub kind: InvoiceKind,
    /// How it is collected.
    pub collection: Collection,
    /// What it says.
    pub document: Box<Issued>,
    /// What was paid, credited and refunded.
    pub settlement: Settlement,
    /// How much of each line was credited, without tax.
    pub credited: BTreeMap<u32, i64>,
    /// The credit notes.
    pub credit_notes: Vec<CreditNoteId>,
    /// What it holds of each payment.
    pub payments: BTreeMap<PaymentId, i64>,
    /// The references of transfers.
    references: BTreeSet<String>,
    /// The later invoices that credit its lines.
    built_on: BTreeSet<InvoiceId>,
    /// The credit notes over later invoices that returned what those had credited.
    returned: BTreeSet<CreditNoteId>,
    /// What is planned while it is not paid.
    pub dunning: Vec<Dunning>,
    /// How often each step was carried out.
    stages: BTreeMap<Step, u32>,
    /// The hash and the length of its PDF, and the hash of the e-invoice.
    pub pdf: Option<(String, u64, Option<String>)>,
    /// The invoice that it replaces.
    pub replaces: Option<InvoiceId>,
}

/// The amount of a line by hand in minor units; `None` if it is too large or has a fraction.
pub(super) fn gross(line: &ManualLine, currency: Currency) -> Option<i64> {
    let scale = Decimal::from(10_i64.pow(currency.exponent()));
    let exact = line.unit_price.checked_mul(scale)?.checked_mul(Decimal::from(line.quantity))?;
    rounded(exact).ok()
}

impl Existing {
    /// The currency.
    pub fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// The lines of the draft, with their amounts in minor units; `None` if it is not a draft.
    pub fn draft(&self) -> Option<Vec<(&ManualLine, i64)>> {
        let currency = self.currency.filter(|_| self.issued.is_none() && !self.is_discarded)?;
        self.draft.iter().map(|line| Some((line, gross(line, currency)?))).collect()
    }

    /// The lines that a super admin drafted, also once they are issued.
    pub fn drafted(&self) -> &[ManualLine] {
        &self.draft
    }

    /// What was issued; `None` while it is a draft.
    pub fn issued(&self) -> Option<&IssuedInvoice> {
        self.issued.as_deref()
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.issued, command) {
            (Some(issued), command) => issued.decide(command),
            (None, Command::Issue { kind, collection, document, dunning, replaces }) if !self.is_discarded => {
                let (kind, collection, replaces) = (*kind, *collection, *replaces);
                let dunning = if document.totals.total > 0 { dunning.clone() } else { Vec::new() };
                Ok(vec![Event::Issued { kind, collection, document: document.clone(), dunning, replaces }])
            }
            (None, Command::Draft { .. }) if !self.is_discarded => Ok(vec![]),
            (None, Command::ChangeDraft { lines }) if !self.is_discarded => {
                must_be_valid(lines)?;
                let currency = self.currency.ok_or(Rejection::NotFound)?;
                if lines.iter().any(|line| gross(line, currency).is_none()) {
                    return Err(Rejection::TooLarge);
                }
                match *lines == self.draft {
                    true => Ok(vec![]),
                    false => Ok(vec![Event::DraftChanged { from: self.draft.clone(), to: lines.clone() }]),
                }
            }
            (None, Command::DiscardDraft) if self.is_discarded => Ok(vec![]),
            (None, Command::DiscardDraft) => Ok(vec![Event::DraftDiscarded {}]),
            (None, Command::Draft { .. } | Command::ChangeDraft { .. } | Command::Issue { .. }) => {
                Err(Rejection::NotDraft)
            }
            (None, _) => Err(Rejection::NotIssued),
        }
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Drafted { currency, lines } => (self.currency, self.draft) = (Some(*currency), lines.clone()),
            Event::DraftChanged { to, .. } => self.draft.clone_from(to),
            Event::DraftDiscarded {} => self.is_discarded = true,
            Event::Issued { kind, collection, document, dunning, replaces } => {
                self.currency = Some(document.currency);
                self.issued = Some(Box::new(IssuedInvoice {
                    kind: *kind,
                    collection: *collection,
                    settlement: Settlement::issued(document.totals.total),
                    document: document.clone(),
                    credited: BTreeMap::new(),
                    credit_notes: Vec::new(),
                    payments: BTreeMap::new(),
                    references: BTreeSet::new(),
                    built_on: BTreeSet::new(),
                    returned: BTreeSet::new(),
                    dunning: dunning.clone(),
                    stages: BTreeMap::new(),
                    pdf: None,
                    replaces: *replaces,
                }));
            }
            Event::BalanceApplied { .. }
            | Event::PaymentRecorded { .. }
            | Event::PaymentReversed { .. }
            | Event::Credited { .. }
            | Event::BuiltOn { .. }
            | Event::CreditReturned { .. }
            | Event::Voided { .. }
            | Event::MarkedUncollectible { .. }
            | Event::Dunned { .. }
            | Event::PdfStored { .. } => {
                if let Some(issued) = &mut self.issued {
                    issued.evolve(event);
                }
            }
        }
    }
}

impl IssuedInvoice {
    /// What is due.
    pub fn due(&self) -> i64 {
        self.settlement.due()
    }

    /// How much of a line is left to be credited, without tax.
    pub fn left_of(&self, line: u32) -> Option<i64> {
        let found = self.document.lines.iter().find(|it| it.id == line)?;
        Some(found.net - self.credited.get(&line).copied().unwrap_or_default())
    }

    /// The later invoices that credit its lines, or replace it.
    pub fn built_on(&self) -> impl Iterator<Item = InvoiceId> {
        self.built_on.iter().copied()
    }

    /// How often a step was carried out.
    pub fn stage(&self, step: Step) -> u32 {
        self.stages.get(&step).copied().unwrap_or_default()
    }

    fn must_be_creditable(&self, lines: &[CreditedLine]) -> Result<(), Rejection> {
        let mut wanted: BTreeMap<u32, i64> = BTreeMap::new();
        for credited in lines {
            *wanted.entry(credited.line).or_default() += credited.net;
        }
        for (line, net) in wanted {
            let left = self.left_of(line).ok_or(Rejection::NoLine(line))?;
            let is_possible = if left >= 0 { (0..=left).contains(&net) } else { (left..=0).contains(&net) };
            if !is_possible {
                return Err(Rejection::LineCredited(line));
            }
        }
        Ok(())
    }

    /// Whether so much of lines was credited that it can be returned.
    fn must_be_credited(&self, lines: &[CreditedLine]) -> Result<(), Rejection> {
        let mut returned: BTreeMap<u32, i64> = BTreeMap::new();
        for it in lines {
            *returned.entry(it.line).or_default() += it.net;
        }
        for (line, net) in returned {
            let credited = self.credited.get(&line).copied().ok_or(Rejection::NoLine(line))?;
            if net.signum() != credited.signum() || net.abs() > credited.abs() {
                return Err(Rejection::NotCredited(line));
            }
        }
        Ok(())
    }

    fn after(&self, step: impl FnOnce(&mut Settlement) -> Result<(), Refusal>) -> Result<Settlement, Rejection> {
        let mut settlement = self.settlement;
        (settlement.balance, settlement.refunded) = (0, 0);
        step(&mut settlement)?;
        Ok(settlement)
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Draft { .. } | Command::Issue { .. } => Ok(vec![]),
            Command::ChangeDraft { .. } | Command::DiscardDraft => Err(Rejection::NotDraft),
            Command::ApplyBalance { amount, balance } => {
                let after = self.after(|it| {
                    it.balance = *balance;
                    it.apply_balance(*amount)
                })?;
                Ok(vec![Event::BalanceApplied { amount: *amount, due: after.due() }])
            }
            Command::RecordPayment { payment, amount } => self.paid(*payment, *amount, None),
            Command::MarkPaid { payment, amount, reference, paid_on, allow_duplicate, today } => {
                if *paid_on > *today {
                    return Err(Rejection::Date("a payment cannot be in the future"));
                }
                if self.references.contains(reference) && !allow_duplicate && !self.payments.contains_key(payment) {
                    return Err(Rejection::DuplicateReference);
                }
                self.paid(*payment, *amount, Some((reference, *paid_on)))
            }
            Command::ReversePayment { payment, amount } => {
                if self.payments.get(payment).is_none_or(|held| held < amount) {
                    return Err(Rejection::NoPayment);
                }
                let due = self.after(|it| it.reverse_payment(*amount))?.due();
                Ok(vec![Event::PaymentReversed { payment: *payment, amount: *amount, due }])
            }
            Command::Credit { credit_note, .. } if self.credit_notes.contains(credit_note) => Ok(vec![]),
            Command::Credit { credit_note, amount, lines, to } => self.credit(*credit_note, *amount, lines, *to),
            Command::BuildOn { invoice, .. } if self.built_on.contains(invoice) => Ok(vec![]),
            Command::BuildOn { invoice, lines } => {
                self.must_be_creditable(lines)?;
                Ok(vec![Event::BuiltOn { invoice: *invoice, lines: lines.clone() }])
            }
            Command::ReturnCredit { credit_note, .. } if self.returned.contains(credit_note) => Ok(vec![]),
            Command::ReturnCredit { invoice, credit_note, lines } => {
                self.must_be_credited(lines)?;
                let (invoice, credit_note, lines) = (*invoice, *credit_note, lines.clone());
                Ok(vec![Event::CreditReturned { invoice, credit_note, lines }])
            }
            Command::Void { .. } if self.settlement.state == State::Void => Ok(vec![]),
            Command::Void { .. } if !self.credited.is_empty() => Err(Rejection::BuiltOn),
            Command::Void { credit_note, reason } => {
                let to_balance = self.after(Settlement::void)?.balance;
                let reason = reason.as_str().to_owned();
                Ok(vec![Event::Voided { credit_note: *credit_note, reason, to_balance }])
            }
            Command::MarkUncollectible { .. } if self.settlement.state == State::Uncollectible => Ok(vec![]),
            Command::MarkUncollectible { reason, today } => {
                self.after(|it| {
                    it.is_overdue = self.is_overdue(*today);
                    it.mark_uncollectible()
                })?;
                Ok(vec![Event::MarkedUncollectible { reason: reason.clone() }])
            }
            Command::Dun { now } => Ok(self.dunned(*now)),
            Command::StorePdf { .. } if self.pdf.is_some() => Ok(vec![]),
            Command::StorePdf { sha256, bytes, xml_sha256 } => {
                let (sha256, bytes, xml_sha256) = (sha256.clone(), *bytes, xml_sha256.clone());
                Ok(vec![Event::PdfStored { sha256, bytes, xml_sha256 }])
            }
        }
    }

    /// Whether it is past its due date. What is collected automatically is due when it is issued.
    pub fn is_overdue(&self, today: Date) -> bool {
        self.due() > 0 && today > self.document.due_date
    }

    fn paid(
        &self,
        payment: PaymentId,
        amount: i64,
        transfer: Option<(&String, Date)>,
    ) -> Result<Vec<Event>, Rejection> {
        if self.payments.contains_key(&payment) {
            return Ok(vec![]);
        }
        let after = self.after(|it| it.pay(amount))?;
        let (reference, paid_on) = transfer.map(|(reference, on)| (reference.clone(), on)).unzip();
        let (surplus, due) = (after.balance, after.due());
        Ok(vec![Event::PaymentRecorded { payment, amount, surplus, due, reference, paid_on }])
    }

    fn credit(
        &self,
        credit_note: CreditNoteId,
        amount: i64,
        lines: &[CreditedLine],
        to: Target,
    ) -> Result<Vec<Event>, Rejection> {
        self.must_be_creditable(lines)?;
        let after = self.after(|it| it.credit(amount, to))?;
        Ok(vec![Event::Credited {
            credit_note,
            amount,
            lines: lines.to_vec(),
            to_balance: after.balance,
            to_refund: after.refunded,
            due: after.due(),
        }])
    }

    /// The next step that is due. Reminders and charges that an outage overtook are dropped but the last; what follows a
    /// late charge waits, so that the charge can still arrive.
    fn dunned(&self, now: Timestamp) -> Vec<Event> {
        let count = self.dunning.iter().take_while(|it| it.at <= now).count();
        let Some(first) = self.dunning[..count].first().copied() else { return Vec::new() };
        if self.due() == 0 {
            return Vec::new();
        }
        let same = self.dunning[..count].iter().take_while(|it| it.step == first.step).count();
        let mut rest = self.dunning[same..].to_vec();
        if first.step == Step::Charge && now.duration_since(first.at) > LATE {
            for later in &mut rest {
                let pause = if later.step == Step::Charge { BETWEEN_CHARGES } else { GRACE };
                later.at = later.at.max(now + pause);
            }
        }
        let stage = self.stage(first.step) + u32::try_from(same).unwrap_or(1);
        vec![Event::Dunned { step: first.step, stage, rest }]
    }

    fn evolve(&mut self, event: &Event) {
        let settlement = &mut self.settlement;
        // What was decided by the same arithmetic cannot be refused by it.
        match event {
            Event::BalanceApplied { amount, .. } => {
                settlement.balance = *amount;
                _ = settlement.apply_balance(*amount);
            }
            Event::PaymentRecorded { payment, amount, surplus, reference, .. } => {
                _ = settlement.pay(*amount);
                self.payments.insert(*payment, amount - surplus);
                self.references.extend(reference.clone());
            }
            Event::PaymentReversed { payment, amount, .. } => {
                _ = settlement.reverse_payment(*amount);
                if let Some(held) = self.payments.get_mut(payment) {
                    *held -= amount;
                }
                self.dunning.clear();
            }
            Event::Credited { credit_note, amount, lines, to_refund, .. } => {
                _ = settlement.credit(*amount, if *to_refund > 0 { Target::Refund } else { Target::Balance });
                self.credit_notes.push(*credit_note);
                self.count_credited(lines);
            }
            Event::BuiltOn { invoice, lines } => {
                self.built_on.insert(*invoice);
                self.count_credited(lines);
            }
            Event::CreditReturned { credit_note, lines, .. } => {
                self.returned.insert(*credit_note);
                let negative = |it: &CreditedLine| CreditedLine { line: it.line, net: -it.net };
                self.count_credited(&lines.iter().map(negative).collect::<Vec<_>>());
            }
            Event::Voided { credit_note, .. } => {
                _ = settlement.void();
                self.credit_notes.push(*credit_note);
            }
            Event::MarkedUncollectible { .. } => {
                settlement.is_overdue = true;
                _ = settlement.mark_uncollectible();
            }
            Event::Dunned { step, stage, rest } => {
                self.stages.insert(*step, *stage);
                self.dunning.clone_from(rest);
            }
            Event::PdfStored { sha256, bytes, xml_sha256 } => {
                self.pdf = Some((sha256.clone(), *bytes, xml_sha256.clone()));
            }
            Event::Drafted { .. } | Event::DraftChanged { .. } | Event::DraftDiscarded {} | Event::Issued { .. } => {}
        }
        self.settlement.balance = 0;
    }

    fn count_credited(&mut self, lines: &[CreditedLine]) {
        for credited in lines {
            *self.credited.entry(credited.line).or_default() += credited.net;
        }
        self.credited.retain(|_, net| *net != 0);
    }
}

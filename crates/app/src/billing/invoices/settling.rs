//! Payments, credit notes, void and correction of invoices. What changes the balance does so in the same append.

use std::collections::BTreeMap;

use porttask_domain::{
    Reason,
    billing::{
        BillingAccount, Currency, Invoice, Payment, Subscription,
        billing_account::{BalanceCause, BillingAccountId},
        billing_document::{CreditNoteId, InvoiceId},
        credit_note::CreditReason,
        invoice::{self, Command, CreditedLine, Existing, InvoiceKind},
        issue,
        payment::{self, PaymentId, RefundId},
        settlement::Target,
        subscription::{self, SubscriptionId},
    },
};
use porttask_runtime::execute::{ExecuteError, Tx};

use super::{
    issuing::{Draft, Parties, change_balance, derived},
    rejected,
};

/// An issued invoice of the request's organization.
async fn issued(tx: &Tx, id: InvoiceId) -> Result<Existing, ExecuteError> {
    let invoice: Invoice = tx.read(id).await?;
    let existing = invoice.existing().ok_or_else(|| rejected(invoice::Rejection::NotFound))?;
    match existing.issued() {
        Some(_) => Ok(existing.clone()),
        None => Err(rejected(invoice::Rejection::NotIssued)),
    }
}

fn due_of(existing: &Existing) -> (i64, Option<Currency>) {
    (existing.issued().map_or(0, |it| it.due()), existing.currency())
}

/// Records a payment of an invoice. What is above due goes to the balance; what was past due is not any more.
///
/// # Errors
/// If the invoice is void, or the log fails.
pub async fn pay(tx: &Tx, id: InvoiceId, payment: PaymentId, amount: i64) -> Result<(), ExecuteError> {
    settle(tx, id, &Command::RecordPayment { payment, amount }, amount).await
}

/// Records a transfer.
///
/// # Errors
/// If a rule rejects it, or the log fails.
pub async fn mark_paid(tx: &Tx, id: InvoiceId, command: &Command) -> Result<(), ExecuteError> {
    let Command::MarkPaid { payment, amount, reference, paid_on, .. } = command else {
        return Err(ExecuteError::Malformed("not a transfer".to_owned()));
    };
    let (_, currency) = due_of(&issued(tx, id).await?);
    let currency = currency.ok_or_else(|| rejected(invoice::Rejection::NotIssued))?;
    settle(tx, id, command, *amount).await?;
    let record = payment::Command::RecordManually {
        target: payment::Target::Invoice(id.0),
        amount: *amount,
        currency,
        reference: reference.clone(),
        paid_on: *paid_on,
    };
    tx.decide::<Payment>(*payment, &record).await
}

async fn settle(tx: &Tx, id: InvoiceId, command: &Command, amount: i64) -> Result<(), ExecuteError> {
    let before = issued(tx, id).await?;
    let (due, currency) = due_of(&before);
    tx.decide::<Invoice>(id, command).await?;
    let after = issued(tx, id).await?;
    let is_new = before.issued().map(|it| it.payments.len()) != after.issued().map(|it| it.payments.len());
    if let Some(currency) = currency.filter(|_| is_new) {
        change_balance(tx, (amount - due).max(0), currency, BalanceCause::Surplus(id)).await?;
    }
    recover(tx, id).await
}

/// Nothing of an invoice is due any more: the subscription is not past due because of it.
///
/// # Errors
/// If the log fails.
pub async fn recover(tx: &Tx, id: InvoiceId) -> Result<(), ExecuteError> {
    if due_of(&issued(tx, id).await?).0 > 0 {
        return Ok(());
    }
    let subscription = SubscriptionId::from(tx.request().organization);
    let state: Subscription = tx.read(subscription).await?;
    if !state.is_past_due(id) {
        return Ok(());
    }
    let command = subscription::Command::Recover { invoice: id, now: tx.now() };
    tx.decide::<Subscription>(subscription, &command).await
}

/// Records that a payment was taken back. The invoice that holds it is open again; what it does not hold went to the
/// balance, also by a credit note, from which it is taken as far as it is still there.
///
/// # Errors
/// If less is left of the payment, or the log fails.
pub async fn reverse(tx: &Tx, payment: PaymentId, command: &payment::Command) -> Result<(), ExecuteError> {
    let before: Payment = tx.read(payment).await?;
    tx.decide::<Payment>(payment, command).await?;
    let after: Payment = tx.read(payment).await?;
    let amount = after.reversed() - before.reversed();
    let Some((target, _, currency)) = before.purpose().filter(|_| amount > 0) else { return Ok(()) };
    let organization = tx.request().organization;
    let invoice = match target {
        payment::Target::Invoice(invoice) => Some(InvoiceId(invoice)),
        payment::Target::Change(change) => {
            tx.read::<Subscription>(organization.into()).await?.invoice_of_change(change)
        }
    };
    // What was not invoiced yet is left to be paid then.
    let Some(id) = invoice else { return Ok(()) };
    let invoice: Invoice = tx.read(id).await?;
    let Some(issued) = invoice.existing().and_then(|it| it.issued()) else { return Ok(()) };
    let held = issued.payments.get(&payment).copied().unwrap_or_default().min(issued.settlement.paid);
    let part = amount.min(held);
    let account: BillingAccount = tx.read(BillingAccountId::from(organization)).await?;
    let rest = (amount - part).min(account.balance(currency));
    change_balance(tx, -rest, currency, BalanceCause::Surplus(id)).await?;
    if part > 0 {
        tx.decide::<Invoice>(id, &Command::ReversePayment { payment, amount: part }).await?;
        super::collecting::become_past_due(tx, id).await?;
    }
    Ok(())
}

/// The draft of a credit note over lines of an invoice. Its tax is what the tax of all that is credited grows by.
pub(super) fn credit_draft(existing: &Existing, id: InvoiceId, lines: &[CreditedLine]) -> Result<Draft, ExecuteError> {
    let issued = existing.issued().ok_or_else(|| rejected(invoice::Rejection::NotIssued))?;
    let document = &issued.document;
    let mut credits = Vec::new();
    for credited in lines {
        let line = document.lines.iter().find(|line| line.id == credited.line);
        let line = line.ok_or_else(|| rejected(invoice::Rejection::NoLine(credited.line)))?;
        let left = issued.left_of(line.id).unwrap_or_default();
        // A line that is itself a credit is only credited with the whole invoice.
        if credited.net.signum() != left.signum() || credited.net.abs() > left.abs() {
            return Err(rejected(invoice::Rejection::LineCredited(line.id)));
        }
        credits.push(issue::credit(line, credited.net, id));
    }
    let too_large = |_| rejected(invoice::Rejection::TooLarge);
    let mut calculated = issue::calculate(credits, false).map_err(too_large)?;
    for group in &mut calculated.groups {
        let of_group = |line: &&porttask_domain::billing::billing_document::Line| line.tax == group.tax;
        let before = |line: &porttask_domain::billing::billing_document::Line| issued.credited.get(&line.id).copied();
        let before = document.lines.iter().filter(of_group).filter_map(before).sum();
        let amount = porttask_domain::billing::tax::credited_tax(before, group.taxable, group.tax.rate);
        group.amount = amount.map_err(too_large)?;
    }
    calculated.totals.tax = calculated.groups.iter().map(|group| group.amount).sum();
    calculated.totals.total = calculated.totals.net + calculated.totals.tax;
    let (currency, treatment) = (document.currency, document.treatment);
    Ok(Draft { currency, treatment, prices_include_tax: false, calculated })
}

/// Credits lines of an invoice.
///
/// # Errors
/// If less is left of a line, less was paid than is to be paid back, or the log fails.
pub async fn credit(
    tx: &Tx,
    id: InvoiceId,
    note: CreditNoteId,
    lines: &[CreditedLine],
    (reason, to): (CreditReason, Target),
) -> Result<(), ExecuteError> {
    let parties = Parties::load(tx).await?;
    let before = issued(tx, id).await?;
    let draft = credit_draft(&before, id, lines)?;
    let is_known = before.issued().is_some_and(|it| it.credit_notes.contains(&note));
    let credited = parties.credit(tx, note, id, draft, (reason, to)).await?;
    if !is_known {
        return_credits(tx, (id, &before), note, lines).await?;
    }
    refund(tx, id, note, credited.to_refund).await?;
    recover(tx, id).await
}

/// Asks for refunds of the payments of an invoice, the latest first.
async fn refund(tx: &Tx, id: InvoiceId, note: CreditNoteId, amount: i64) -> Result<(), ExecuteError> {
    let existing = issued(tx, id).await?;
    let payments: Vec<PaymentId> =
        existing.issued().map(|it| it.payments.keys().copied().collect()).unwrap_or_default();
    let mut left = amount;
    for payment in payments.into_iter().rev() {
        let state: Payment = tx.read(payment).await?;
        // The provider knows nothing of a transfer.
        let part = if state.provider().is_some() { left.min(state.left()) } else { 0 };
        if part > 0 {
            let refund: RefundId = derived(payment, &note.to_string());
            let command = payment::Command::StartRefund { refund, amount: part, credit_note: Some(note.0) };
            tx.decide::<Payment>(payment, &command).await?;
            left -= part;
        }
    }
    match left {
        0 => Ok(()),
        _ => Err(rejected(invoice::Rejection::NotRefundable)),
    }
}

/// Voids an invoice that has no payments.
///
/// # Errors
/// If it has payments, another document credits its lines, or the log fails.
pub async fn void(tx: &Tx, id: InvoiceId, note: CreditNoteId, reason: Reason) -> Result<(), ExecuteError> {
    let existing = issued(tx, id).await?;
    if existing.issued().is_some_and(|it| it.settlement.state == porttask_domain::billing::settlement::State::Void) {
        return Ok(());
    }
    let parties = Parties::load(tx).await?;
    let lines = left(&existing);
    let draft = credit_draft(&existing, id, &lines)?;
    parties.void(tx, note, id, draft, reason).await?;
    return_credits(tx, (id, &existing), note, &lines).await?;
    recover(tx, id).await
}

/// What the credited lines of an invoice had credited themselves can be credited again: it goes back to the invoices before.
async fn return_credits(
    tx: &Tx,
    (id, existing): (InvoiceId, &Existing),
    credit_note: CreditNoteId,
    lines: &[CreditedLine],
) -> Result<(), ExecuteError> {
    let Some(issued) = existing.issued() else { return Ok(()) };
    let mut returned: BTreeMap<InvoiceId, Vec<CreditedLine>> = BTreeMap::new();
    for credited in lines {
        let line = issued.document.lines.iter().find(|line| line.id == credited.line);
        if let Some(before) = line.and_then(|line| line.credits) {
            // The lines of a credit are negative.
            returned.entry(before.invoice).or_default().push(CreditedLine { line: before.line, net: -credited.net });
        }
    }
    for (before, lines) in returned {
        let command = Command::ReturnCredit { invoice: id, credit_note, lines };
        tx.decide::<Invoice>(before, &command).await?;
    }
    Ok(())
}

/// All that is left of the lines of an invoice.
fn left(existing: &Existing) -> Vec<CreditedLine> {
    let Some(issued) = existing.issued() else { return Vec::new() };
    let left = |line: u32| CreditedLine { line, net: issued.left_of(line).unwrap_or_default() };
    issued.document.lines.iter().map(|line| left(line.id)).filter(|it| it.net != 0).collect()
}

/// Credits an invoice and issues it again with the present data of the buyer; what was paid moves to the new one.
///
/// # Errors
/// If another document credits its lines, or the log fails.
pub async fn correct(tx: &Tx, id: InvoiceId, note: CreditNoteId, new: InvoiceId) -> Result<(), ExecuteError> {
    let existing = issued(tx, id).await?;
    let Some(document) = existing.issued().map(|it| it.document.clone()) else {
        return Err(rejected(invoice::Rejection::NotIssued));
    };
    if existing.issued().is_some_and(|it| !it.credited.is_empty()) {
        return Err(rejected(invoice::Rejection::BuiltOn));
    }
    let parties = Parties::load(tx).await?;
    let decision = parties.decide_tax(tx.now())?;
    let whole = credit_draft(&existing, id, &left(&existing))?;
    parties.credit(tx, note, id, whole, (CreditReason::Error, Target::Balance)).await?;
    let mut lines = document.lines.clone();
    for line in &mut lines {
        line.tax = (&decision).into();
    }
    let calculated = issue::calculate(lines, false).map_err(|_| rejected(invoice::Rejection::TooLarge))?;
    let (currency, treatment) = (document.currency, decision.treatment);
    let draft = Draft { currency, treatment, prices_include_tax: false, calculated };
    parties.issue(tx, new, InvoiceKind::Correction, draft, Some(id)).await?;
    // Credits of later changes are about the new one.
    tx.decide::<Invoice>(id, &Command::BuildOn { invoice: new, lines: Vec::new() }).await?;
    // So is the debt: a subscription that was past due still is.
    let subscription = SubscriptionId::from(tx.request().organization);
    let is_past_due = tx.read::<Subscription>(subscription).await?.is_past_due(id);
    if is_past_due && due_of(&issued(tx, new).await?).0 > 0 {
        super::collecting::become_past_due(tx, new).await?;
    }
    recover(tx, id).await
}

/// Issues an invoice that a super admin drafted.
///
/// # Errors
/// If it is not a draft, the account is incomplete, or the log fails.
pub async fn issue_draft(tx: &Tx, id: InvoiceId) -> Result<(), ExecuteError> {
    let invoice: Invoice = tx.read(id).await?;
    let existing = invoice.existing().ok_or_else(|| rejected(invoice::Rejection::NotFound))?;
    if existing.issued().is_some() {
        return Ok(());
    }
    let (Some(lines), Some(currency)) = (existing.draft(), existing.currency()) else {
        return Err(rejected(invoice::Rejection::NotDraft));
    };
    let parties = Parties::load(tx).await?;
    let decision = parties.decide_tax(tx.now())?;
    let source = porttask_domain::billing::billing_document::LineSource::Event { stream: id.to_string(), version: 1 };
    let manual =
        |(line, _): (&invoice::ManualLine, i64)| issue::manual(line, currency, (&decision).into(), source.clone());
    let lines = lines.into_iter().map(manual).collect::<Result<Vec<_>, _>>();
    let calculated = lines.and_then(|lines| issue::calculate(lines, false));
    let calculated = calculated.map_err(|_| rejected(invoice::Rejection::TooLarge))?;
    let draft = Draft { currency, treatment: decision.treatment, prices_include_tax: false, calculated };
    parties.issue(tx, id, InvoiceKind::Manual, draft, None).await
}

/// The id of the credit note that a request for an invoice makes.
pub fn note_of(invoice: InvoiceId, seed: &str) -> CreditNoteId {
    derived(invoice, seed)
}

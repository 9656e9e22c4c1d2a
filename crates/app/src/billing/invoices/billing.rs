//! Documents of subscriptions: periods in advance, use beyond what is included in arrears, changes by the day.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use porttask_domain::{
    TextEnum,
    billing::{
        Invoice, Payment, Subscription, UsageMonth,
        billing_document::{CreditNoteId, Credited, InvoiceId, Line, LineSource, LineTax},
        credit_note::CreditReason,
        invoice::{self, Command, CreditedLine},
        issue,
        payment::{PaymentId, Target as PaidFor},
        period::first_instant,
        settlement::Target,
        subscription::{self, BilledUsage, SubscriptionId, Unbilled, UsageToBill},
        tax::Decision,
        terms::{Held, Meter},
        usage_month::{self, UsageMonthId},
    },
    operations::port_call::PORT_CALLS,
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Executor, Tx},
    ports::tax_registry::TaxRegistry,
    timers::{Timer, TimerHandler, TimerOutcome},
    views::Views,
};

use super::{
    crediting,
    issuing::{Draft, Parties, derived},
    rejected, settling,
};
use crate::billing::{
    accounts::check_before_issue,
    stocks,
    subscriptions::{counted, reach},
};

/// How long what cannot be issued yet waits.
const WAIT: SignedDuration = SignedDuration::from_hours(1);
/// What is missing when an invoice waits, and nobody has to repair anything in the log.
const WAITING: [&str; 5] =
    ["seller-incomplete", "billing-account-incomplete", "vat-id-pending", "tax-rate-missing", "exchange-rate-missing"];

/// Issues what subscriptions lead to.
pub struct BillingTimers {
    meters: Meters,
    registry: Arc<dyn TaxRegistry>,
}

impl BillingTimers {
    /// Reads counters with this executor, and checks VAT ids with this registry.
    pub fn new(executor: Arc<Executor>, registry: Arc<dyn TaxRegistry>) -> Self {
        Self { meters: Meters { executor, views: None }, registry }
    }

    /// Measures averages with these read models.
    #[must_use]
    pub fn with_views(mut self, views: Arc<Views>) -> Self {
        self.meters.views = Some(views);
        self
    }
}

/// What is used of meters is read with these.
pub struct Meters {
    /// Counters and usage months.
    pub executor: Arc<Executor>,
    /// Averages; without them, nothing can be billed by an average.
    pub views: Option<Arc<Views>>,
}

#[async_trait]
impl TimerHandler for BillingTimers {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Kind::Billing.as_str()]
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        let id = SubscriptionId::from(tx.request().organization);
        let before: Subscription = tx.read(id).await?;
        if before.must_bill(tx.now()) {
            check_before_issue(tx, &*self.registry).await?;
        }
        match ready(tx, &before, timer.due_at).await {
            Ok(()) => bill(&self.meters, tx, timer.due_at).await.map(|()| TimerOutcome::Done),
            Err(error) if why_it_waits(&error).is_some() => {
                tracing::debug!(organization = %tx.request().organization, why = why_it_waits(&error), "an invoice waits");
                // What is due of the subscription has the same timer, and does not wait. A change that is being paid has
                // to be looked up first, which is done once it is its turn.
                if before.in_flight().is_none() {
                    reach(tx, tx.now()).await?;
                    let after: Subscription = tx.read(id).await?;
                    if after.events() != before.events() {
                        return Ok(TimerOutcome::Done);
                    }
                }
                Ok(TimerOutcome::Wait(tx.now() + WAIT))
            }
            Err(error) => Err(error),
        }
    }
}

/// Checks that nothing is missing to issue what is to be billed next.
async fn ready(tx: &Tx, subscription: &Subscription, attempted: Timestamp) -> Result<(), ExecuteError> {
    let Some(unbilled) = subscription.unbilled().filter(|_| subscription.must_bill(tx.now())) else { return Ok(()) };
    let parties = Parties::load(tx).await?;
    let decision = parties.decide_tax_of(parties.waiting_since(unbilled.due, attempted), tx.now())?;
    if decision.rate.is_zero() { Ok(()) } else { parties.must_have_rate(unbilled.currency) }
}

/// Issues the documents of the first of what is not billed, if it is due, which was attempted first at a time. All that can
/// be rejected is, before anything is decided.
///
/// # Errors
/// If seller or account are incomplete, tax cannot be decided yet, or the log fails.
pub async fn bill(meters: &Meters, tx: &Tx, attempted: Timestamp) -> Result<(), ExecuteError> {
    let id = SubscriptionId::from(tx.request().organization);
    let subscription: Subscription = tx.read(id).await?;
    let Some(unbilled) = subscription.unbilled().filter(|_| subscription.must_bill(tx.now())) else { return Ok(()) };
    let parties = Parties::load(tx).await?;
    let decision = parties.decide_tax_of(parties.waiting_since(unbilled.due, attempted), tx.now())?;
    let (lines, usage) = lines(meters, tx, (id, &subscription, unbilled), &decision).await?;
    let invoices: Vec<InvoiceId> = subscription.invoices_of_period().collect();
    let planned = plan(tx, unbilled, lines, &invoices, &decision).await?;
    let (mut documents, mut issued) = (Vec::new(), None);
    for (number, (invoice, draft)) in planned.credits.into_iter().enumerate() {
        let note: CreditNoteId = derived(id, &format!("credit {} {number}", unbilled.event));
        let to = (CreditReason::Change, Target::Balance);
        parties.credit(tx, note, invoice, draft, to).await?;
        documents.push(note.to_string());
    }
    if let Some(draft) = planned.charge {
        let invoice: InvoiceId = derived(id, &format!("invoice {}", unbilled.event));
        build_on(tx, invoice, &draft.calculated.lines).await?;
        parties.issue(tx, invoice, unbilled.kind, draft, None).await?;
        if let Some(change) = unbilled.change {
            settle_change(tx, invoice, change).await?;
        }
        documents.push(invoice.to_string());
        issued = Some(invoice);
    }
    let (event, now) = (unbilled.event, tx.now());
    let included_tax = unbilled.prices_include_tax.then_some(decision.rate);
    let command = subscription::Command::Bill { event, documents, invoice: issued, usage, included_tax, now };
    tx.decide::<Subscription>(id, &command).await
}

/// The payment of a change pays its invoice.
async fn settle_change(tx: &Tx, invoice: InvoiceId, change: subscription::ChangeId) -> Result<(), ExecuteError> {
    let id = PaymentId::of(PaidFor::Change(change), 1);
    let payment: Payment = tx.read(id).await?;
    match payment.purpose() {
        // Some of it may have been taken back meanwhile.
        Some(_) if payment.left() > 0 => settling::pay(tx, invoice, id, payment.left()).await,
        _ => Ok(()),
    }
}

/// The lines of an event of a subscription, not numbered yet, and what is billed of usage months with it.
async fn lines(
    meters: &Meters,
    tx: &Tx,
    (id, subscription, unbilled): (SubscriptionId, &Subscription, &Unbilled),
    decision: &Decision,
) -> Result<(Vec<Line>, Vec<BilledUsage>), ExecuteError> {
    let source = LineSource::Event { stream: id.to_string(), version: unbilled.event };
    let tax = LineTax::from(decision);
    let too_large = |_| rejected(invoice::Rejection::TooLarge);
    let recurring = |line| issue::recurring(line, &unbilled.plans, tax.clone(), source.clone());
    let mut lines: Vec<Line> = unbilled.lines.iter().map(recurring).collect();
    let mut usage = Vec::new();
    for month in &unbilled.usage {
        for meter in Meter::ALL.iter().copied().filter(|meter| is_billed(&month.held, *meter)) {
            let (count, of) = measured(meters, tx, meter, (month, &subscription.time_zone())).await?;
            let (dates, tax) = ((month.from, month.until), tax.clone());
            let line = issue::overage(&month.held, meter, count, dates, tax).map_err(too_large)?;
            lines.extend(line.map(|line| from(line, &source, of)));
            usage.push(BilledUsage { from: month.from, meter, count });
        }
    }
    for billed in subscription.billed_months().iter().filter(|_| unbilled.takes_late_usage()) {
        let month = &billed.month;
        for (meter, before) in billed.counts.iter().filter(|(meter, _)| can_be_late(**meter)) {
            let (count, of) = measured(meters, tx, *meter, (month, &subscription.time_zone())).await?;
            if count <= *before {
                continue;
            }
            let (dates, counts, tax) = ((month.from, month.until), (*before, count), tax.clone());
            let line = issue::late_usage(&month.held, *meter, counts, dates, tax).map_err(too_large)?;
            lines.extend(line.map(|line| from(line, &source, of)));
            usage.push(BilledUsage { from: month.from, meter: *meter, count });
        }
    }
    Ok((lines, usage))
}

/// Whether use of a meter beyond what is included costs something.
fn is_billed(held: &Held, meter: Meter) -> bool {
    held.overage_price(meter).is_some() && held.terms.offer.included(meter, held.seats).is_some()
}

/// Whether use of a month can be recorded after the month was billed: requests are recorded day by day, when a node could
/// not do it at once; the rest is counted when it happens.
fn can_be_late(meter: Meter) -> bool {
    match meter {
        Meter::ApiCalls => true,
        Meter::PortCalls | Meter::Users | Meter::StorageBytes => false,
    }
}

/// A line with the events that it follows from: that of the subscription, and the state of the usage month.
fn from(mut line: Line, subscription: &LineSource, usage: Option<LineSource>) -> Line {
    line.sources.push(subscription.clone());
    line.sources.extend(usage);
    line
}

/// What is billed of a meter in a usage month, and the event that says so. Averages are recorded once, because they are
/// billed.
async fn measured(
    meters: &Meters,
    tx: &Tx,
    meter: Meter,
    (month, zone): (&UsageToBill, &TimeZone),
) -> Result<(u64, Option<LineSource>), ExecuteError> {
    let organization = tx.request().organization;
    if meter == Meter::PortCalls {
        let name = format!("{PORT_CALLS} {}", month.from);
        return Ok((counted(&meters.executor, organization, name).await?, None));
    }
    let id = UsageMonthId::new(organization, month.from);
    let mut usage: UsageMonth = tx.read(id).await?;
    if usage.billed(meter).is_none() {
        let views =
            meters.views.as_ref().ok_or_else(|| ExecuteError::Malformed("averages need read models".to_owned()))?;
        let first_instant = |date| first_instant(date, zone).map_err(|_| rejected(invoice::Rejection::TooLarge));
        let range = (first_instant(month.from)?, first_instant(month.until)?);
        let average = stocks::average(views, &meters.executor, organization, meter, range).await?.unwrap_or_default();
        tx.decide::<UsageMonth>(id, &usage_month::Command::Measure { meter, average }).await?;
        usage = tx.read(id).await?;
    }
    let source = LineSource::Event { stream: id.to_string(), version: usage.events() };
    Ok((usage.billed(meter).unwrap_or_default(), Some(source).filter(|_| usage.events() > 0)))
}

/// The documents of lines.
struct Planned {
    credits: Vec<(InvoiceId, Draft)>,
    charge: Option<Draft>,
}

/// Credits and charges share one invoice if their tax is the same and the sum is not negative; otherwise each invoice that
/// is credited has a credit note.
async fn plan(
    tx: &Tx,
    unbilled: &Unbilled,
    mut lines: Vec<Line>,
    invoices: &[InvoiceId],
    decision: &Decision,
) -> Result<Planned, ExecuteError> {
    let mut known = Vec::new();
    let mut open = invoices.to_vec();
    while let Some(id) = open.pop() {
        let invoice: Invoice = tx.read(id).await?;
        // An invoice that was corrected leads to the one that replaces it.
        let later = invoice.existing().and_then(|it| it.issued()).map(|it| it.built_on().collect::<Vec<_>>());
        open.extend(later.into_iter().flatten().filter(|later| !known.iter().any(|(id, _)| id == later)));
        known.push((id, invoice));
    }
    let mut is_shared = lines.iter().map(|line| line.net).sum::<i64>() >= 0 && !unbilled.prices_include_tax;
    let credits: Vec<Line> = lines.iter().filter(|line| line.quantity < 0).cloned().collect();
    for line in lines.iter_mut().filter(|line| line.quantity < 0) {
        match crediting::whole(&known, line) {
            Some((id, found)) => {
                line.credits = Some(Credited { invoice: id, line: found.id });
                is_shared &= found.tax == line.tax;
            }
            // What was never invoiced, because it cost nothing, is not credited.
            None => is_shared &= crediting::parts(&known, std::slice::from_ref(line)).is_empty(),
        }
    }
    lines.retain(|line| line.quantity >= 0 || line.credits.is_some());
    let draft = |lines: Vec<Line>, treatment, prices_include_tax| {
        let calculated = issue::calculate(lines, prices_include_tax);
        let calculated = calculated.map_err(|_| rejected(invoice::Rejection::TooLarge))?;
        Ok::<_, ExecuteError>(Draft { currency: unbilled.currency, treatment, prices_include_tax, calculated })
    };
    let mut notes = Vec::new();
    if !is_shared {
        lines.retain(|line| line.quantity >= 0);
        for (id, parts) in crediting::parts(&known, &credits) {
            let existing = known.iter().find(|(known, _)| *known == id).and_then(|(_, invoice)| invoice.existing());
            if let Some(existing) = existing {
                notes.push((id, settling::credit_draft(existing, id, &parts)?));
            }
        }
    }
    let is_empty = lines.iter().all(|line| line.gross == 0);
    let treatment = decision.treatment;
    let charge = match is_empty {
        true => None,
        false => Some(draft(lines, treatment, unbilled.prices_include_tax)?),
    };
    Ok(Planned { credits: notes, charge })
}

/// Notes at each invoice which of its lines a later one credits.
async fn build_on(tx: &Tx, invoice: InvoiceId, lines: &[Line]) -> Result<(), ExecuteError> {
    let mut credited: Vec<InvoiceId> = lines.iter().filter_map(|line| Some(line.credits?.invoice)).collect();
    credited.dedup();
    for id in credited {
        // The lines of the later invoice are credits: their amounts are negative.
        let own = |line: &Line| {
            let credits = line.credits.filter(|it| it.invoice == id)?;
            Some(CreditedLine { line: credits.line, net: -line.net })
        };
        let command = Command::BuildOn { invoice, lines: lines.iter().filter_map(own).collect() };
        tx.decide::<Invoice>(id, &command).await?;
    }
    Ok(())
}

/// The status of what waits: the slug of the rejection, for people who look at it.
pub fn why_it_waits(error: &ExecuteError) -> Option<&'static str> {
    match error {
        ExecuteError::Rejected(rejected) => WAITING.iter().find(|slug| **slug == rejected.slug).copied(),
        _ => None,
    }
}

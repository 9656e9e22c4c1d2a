//! What a change of a subscription costs, and what the next renewal costs. One pure function: previews, decisions,
//! renewals and recalculations all use it.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Currency,
    coupon::AppliesTo,
    discount::{self, Discount},
    period::{self, Interval},
    proration::{self, Kind},
    subscription::{Existing, Period, Rejection, Status},
    tax,
    terms::{Held, Meter},
};

/// A line of a billing document; of a credit, amounts and quantity are negative. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = QuoteLine))]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What it is for.
    pub kind: Kind,
    /// The plan's code.
    pub plan: String,
    /// The plan's version.
    pub version: u32,
    /// The first date.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Date))]
    pub from: Date,
    /// The date after the last one.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Date))]
    pub until: Date,
    /// How many days of the period it is for.
    pub days: i64,
    /// How many days the period has.
    pub of_days: i64,
    /// How many; part of a period is one.
    pub quantity: i64,
    /// The price of one.
    pub unit_price: i64,
    /// Before discounts.
    pub gross: i64,
    /// What discounts take off.
    pub discount: i64,
    /// After discounts.
    pub net: i64,
}

crate::texts! {
    /// What a change does.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ChangeAction))]
    pub enum Action {
        /// Nothing: the terms are held already.
        None = "none",
        /// It withdraws a scheduled change.
        Withdraw = "withdraw",
        /// It chooses what begins after the trial.
        Choose = "choose",
        /// It begins a subscription.
        Activate = "activate",
        /// It changes to dearer terms, today.
        Upgrade = "upgrade",
        /// It changes to cheaper terms, later.
        Downgrade = "downgrade",
        /// It cancels.
        Cancel = "cancel",
    }

    /// The kind of a billing document.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = BillingDocumentKind))]
    pub enum DocumentKind {
        /// An invoice.
        Invoice = "invoice",
        /// A credit note.
        CreditNote = "credit_note",
    }
}

/// A billing document that a change leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Their sum; if prices include the tax, with it.
    pub net: i64,
    /// Its tax; `None` before seller and billing account are complete.
    pub tax: Option<QuotedTax>,
}

/// The tax of a quoted document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuotedTax {
    /// How it is taxed.
    pub treatment: tax::Treatment,
    /// The rate in percent.
    #[serde(with = "rust_decimal::serde::str")]
    #[cfg_attr(feature = "schema", schema(value_type = String, example = "19"))]
    pub rate: rust_decimal::Decimal,
    /// The sum without tax.
    pub net: i64,
    /// The tax.
    pub amount: i64,
    /// The sum with tax.
    pub total: i64,
}

impl QuotedTax {
    fn of(lines: &[Line], decision: &tax::Decision, prices_include_tax: bool) -> Result<Self, Rejection> {
        let (category, rate) = (decision.category, decision.rate);
        let taxed: Vec<tax::Taxed> = lines.iter().map(|line| tax::Taxed { amount: line.net, category, rate }).collect();
        let totals = tax::totals(&taxed, prices_include_tax).map_err(|_| Rejection::TooLarge)?;
        let (net, amount) = (totals.net(), totals.tax());
        Ok(Self { treatment: decision.treatment, rate, net, amount, total: net + amount })
    }
}

/// The renewal that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renewal {
    /// Its first date.
    pub on: Date,
    /// What is held then.
    pub held: Held,
    /// The lines of its invoice.
    pub lines: Vec<Line>,
    /// Their sum; if prices include the tax, with it.
    pub net: i64,
    /// Its tax; `None` before seller and billing account are complete.
    pub tax: Option<QuotedTax>,
}

/// More is used than terms allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OverLimit {
    /// Of what.
    pub meter: Meter,
    /// The limit.
    pub limit: u64,
    /// What is used.
    pub used: u64,
}

/// What an organization uses of what is not counted from zero each month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Users who are invited or active.
    pub users: u64,
    /// Bytes of stored documents.
    pub storage_bytes: u64,
}

/// A change that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// To these terms; with a date, to cheaper ones before the period ends.
    To(Held, Option<Date>),
    /// To nothing, at the period's end or on a date.
    Cancel(Option<Date>),
    /// None: what the next renewal costs.
    None,
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// What it does.
    pub action: Action,
    /// The date from which on the new terms hold.
    pub effective: Date,
    /// The currency of all amounts; `None` if nothing was ever chosen.
    pub currency: Option<Currency>,
    /// Whether the prices include the tax.
    pub prices_include_tax: bool,
    /// The documents that it leads to when it takes effect.
    pub documents: Vec<Document>,
    /// The renewal that follows; `None` if there is none.
    pub next_renewal: Option<Renewal>,
    /// What is used beyond the new terms: such a change is rejected.
    pub over_limit: Vec<OverLimit>,
}

impl Quote {
    /// The digest by which a caller names the quote that they saw.
    pub fn digest(&self) -> String {
        // Plain data with string keys: JSON can represent all of it.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The lines of all its documents.
    pub fn lines(&self) -> Vec<Line> {
        self.documents.iter().flat_map(|document| document.lines.clone()).collect()
    }

    /// The sum of its documents.
    pub fn net(&self) -> i64 {
        self.documents.iter().map(|document| document.net).sum()
    }

    /// What its invoices come to with tax; credits go to the balance and lower nothing here.
    pub fn total(&self) -> i64 {
        let invoices = self.documents.iter().filter(|it| it.kind == DocumentKind::Invoice);
        invoices.map(|it| it.tax.as_ref().map_or(it.net, |tax| tax.total)).sum()
    }

    /// The quote with the tax of its documents and of the next renewal.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn taxed(mut self, decision: &tax::Decision) -> Result<Self, Rejection> {
        for document in &mut self.documents {
            document.tax = Some(QuotedTax::of(&document.lines, decision, self.prices_include_tax)?);
        }
        if let Some(renewal) = &mut self.next_renewal {
            let inclusive = renewal.held.terms.offer.prices_include_tax;
            renewal.tax = Some(QuotedTax::of(&renewal.lines, decision, inclusive)?);
        }
        Ok(self)
    }
}

/// What a change of a subscription leads to at an instant.
///
/// # Errors
/// If the change is not possible.
pub(super) fn quote(state: &Existing, change: &Change, at: Timestamp, used: Used) -> Result<Quote, Rejection> {
    let today = period::local_date(at, &state.time_zone());
    match change {
        Change::None => Ok(state.plain(Action::None, today)?),
        Change::Cancel(on) => cancel(state, *on, today),
        Change::To(to, on) => {
            if state.currency().is_some_and(|currency| currency != to.currency) {
                return Err(Rejection::CurrencyLocked);
            }
            let over_limit = over_limit(to, used);
            let quote = match state.status {
                Status::Trialing => choose(state, to)?,
                Status::Active | Status::PastDue => change_terms(state, to, *on, today)?,
                Status::ReadOnly | Status::Ended => activate(state, to, today)?,
            };
            let changes = !matches!(quote.action, Action::None | Action::Withdraw);
            Ok(Quote { over_limit: if changes { over_limit } else { Vec::new() }, ..quote })
        }
    }
}

fn over_limit(to: &Held, used: Used) -> Vec<OverLimit> {
    let one =
        |(meter, used)| to.limit(meter).filter(|limit| used > *limit).map(|limit| OverLimit { meter, limit, used });
    [(Meter::Users, used.users), (Meter::StorageBytes, used.storage_bytes)].into_iter().filter_map(one).collect()
}

fn choose(state: &Existing, to: &Held) -> Result<Quote, Rejection> {
    let effective = state.trial.until;
    let is_chosen = state.chosen.as_ref() == Some(to);
    Ok(Quote {
        action: if is_chosen { Action::None } else { Action::Choose },
        effective,
        currency: Some(to.currency),
        prices_include_tax: to.terms.offer.prices_include_tax,
        documents: Vec::new(),
        next_renewal: Some(state.period_of(to, effective)?),
        over_limit: Vec::new(),
    })
}

fn activate(state: &Existing, to: &Held, today: Date) -> Result<Quote, Rejection> {
    let effective = tomorrow(today)?;
    let first = state.period_of(to, effective)?;
    let after = period::start(effective, to.interval, 1).map_err(|_| Rejection::TooLarge)?;
    let next_renewal = Some(state.later_period_of(to, after)?);
    Ok(Quote {
        action: Action::Activate,
        effective,
        currency: Some(to.currency),
        prices_include_tax: to.terms.offer.prices_include_tax,
        documents: documents(first.lines),
        next_renewal,
        over_limit: Vec::new(),
    })
}

fn cancel(state: &Existing, on: Option<Date>, today: Date) -> Result<Quote, Rejection> {
    let (Status::Active, Some(held), Some(period)) = (state.status, &state.held, &state.period) else {
        return Err(Rejection::NotActive);
    };
    let effective = on.unwrap_or(period.until);
    must_be_later(effective, today, period)?;
    let credit = match effective < period.until {
        true => lines(held, &state.discounts_of(held, &state.period_discounts), period, effective, true)?,
        false => Vec::new(),
    };
    Ok(Quote {
        action: Action::Cancel,
        effective,
        currency: Some(held.currency),
        prices_include_tax: held.terms.offer.prices_include_tax,
        documents: documents(credit),
        next_renewal: None,
        over_limit: Vec::new(),
    })
}

fn change_terms(state: &Existing, to: &Held, on: Option<Date>, today: Date) -> Result<Quote, Rejection> {
    let (Some(held), Some(period)) = (&state.held, &state.period) else { return Err(Rejection::NotActive) };
    if held == to {
        let is_withdrawn = state.scheduled.is_some() && !state.is_migrating();
        let action = if is_withdrawn { Action::Withdraw } else { Action::None };
        return state.plain(action, today);
    }
    if is_upgrade(state, held, to)? {
        if on.is_some_and(|on| on != today) {
            return Err(Rejection::Date("an upgrade takes effect today: leave out `effective`"));
        }
        let effective = today.max(period.from);
        let mut all = lines(held, &state.discounts_of(held, &state.period_discounts), period, effective, true)?;
        let next = if to.interval == held.interval { *period } else { state.new_period(effective, to.interval)? };
        all.extend(lines(to, &state.discounts_of(to, &state.period_discounts), &next, effective, false)?);
        return Ok(Quote {
            action: Action::Upgrade,
            effective,
            currency: Some(to.currency),
            prices_include_tax: to.terms.offer.prices_include_tax,
            documents: documents(all),
            next_renewal: if state.cancellation.is_some() { None } else { Some(state.period_of(to, next.until)?) },
            over_limit: Vec::new(),
        });
    }
    if state.cancellation.is_some() {
        return Err(Rejection::CancellationScheduled);
    }
    let effective = on.unwrap_or(period.until);
    must_be_later(effective, today, period)?;
    let mut all = Vec::new();
    if effective < period.until {
        if to.interval != held.interval {
            return Err(Rejection::Date("another interval begins with the next period only: leave out `effective`"));
        }
        all = lines(held, &state.discounts_of(held, &state.period_discounts), period, effective, true)?;
        all.extend(lines(to, &state.discounts_of(to, &state.period_discounts), period, effective, false)?);
    }
    Ok(Quote {
        action: Action::Downgrade,
        effective,
        currency: Some(to.currency),
        prices_include_tax: to.terms.offer.prices_include_tax,
        documents: documents(all),
        next_renewal: Some(state.period_of(to, period.until)?),
        over_limit: Vec::new(),
    })
}

/// Whether the new terms cost at least as much: for a full period, or, from months to a year, at once.
fn is_upgrade(state: &Existing, held: &Held, to: &Held) -> Result<bool, Rejection> {
    let net = |held: &Held| {
        let discounts = state.discounts_of(held, &state.period_discounts);
        held.full().full_net(&discounts).map_err(|_| Rejection::TooLarge)
    };
    match (held.interval, to.interval) {
        (Interval::Year, Interval::Month) => Ok(false),
        (Interval::Month, Interval::Year) | (Interval::Month, Interval::Month) | (Interval::Year, Interval::Year) => {
            Ok(net(to)? >= net(held)?)
        }
    }
}

fn must_be_later(effective: Date, today: Date, period: &Period) -> Result<(), Rejection> {
    if effective <= today || effective > period.until {
        return Err(Rejection::Date("must be from tomorrow until the end of the period"));
    }
    Ok(())
}

fn tomorrow(today: Date) -> Result<Date, Rejection> {
    today.tomorrow().map_err(|_| Rejection::TooLarge)
}

impl Existing {
    /// A quote without documents: what goes on as it is.
    fn plain(&self, action: Action, effective: Date) -> Result<Quote, Rejection> {
        let next_renewal = match (self.status, &self.period) {
            (Status::Active, Some(_)) if self.cancellation.is_some() => None,
            (Status::Active, Some(period)) => {
                let to = self.scheduled.as_ref().filter(|it| action == Action::None && it.effective <= period.until);
                let to = to.map(|scheduled| &scheduled.to).or(self.held.as_ref()).ok_or(Rejection::NotActive)?;
                Some(self.period_of(to, period.until)?)
            }
            (Status::Trialing, _) => {
                self.chosen.as_ref().map(|chosen| self.period_of(chosen, self.trial.until)).transpose()?
            }
            _ => None,
        };
        let (currency, documents, over_limit) = (self.currency(), Vec::new(), Vec::new());
        let prices_include_tax = self.held.as_ref().is_some_and(|held| held.terms.offer.prices_include_tax);
        Ok(Quote { action, effective, currency, prices_include_tax, documents, next_renewal, over_limit })
    }

    /// The full period of terms that begins on a date, with the discounts that are left.
    pub(super) fn period_of(&self, held: &Held, from: Date) -> Result<Renewal, Rejection> {
        let ids = self.discounts_left(held);
        self.period_with(held, from, &self.discounts_of(held, &ids))
    }

    /// A period after the next one: discounts for one period are used up by then.
    fn later_period_of(&self, held: &Held, from: Date) -> Result<Renewal, Rejection> {
        let ids = self.discounts_after(held, 1);
        self.period_with(held, from, &self.discounts_of(held, &ids))
    }

    fn period_with(&self, held: &Held, from: Date, discounts: &[Discount]) -> Result<Renewal, Rejection> {
        let anchor = self.anchor.filter(|anchor| *anchor < from).unwrap_or(from);
        let period = self.dates_from(anchor, held.interval, from)?;
        let lines = lines(held, discounts, &period, from, false)?;
        let net = lines.iter().map(|line| line.net).sum();
        Ok(Renewal { on: from, held: held.clone(), lines, net, tax: None })
    }

    /// The discounts of a period that apply to terms.
    pub(super) fn discounts_of(&self, held: &Held, ids: &[super::coupon::DiscountId]) -> Vec<Discount> {
        let applied = |id: &super::coupon::DiscountId| {
            let known = self.discounts.get(id).filter(|it| it.applies_to(held))?;
            let off = match &known.terms.off {
                super::coupon::Off::Percent(percent) => discount::Off::Percent(*percent),
                super::coupon::Off::Amount { amount, .. } => discount::Off::Amount(*amount),
            };
            let applies_to = match known.terms.applies_to {
                AppliesTo::All => None,
                AppliesTo::Base => Some(vec![0]),
                AppliesTo::Seats => Some(vec![1]),
            };
            Some(Discount { id: id.to_string(), off, redeemed_at: known.redeemed_at, applies_to })
        };
        ids.iter().filter_map(applied).collect()
    }
}

/// The lines of the days from a date until the end of a period.
pub(super) fn lines(
    held: &Held,
    discounts: &[Discount],
    period: &Period,
    from: Date,
    is_credit: bool,
) -> Result<Vec<Line>, Rejection> {
    let dates = period::Period { from: period.from, until: period.until };
    let all = held.full().lines(discounts, dates, from, is_credit).map_err(|_| Rejection::TooLarge)?;
    let line = |line: proration::Line| {
        let is_whole = line.days == line.of_days && !is_credit && line.kind == Kind::Seats;
        let quantity = if is_whole { i64::from(held.seats) } else { 1 };
        let unit_price = if quantity == 0 { 0 } else { (line.gross / quantity).abs() };
        Line {
            kind: line.kind,
            plan: line.plan,
            version: held.terms.version,
            from: line.from,
            until: line.until,
            days: line.days,
            of_days: line.of_days,
            quantity: if is_credit { -quantity } else { quantity },
            unit_price,
            gross: line.gross,
            discount: line.gross - line.net,
            net: line.net,
        }
    };
    Ok(all.into_iter().map(line).collect())
}

/// The documents of lines: one invoice, or, if the credits are larger, a credit note and an invoice.
fn documents(lines: Vec<Line>) -> Vec<Document> {
    let document = |kind, lines: Vec<Line>| {
        let net = lines.iter().map(|line| line.net).sum();
        Document { kind, lines, net, tax: None }
    };
    if lines.is_empty() {
        return Vec::new();
    }
    if lines.iter().map(|line| line.net).sum::<i64>() >= 0 {
        return vec![document(DocumentKind::Invoice, lines)];
    }
    let (credits, charges): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| line.quantity < 0);
    let both = [(DocumentKind::CreditNote, credits), (DocumentKind::Invoice, charges)];
    both.into_iter().filter(|(_, lines)| !lines.is_empty()).map(|(kind, lines)| document(kind, lines)).collect()
}

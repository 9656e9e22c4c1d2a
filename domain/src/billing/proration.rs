//! Changes of terms inside a period, by the day: a day belongs to the dearest terms that were held during it.

use jiff::civil::Date;

use super::{
    amount::{TooLarge, part},
    discount::{self, Discount},
    period::Period,
};

crate::texts! {
    /// What a recurring line is for.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LineKind))]
    pub enum Kind {
        /// The plan.
        Base = "base",
        /// Extra seats.
        Seats = "seats",
    }

    /// Why a document is issued.
    pub enum Cause {
        /// A period starts.
        PeriodStart = "period_start",
        /// To terms that cost at least as much; from today.
        Upgrade = "upgrade",
        /// To terms that cost less; from tomorrow, or from the next period.
        Downgrade = "downgrade",
        /// The subscription is canceled; from tomorrow, or from the next period.
        Cancel = "cancel",
    }
}

/// What is held: a plan with its prices for a full period, and extra seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The plan's code.
    pub plan: String,
    /// Its price.
    pub price: i64,
    /// The price of an extra seat.
    pub seat_price: i64,
    /// How many extra seats.
    pub seats: u32,
}

/// A recurring line of a full period.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FullLine {
    kind: Kind,
    gross: i64,
    net: i64,
}

/// A line of a document. Of credits, the amounts are negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub kind: Kind,
    /// The plan's code.
    pub plan: String,
    /// Whether days that were billed before are credited.
    pub is_credit: bool,
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
    /// How many days.
    pub days: i64,
    /// How many days the whole period has.
    pub of_days: i64,
    /// Before discounts.
    pub gross: i64,
    /// After discounts.
    pub net: i64,
}

/// What a change of terms is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// From when on.
    pub effective: Date,
    /// Why.
    pub cause: Cause,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Document {
    /// The sum of its lines.
    pub fn net(&self) -> i64 {
        self.lines.iter().map(|line| line.net).sum()
    }
}

impl Terms {
    fn full_lines(&self, discounts: &[Discount]) -> Result<Vec<FullLine>, TooLarge> {
        let seats = i64::from(self.seats).checked_mul(self.seat_price).ok_or(TooLarge)?;
        let mut lines = vec![(Kind::Base, self.price)];
        lines.extend((self.seats > 0).then_some((Kind::Seats, seats)));
        let gross: Vec<i64> = lines.iter().map(|(_, gross)| *gross).collect();
        let net = discount::apply(&gross, discounts)?.net;
        Ok(lines.into_iter().zip(net).map(|((kind, gross), net)| FullLine { kind, gross, net }).collect())
    }

    /// What a full period costs after discounts.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn full_net(&self, discounts: &[Discount]) -> Result<i64, TooLarge> {
        Ok(self.full_lines(discounts)?.iter().map(|line| line.net).sum())
    }

    /// The lines of the days from a date until the end of a period.
    pub(super) fn lines(
        &self,
        discounts: &[Discount],
        period: Period,
        from: Date,
        is_credit: bool,
    ) -> Result<Vec<Line>, TooLarge> {
        let (offset, days) = (period.offset(from), period.days());
        let sign = if is_credit { -1 } else { 1 };
        let line = |FullLine { kind, gross, net }: FullLine| {
            Ok(Line {
                kind,
                plan: self.plan.clone(),
                is_credit,
                from,
                until: period.until,
                days: days - offset,
                of_days: days,
                gross: sign * part(gross, (offset, days), days)?,
                net: sign * part(net, (offset, days), days)?,
            })
        };
        self.full_lines(discounts)?.into_iter().map(line).collect()
    }
}

/// The terms held in a period, as it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    period: Period,
    discounts: Vec<Discount>,
    current: Terms,
    pending: Option<Pending>,
    /// From when on nothing is held any more.
    canceled_from: Option<Date>,
}

/// A change that takes effect later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// When.
    pub effective: Date,
    /// To what.
    pub terms: Terms,
}

impl Course {
    /// A period begins; it is billed in advance.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn begin(period: Period, terms: Terms, discounts: Vec<Discount>) -> Result<(Self, Document), TooLarge> {
        let lines = terms.lines(&discounts, period, period.from, false)?;
        let document = Document { effective: period.from, cause: Cause::PeriodStart, lines };
        Ok((Self { period, discounts, current: terms, pending: None, canceled_from: None }, document))
    }

    /// The terms that are held now.
    pub fn current(&self) -> &Terms {
        &self.current
    }

    /// What takes effect later.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// From when on nothing is held any more, if it is canceled.
    pub fn canceled_from(&self) -> Option<Date> {
        self.canceled_from
    }

    /// Applies what is pending, if it is effective until a date and inside the period.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn reach(&mut self, date: Date) -> Result<Option<Document>, TooLarge> {
        let is_due = |effective: Date| effective <= date && effective < self.period.until;
        if let Some(Pending { effective, terms }) = self.pending.take_if(|pending| is_due(pending.effective)) {
            return self.become_terms(terms, effective, Cause::Downgrade).map(Some);
        }
        match self.canceled_from.take_if(|effective| is_due(*effective)) {
            Some(effective) => {
                let lines = self.current.lines(&self.discounts, self.period, effective, true)?;
                Ok(Some(Document { effective, cause: Cause::Cancel, lines }))
            }
            None => Ok(None),
        }
    }

    /// Cancels on a date: from the next period, or `now`, from the next day. It withdraws what is pending, and survives
    /// an upgrade.
    ///
    /// # Errors
    /// If the date is out of range.
    pub fn cancel(&mut self, on: Date, now: bool) -> Result<(), TooLarge> {
        self.pending = None;
        let tomorrow = on.tomorrow().map_err(|_| TooLarge)?;
        self.canceled_from = Some(if now { tomorrow } else { self.period.until });
        Ok(())
    }

    /// Withdraws a cancellation.
    pub fn resume(&mut self) {
        self.canceled_from = None;
    }

    /// Changes the terms on a date: to dearer ones at once, to cheaper ones at the end of the period, or `now`, from the
    /// next day. It withdraws what is pending. Call [`Course::reach`] before.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn change(&mut self, on: Date, terms: Terms, now: bool) -> Result<Option<Document>, TooLarge> {
        self.pending = None;
        if terms == self.current {
            return Ok(None);
        }
        if terms.full_net(&self.discounts)? >= self.current.full_net(&self.discounts)? {
            return self.become_terms(terms, on, Cause::Upgrade).map(Some);
        }
        let tomorrow = on.tomorrow().map_err(|_| TooLarge)?;
        self.pending = Some(Pending { effective: if now { tomorrow } else { self.period.until }, terms });
        Ok(None)
    }

    fn become_terms(&mut self, terms: Terms, effective: Date, cause: Cause) -> Result<Document, TooLarge> {
        let mut lines = self.current.lines(&self.discounts, self.period, effective, true)?;
        lines.extend(terms.lines(&self.discounts, self.period, effective, false)?);
        self.current = terms;
        Ok(Document { effective, cause, lines })
    }
}

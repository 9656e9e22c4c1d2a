//! Settlement of an issued invoice: payments, balance, credit notes, void.

crate::texts! {
    /// The state of an issued invoice.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = InvoiceState))]
    pub enum State {
        /// Something is due.
        Open = "open",
        /// Nothing is due.
        Paid = "paid",
        /// Canceled.
        Void = "void",
        /// No longer expected to be paid.
        Uncollectible = "uncollectible",
    }

    /// Where what is credited beyond what is due goes.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CreditTarget))]
    pub enum Target {
        /// To the balance of the organization.
        Balance = "balance",
        /// Back to the payment method.
        Refund = "refund",
    }
}

/// Why a step is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An amount is zero or negative.
    #[error("an amount must be positive")]
    AmountNotPositive,
    /// The invoice is void.
    #[error("the invoice is void")]
    Void,
    /// The invoice is not open.
    #[error("the invoice is not open")]
    NotOpen,
    /// The invoice is not overdue.
    #[error("the invoice is not overdue")]
    NotOverdue,
    /// Less is due.
    #[error("less is due")]
    MoreThanDue,
    /// Less was paid.
    #[error("less was paid")]
    MoreThanPaid,
    /// Less is left to be credited.
    #[error("less is left to be credited")]
    MoreThanCreditable,
    /// The balance is lower.
    #[error("the balance is lower")]
    BalanceTooLow,
    /// It has payments: refund them first.
    #[error("the invoice has payments: refund them first")]
    HasPayments,
}

impl Refusal {
    /// The problem's name.
    pub fn slug(self) -> &'static str {
        match self {
            Self::AmountNotPositive => "amount-not-positive",
            Self::Void => "invoice-void",
            Self::NotOpen => "invoice-not-open",
            Self::NotOverdue => "invoice-not-overdue",
            Self::MoreThanDue => "more-than-due",
            Self::MoreThanPaid => "more-than-paid",
            Self::MoreThanCreditable => "more-than-creditable",
            Self::BalanceTooLow => "balance-too-low",
            Self::HasPayments => "invoice-has-payments",
        }
    }
}

/// An invoice and the balance of its organization. A refused step changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The state.
    pub state: State,
    /// The total with tax.
    pub total: i64,
    /// What was credited.
    pub credited: i64,
    /// What it holds of the balance.
    pub from_balance: i64,
    /// What it holds of payments.
    pub paid: i64,
    /// The balance of the organization.
    pub balance: i64,
    /// What was refunded.
    pub refunded: i64,
    /// Whether it is past its due date.
    pub is_overdue: bool,
    /// Whether it ever held money.
    was_settled: bool,
}

impl Settlement {
    /// An issued invoice; a total of zero is paid.
    pub fn issued(total: i64) -> Self {
        let state = if total == 0 { State::Paid } else { State::Open };
        Self {
            state,
            total,
            credited: 0,
            from_balance: 0,
            paid: 0,
            balance: 0,
            refunded: 0,
            is_overdue: false,
            was_settled: false,
        }
    }

    /// What is due.
    pub fn due(&self) -> i64 {
        (self.total - self.credited - self.from_balance - self.paid).max(0)
    }

    /// A payment; what is above due goes to the balance.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn pay(&mut self, amount: i64) -> Result<(), Refusal> {
        positive(amount)?;
        if self.state == State::Void {
            return Err(Refusal::Void);
        }
        let kept = amount.min(self.due());
        self.paid += kept;
        self.balance += amount - kept;
        self.was_settled |= kept > 0;
        self.close_if_settled();
        Ok(())
    }

    /// Money that is given to the organization.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn grant_balance(&mut self, amount: i64) -> Result<(), Refusal> {
        positive(amount)?;
        self.balance += amount;
        Ok(())
    }

    /// Pays from the balance.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn apply_balance(&mut self, amount: i64) -> Result<(), Refusal> {
        positive(amount)?;
        match () {
            () if !matches!(self.state, State::Open | State::Uncollectible) => return Err(Refusal::NotOpen),
            () if amount > self.balance => return Err(Refusal::BalanceTooLow),
            () if amount > self.due() => return Err(Refusal::MoreThanDue),
            () => {}
        }
        self.balance -= amount;
        self.from_balance += amount;
        self.was_settled = true;
        self.close_if_settled();
        Ok(())
    }

    /// A credit note: it lowers what is due first; the rest leaves the invoice.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn credit(&mut self, amount: i64, to: Target) -> Result<(), Refusal> {
        positive(amount)?;
        if self.state == State::Void {
            return Err(Refusal::Void);
        }
        if amount > self.total - self.credited {
            return Err(Refusal::MoreThanCreditable);
        }
        let rest = amount - self.due().min(amount);
        if to == Target::Refund && rest > self.paid {
            return Err(Refusal::MoreThanPaid);
        }
        self.credited += amount;
        let from_paid = rest.min(self.paid);
        self.paid -= from_paid;
        self.from_balance -= rest - from_paid;
        match to {
            Target::Balance => self.balance += rest,
            Target::Refund => self.refunded += rest,
        }
        if self.credited == self.total && !self.was_settled {
            self.state = State::Void;
        } else {
            self.close_if_settled();
        }
        Ok(())
    }

    /// Cancels the invoice, and gives the balance back.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn void(&mut self) -> Result<(), Refusal> {
        match self.state {
            State::Void => return Ok(()),
            _ if self.paid > 0 => return Err(Refusal::HasPayments),
            State::Paid => return Err(Refusal::NotOpen),
            State::Open | State::Uncollectible => {}
        }
        self.balance += self.from_balance;
        (self.from_balance, self.credited, self.state) = (0, self.total, State::Void);
        Ok(())
    }

    /// It is no longer expected to be paid.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn mark_uncollectible(&mut self) -> Result<(), Refusal> {
        match self.state {
            State::Open if self.is_overdue => self.state = State::Uncollectible,
            State::Open => return Err(Refusal::NotOverdue),
            State::Uncollectible => {}
            State::Paid | State::Void => return Err(Refusal::NotOpen),
        }
        Ok(())
    }

    /// A payment is taken back.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn reverse_payment(&mut self, amount: i64) -> Result<(), Refusal> {
        positive(amount)?;
        if amount > self.paid {
            return Err(Refusal::MoreThanPaid);
        }
        self.paid -= amount;
        if self.state == State::Paid && self.due() > 0 {
            self.state = State::Open;
        }
        Ok(())
    }

    fn close_if_settled(&mut self) {
        if self.due() == 0 && self.state != State::Void {
            self.state = State::Paid;
        }
    }
}

fn positive(amount: i64) -> Result<(), Refusal> {
    if amount > 0 { Ok(()) } else { Err(Refusal::AmountNotPositive) }
}

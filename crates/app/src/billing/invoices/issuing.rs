//! Who sells and buys, how it is taxed, and the number of a document.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount, CreditNote, Currency, Invoice, Seller, Series, Subscription,
        billing_account::{BalanceCause, BillingAccountId, Collection, Command as AccountCommand},
        billing_document::{
            AccountingTax, Buyer, CreditNoteId, InvoiceId, Issued, Line, RULES, Seller as SellerOnDocument,
        },
        credit_note::{self, CreditReason, IssuedNote},
        invoice::{self, Command, InvoiceKind},
        issue::{self, Calculated},
        period::local_date,
        seller::{self, SellerId},
        series::{self, SeriesId},
        settlement::Target,
        subscription::SubscriptionId,
        tax::{Decision, Treatment, Undecided, VatIdState},
    },
};
use porttask_runtime::execute::{ExecuteError, Rejected, Tx};

use super::rejected;

/// How long an invoice waits for the check of a VAT id.
const WAIT_FOR_CHECK: SignedDuration = SignedDuration::from_hours(72);

/// Who sells, who buys, and when.
pub struct Parties {
    /// The seller.
    pub seller: Seller,
    /// The billing account of the organization.
    pub account: BillingAccount,
    /// The current date in the seller's zone.
    pub today: Date,
    /// The time zone of the organization's subscription.
    pub zone: TimeZone,
}

/// A document without its number.
pub struct Draft {
    /// The currency.
    pub currency: Currency,
    /// How it is taxed.
    pub treatment: Treatment,
    /// Whether prices included the tax.
    pub prices_include_tax: bool,
    /// Lines, groups and totals.
    pub calculated: Calculated,
}

impl Parties {
    /// Of the request's organization.
    ///
    /// # Errors
    /// If the seller is incomplete, or the log fails.
    pub async fn load(tx: &Tx) -> Result<Self, ExecuteError> {
        let organization = tx.request().organization;
        let seller: Seller = tx.read_in(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
        let account: BillingAccount = tx.read(BillingAccountId::from(organization)).await?;
        let subscription: Subscription = tx.read(SubscriptionId::from(organization)).await?;
        let Some(seller_zone) = seller.zone().filter(|_| seller.is_complete()) else {
            return Err(rejected(seller::Rejection::Incomplete(seller.missing())));
        };
        let today = local_date(tx.now(), &seller_zone);
        Ok(Self { seller, account, today, zone: subscription.time_zone() })
    }

    /// How sales to the organization are taxed today. A VAT id counts as none after three days without an answer of the
    /// registry.
    ///
    /// # Errors
    /// If the account is incomplete, the VAT id is being checked, or a rate is missing.
    pub fn decide_tax(&self, now: Timestamp) -> Result<Decision, ExecuteError> {
        self.decide_tax_of(self.account.pending_since().unwrap_or(now), now)
    }

    /// Since when a document waits: since it was due, or, without a date, since it was attempted first or its VAT id could
    /// not be checked.
    pub fn waiting_since(&self, due: Option<Timestamp>, attempted: Timestamp) -> Timestamp {
        due.unwrap_or_else(|| self.account.pending_since().map_or(attempted, |pending| pending.min(attempted)))
    }

    /// How sales to the organization are taxed today, for what has been due since: a VAT id that is still being checked
    /// three days later counts as none.
    ///
    /// # Errors
    /// As [`Self::decide_tax`].
    pub fn decide_tax_of(&self, due: Timestamp, now: Timestamp) -> Result<Decision, ExecuteError> {
        self.account.required_buyer().map_err(rejected)?;
        let mut buyer = self.account.tax_buyer().ok_or_else(|| rejected(invoice::Rejection::NoTaxRate))?;
        let is_late = now.duration_since(due) > WAIT_FOR_CHECK;
        if is_late && buyer.vat_id == VatIdState::Pending {
            buyer.vat_id = VatIdState::Missing;
        }
        self.seller.decide_tax(&buyer, self.today).map_err(|undecided| {
            rejected(match undecided {
                Undecided::Wait => invoice::Rejection::TaxPending,
                Undecided::NoRate => invoice::Rejection::NoTaxRate,
            })
        })
    }

    /// How invoices of the organization are collected.
    pub fn collection(&self) -> Collection {
        self.account.collection()
    }

    /// Checks that taxes in a currency can be accounted for.
    ///
    /// # Errors
    /// If the exchange rate is missing.
    pub fn must_have_rate(&self, currency: Currency) -> Result<(), ExecuteError> {
        let needs_none = self.seller.accounting_currency().is_none_or(|it| it == currency);
        match needs_none || self.seller.exchange_rate(currency, self.today).is_some() {
            true => Ok(()),
            false => Err(rejected(invoice::Rejection::NoExchangeRate)),
        }
    }

    fn accounting_tax(&self, draft: &Draft, on: Date) -> Result<Option<AccountingTax>, ExecuteError> {
        let tax = draft.calculated.totals.tax;
        let Some(accounting) = self.seller.accounting_currency().filter(|it| *it != draft.currency && tax != 0) else {
            return Ok(None);
        };
        let rate = self.seller.exchange_rate(draft.currency, on);
        let rate = rate.ok_or_else(|| rejected(invoice::Rejection::NoExchangeRate))?;
        let tax = issue::accounting_tax(tax, draft.currency, accounting, &rate);
        tax.map(Some).map_err(|_| rejected(invoice::Rejection::TooLarge))
    }

    fn snapshot(&self, on: Date, treatment: Treatment, buyer: &Buyer) -> Result<SellerOnDocument, ExecuteError> {
        self.seller.snapshot(on, treatment, &buyer.address.country).map_err(rejected)
    }

    /// What a document says that is issued now; assigns its number.
    async fn numbered(
        &self,
        tx: &Tx,
        (prefix, document): (String, String),
        buyer: Box<Buyer>,
        draft: Draft,
    ) -> Result<Issued, ExecuteError> {
        let (number, issue_date) = assign(tx, prefix, document, self.today).await?;
        let accounting_tax = self.accounting_tax(&draft, issue_date)?;
        let Draft { currency, treatment, prices_include_tax, calculated: Calculated { lines, groups, totals } } = draft;
        Ok(Issued {
            number,
            issue_date,
            due_date: issue_date,
            currency,
            seller: Box::new(self.snapshot(issue_date, treatment, &buyer)?),
            buyer,
            treatment,
            prices_include_tax,
            lines,
            groups,
            accounting_tax,
            totals,
            rules: RULES,
        })
    }

    /// Issues an invoice, and pays from the balance of the organization what it can.
    ///
    /// # Errors
    /// If the account is incomplete, an exchange rate is missing, or the log fails.
    pub async fn issue(
        &self,
        tx: &Tx,
        id: InvoiceId,
        kind: InvoiceKind,
        draft: Draft,
        replaces: Option<InvoiceId>,
    ) -> Result<(), ExecuteError> {
        let buyer = Box::new(self.account.required_buyer().map_err(rejected)?);
        // Others wait for the next number until all is read and decided.
        tx.read::<Invoice>(id).await?;
        let names = (self.seller.invoice_prefix(), id.to_string());
        let mut document = self.numbered(tx, names, buyer, draft).await?;
        let (collection, currency) = (self.collection(), document.currency);
        let planned = issue::collection(document.issue_date, collection, &self.zone);
        let (due_date, dunning) = planned.map_err(|_| rejected(invoice::Rejection::TooLarge))?;
        document.due_date = due_date;
        let (total, document) = (document.totals.total, Box::new(document));
        let command = Command::Issue { kind, collection, document, dunning, replaces };
        tx.decide::<Invoice>(id, &command).await?;
        let balance = self.balance(tx, currency).await?;
        let amount = balance.min(total);
        if amount > 0 {
            tx.decide::<Invoice>(id, &Command::ApplyBalance { amount, balance }).await?;
            change_balance(tx, -amount, currency, BalanceCause::Invoice(id)).await?;
        }
        Ok(())
    }

    async fn balance(&self, tx: &Tx, currency: Currency) -> Result<i64, ExecuteError> {
        let account: BillingAccount = tx.read(BillingAccountId::from(tx.request().organization)).await?;
        Ok(account.balance(currency))
    }

    /// Issues a credit note over lines of an invoice. What was paid beyond what is due then goes to the balance of the
    /// organization, or is left for the caller to refund.
    ///
    /// # Errors
    /// If less is left of a line, or the log fails.
    pub async fn credit(
        &self,
        tx: &Tx,
        id: CreditNoteId,
        invoice: InvoiceId,
        draft: Draft,
        (reason, to): (CreditReason, Target),
    ) -> Result<Credited, ExecuteError> {
        let known: Invoice = tx.read(invoice).await?;
        let issued = known.existing().and_then(|it| it.issued());
        let issued = issued.ok_or_else(|| rejected(invoice::Rejection::NotIssued))?;
        let (invoice_number, due) = (issued.document.number.clone(), issued.due());
        let lines = credited_lines(&draft.calculated.lines);
        let total = draft.calculated.totals.total;
        // It is declared for the buyer whose tax it takes back.
        let buyer = issued.document.buyer.clone();
        let names = (self.seller.credit_note_prefix(), id.to_string());
        let document = self.numbered(tx, names, buyer, draft).await?;
        let command = Command::Credit { credit_note: id, amount: total, lines, to };
        tx.decide::<Invoice>(invoice, &command).await?;
        let to_due = total.min(due);
        let (to_balance, to_refund) = match to {
            Target::Balance => (total - to_due, 0),
            Target::Refund => (0, total - to_due),
        };
        let currency = document.currency;
        let note = IssuedNote { invoice, invoice_number, reason, document, to_due, to_balance, to_refund };
        tx.decide_new::<CreditNote>(id, &credit_note::Command::Issue(Box::new(note))).await?;
        change_balance(tx, to_balance, currency, BalanceCause::CreditNote(id)).await?;
        Ok(Credited { to_refund })
    }

    /// Issues a credit note that voids an invoice: over what is left of it.
    ///
    /// # Errors
    /// If it has payments, or another document credits its lines.
    pub async fn void(
        &self,
        tx: &Tx,
        id: CreditNoteId,
        invoice: InvoiceId,
        draft: Draft,
        reason: porttask_domain::Reason,
    ) -> Result<(), ExecuteError> {
        let known: Invoice = tx.read(invoice).await?;
        let issued = known.existing().and_then(|it| it.issued());
        let issued = issued.ok_or_else(|| rejected(invoice::Rejection::NotIssued))?;
        let (invoice_number, to_balance) = (issued.document.number.clone(), issued.settlement.from_balance);
        let command = Command::Void { credit_note: id, reason };
        tx.decide::<Invoice>(invoice, &command).await?;
        let to_due = draft.calculated.totals.total - to_balance;
        let buyer = issued.document.buyer.clone();
        let names = (self.seller.credit_note_prefix(), id.to_string());
        let document = self.numbered(tx, names, buyer, draft).await?;
        let (reason, currency) = (CreditReason::Cancellation, document.currency);
        let note = IssuedNote { invoice, invoice_number, reason, document, to_due, to_balance, to_refund: 0 };
        tx.decide_new::<CreditNote>(id, &credit_note::Command::Issue(Box::new(note))).await?;
        change_balance(tx, to_balance, currency, BalanceCause::Invoice(invoice)).await
    }
}

/// How sales to the request's organization are taxed now, or why that is not known.
///
/// # Errors
/// If the log fails.
pub async fn tax_now(tx: &Tx) -> Result<Result<Decision, Rejected>, ExecuteError> {
    let decision = match Parties::load(tx).await {
        Ok(parties) => parties.decide_tax(tx.now()),
        Err(error) => Err(error),
    };
    match decision {
        Ok(decision) => Ok(Ok(decision)),
        Err(ExecuteError::Rejected(rejected)) => Ok(Err(rejected)),
        Err(error) => Err(error),
    }
}

/// What a credit note leads to.
pub struct Credited {
    /// What is to be paid back.
    pub to_refund: i64,
}

/// How much of which lines of an invoice the lines of a credit note credit.
fn credited_lines(lines: &[Line]) -> Vec<invoice::CreditedLine> {
    let credited = |line: &Line| Some(invoice::CreditedLine { line: line.credits?.line, net: line.net });
    lines.iter().filter_map(credited).collect()
}

/// The current date in the seller's zone; in UTC before the seller is complete.
///
/// # Errors
/// If the log fails.
pub async fn today(tx: &Tx) -> Result<Date, ExecuteError> {
    let seller: Seller = tx.read_in(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    Ok(local_date(tx.now(), &seller.zone().unwrap_or(TimeZone::UTC)))
}

/// Changes the balance of the request's organization.
///
/// # Errors
/// If it is lower than what is taken from it, or the log fails.
pub async fn change_balance(tx: &Tx, by: i64, currency: Currency, cause: BalanceCause) -> Result<(), ExecuteError> {
    if by == 0 {
        return Ok(());
    }
    let id = BillingAccountId::from(tx.request().organization);
    tx.decide::<BillingAccount>(id, &AccountCommand::ChangeBalance { by, currency, cause }).await
}

/// Assigns the next number of a series: that of the year of today, or of the next year if that has begun.
async fn assign(tx: &Tx, prefix: String, document: String, today: Date) -> Result<(String, Date), ExecuteError> {
    let (platform, mut year) = (OrganizationId::PLATFORM, today.year());
    let next: Series = tx.read_in(platform, SeriesId::new(&prefix, year + 1)).await?;
    if next.is_used() {
        year += 1;
    }
    let id = SeriesId::new(&prefix, year);
    let series: Series = tx.join(platform, id).await?;
    let issue_date = series.issue_date(today);
    let number = series.next_printed(&prefix, issue_date);
    let organization = tx.request().organization;
    let command = series::Command::Assign { prefix, document, organization, issue_date };
    tx.decide_in::<Series>(platform, id, &command).await?;
    Ok((number, issue_date))
}

/// Goes on with a series behind the last number that was sent out, after a restore from a backup.
///
/// # Errors
/// If a later number was assigned already, the year has not begun, or the log fails.
pub async fn continue_series(
    tx: &Tx,
    prefix: &str,
    year: i16,
    after: u64,
    reason: porttask_domain::Reason,
) -> Result<(), ExecuteError> {
    let (id, today) = (SeriesId::new(prefix, year), today(tx).await?);
    let command = series::Command::Continue { prefix: prefix.to_owned(), year, after, reason, today };
    tx.decide_in::<Series>(OrganizationId::PLATFORM, id, &command).await
}

/// An id that follows from another id and a text, so that a repetition meets what is there.
pub(super) fn derived<T: From<uuid::Uuid>>(of: impl std::fmt::Display, text: &str) -> T {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(of.to_string()).chain_update(text).finalize();
    uuid::Uuid::new_v8(digest.first_chunk().copied().unwrap_or_default()).into()
}

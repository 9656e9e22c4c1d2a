//! Billing accounts: to whom an organization's documents are addressed, how it pays, and what we owe it.

mod event;
mod profile;
mod rejection;

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

pub use self::{
    event::Event,
    profile::{AccountPatch, Contact, NewContact, NewPersons, Profile},
    rejection::Rejection,
};
use super::{
    Currency,
    billing_document::{Buyer, CreditNoteId, InvoiceId},
    payment::PaymentId,
    tax::{self, VatIdState},
    vat_id::{VatId, country_of},
    vat_rate::tax_country,
};
use crate::{Aggregate, OrganizationId, PersonId, Personal, Reason, identity::settings::InvalidSetting};

crate::ids! {
    /// The billing account of an organization: the same UUID as the organization.
    BillingAccountId = "bac";
    /// The person to whom documents are sent.
    BillingContactId = "bct";
    /// A buyer who is a person; erased after the retention of invoices.
    BuyerId = "buy";
}

impl From<OrganizationId> for BillingAccountId {
    fn from(organization: OrganizationId) -> Self {
        Self(organization.0)
    }
}

/// The personal data of a contact belongs to the contact.
impl From<BillingContactId> for PersonId {
    fn from(contact: BillingContactId) -> Self {
        Self(contact.0)
    }
}

/// The name and the street of a buyer belong to the buyer.
impl From<BuyerId> for PersonId {
    fn from(buyer: BuyerId) -> Self {
        Self(buyer.0)
    }
}

crate::texts! {
    /// What a check of a VAT id found.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = VatIdCheckResult))]
    pub enum CheckResult {
        /// It is valid.
        Valid = "valid",
        /// It is not valid.
        Invalid = "invalid",
        /// The registry did not answer: neither valid nor invalid.
        Unavailable = "unavailable",
    }

    /// Who checked a VAT id.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = VatIdCheckSource))]
    pub enum CheckSource {
        /// Its check digits only.
        Checksum = "checksum",
        /// The registry of the European Union.
        Vies = "vies",
    }
}

/// How invoices are paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Collection {
    /// With a payment method, when they are issued.
    #[default]
    Automatic,
    /// By transfer, within some days.
    Invoice {
        /// The days.
        days: u16,
    },
}

/// The most days in which an invoice is paid by transfer.
pub const COLLECTION_DAYS_MAX: u16 = 180;

/// Why a balance changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BalanceCause {
    /// Granted by a super admin, with the reason.
    Granted(Personal),
    /// What a credit note gave back.
    CreditNote(CreditNoteId),
    /// Applied to an invoice, or given back by its void.
    Invoice(InvoiceId),
    /// What was paid of an invoice beyond its due amount.
    Surplus(InvoiceId),
    /// Paid back with a credit note.
    Refund(CreditNoteId),
    /// The payment provider did not pay it back.
    FailedRefund(PaymentId),
}

/// A check of a VAT id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The VAT id, in canonical form.
    pub tax_id: String,
    /// What was found.
    pub result: CheckResult,
    /// Who checked it.
    pub source: CheckSource,
    /// The registry's reference of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When.
    pub checked_at: Timestamp,
}

/// Commands on a billing account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Change profile and VAT id.
    Change {
        /// What changes.
        patch: Box<AccountPatch>,
        /// Ids for what is sealed for the first time.
        new: NewPersons,
    },
    /// Record a check of the VAT id; one of another VAT id is ignored.
    RecordCheck(Check),
    /// Ask for invoices that are paid by transfer.
    RequestInvoiceBilling,
    /// Change how invoices are paid.
    ChangeCollection(Collection),
    /// Change the balance.
    ChangeBalance {
        /// By how much, in minor units.
        by: i64,
        /// The currency.
        currency: Currency,
        /// Why.
        cause: BalanceCause,
    },
    /// Grant or withdraw balance.
    GrantBalance {
        /// Whose account it is.
        organization: OrganizationId,
        /// By how much, in minor units.
        by: i64,
        /// The currency.
        currency: Currency,
        /// Why.
        reason: Reason,
    },
}

/// After how many days a VAT id is checked again before it is used.
const CHECK_DAYS: i64 = 90;
/// The largest balance, in minor units.
const BALANCE_MAX: i64 = 1_000_000_000_000;

/// The state of a billing account. Every organization has one; it is empty until something is entered.
#[derive(Debug, Clone, Default)]
pub struct BillingAccount {
    profile: Profile,
    tax_id: Option<String>,
    check: Option<Check>,
    has_requested: bool,
    collection: Collection,
    balances: BTreeMap<Currency, i64>,
}

impl BillingAccount {
    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Which members are missing for documents; none if it is complete.
    pub fn missing(&self) -> Vec<&'static str> {
        let Profile { legal_name, address, .. } = &self.profile;
        let has_name = legal_name.as_ref().is_some_and(|name| name.text().is_some());
        let has_address = address.as_ref().is_some_and(|it| it.street.iter().all(|line| line.text().is_some()));
        let members = [("legal_name", has_name), ("address", has_address)];
        members.into_iter().filter(|(_, is_given)| !is_given).map(|(name, _)| name).collect()
    }

    /// The buyer of a document; `None` if the account is incomplete.
    pub fn buyer(&self) -> Option<Buyer> {
        let profile = self.profile.clone();
        let (Some(legal_name), Some(address), true) = (profile.legal_name, profile.address, self.missing().is_empty())
        else {
            return None;
        };
        Some(Buyer {
            legal_name,
            address,
            is_business: profile.is_business,
            vat_id: self.tax_id.clone(),
            purchase_order: profile.purchase_order,
            language: profile.language,
        })
    }

    /// The buyer of a document.
    ///
    /// # Errors
    /// What is missing.
    pub fn required_buyer(&self) -> Result<Buyer, Rejection> {
        self.buyer().ok_or_else(|| Rejection::Incomplete(self.missing()))
    }

    /// The buyer as the rules of tax see it; `None` without an address.
    pub fn tax_buyer(&self) -> Option<tax::Buyer> {
        let address = self.profile.address.as_ref()?;
        let (country, postcode) = (address.country.clone(), address.postcode.clone());
        Some(tax::Buyer { country, postcode, is_business: self.profile.is_business, vat_id: self.vat_id_state() })
    }

    /// The VAT id, in canonical form.
    pub fn tax_id(&self) -> Option<&str> {
        self.tax_id.as_deref()
    }

    /// What is known of the VAT id. It is pending until a registry answered.
    pub fn vat_id_state(&self) -> VatIdState {
        match (&self.tax_id, self.check.as_ref().map(|check| check.result)) {
            (None, _) => VatIdState::Missing,
            (Some(_), None | Some(CheckResult::Unavailable)) => VatIdState::Pending,
            (Some(_), Some(CheckResult::Valid)) => VatIdState::Valid,
            (Some(_), Some(CheckResult::Invalid)) => VatIdState::Invalid,
        }
    }

    /// The last check of the VAT id that found something, or the first one that did not.
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// Since when the VAT id is pending because no registry answers: the time of the first check.
    pub fn pending_since(&self) -> Option<Timestamp> {
        let check = self.check.as_ref().filter(|check| check.result == CheckResult::Unavailable)?;
        Some(check.checked_at)
    }

    /// Whether the VAT id is to be checked before it is used: it never was, or more than 90 days ago.
    pub fn needs_check(&self, now: Timestamp) -> bool {
        let is_old = |check: &Check| {
            check.result == CheckResult::Unavailable || now >= check.checked_at + (24 * CHECK_DAYS).hours()
        };
        self.tax_id.is_some() && self.check.as_ref().is_none_or(is_old)
    }

    /// How invoices are paid.
    pub fn collection(&self) -> Collection {
        self.collection
    }

    /// Whether invoices that are paid by transfer were asked for, and nobody decided.
    pub fn has_requested_invoice_billing(&self) -> bool {
        self.has_requested
    }

    /// What we owe the organization in a currency, in minor units.
    pub fn balance(&self, currency: Currency) -> i64 {
        self.balances.get(&currency).copied().unwrap_or_default()
    }

    /// The balances that are not zero.
    pub fn balances(&self) -> impl Iterator<Item = (Currency, i64)> {
        self.balances.iter().map(|(currency, balance)| (*currency, *balance)).filter(|(_, balance)| *balance != 0)
    }

    fn change(&self, to: Profile, tax_id: Option<String>) -> Result<Vec<Event>, Rejection> {
        if let Some(id) = &tax_id {
            if !to.is_business {
                return Err(Rejection::PersonWithTaxId);
            }
            let address = to.address.as_ref().map(|address| address.country.clone());
            let address = address.ok_or(InvalidSetting::new("address", "is missing: a VAT id needs an address"))?;
            if country_of(id) != tax_country(&address) {
                return Err(Rejection::CountryMismatch { id: country_of(id).to_owned(), address });
            }
        }
        let mut events = Vec::new();
        if to != self.profile {
            events.push(Event::ProfileChanged { from: Box::new(self.profile.clone()), to: Box::new(to) });
        }
        if tax_id != self.tax_id {
            events.push(Event::TaxIdChanged { from: self.tax_id.clone(), to: tax_id });
        }
        Ok(events)
    }

    fn record(&self, check: &Check) -> Vec<Event> {
        let is_known = self.check.as_ref() == Some(check);
        // A registry that does not answer takes no earlier answer away, and of several such checks the first one counts.
        let is_less = check.result == CheckResult::Unavailable && self.check.is_some();
        let is_current = self.tax_id.as_ref() == Some(&check.tax_id);
        if is_current && !is_known && !is_less { vec![Event::TaxIdChecked(check.clone())] } else { vec![] }
    }

    fn balance_changed(&self, by: i64, currency: Currency, cause: BalanceCause) -> Result<Vec<Event>, Rejection> {
        let balance = self.balance(currency);
        let after = balance.checked_add(by).ok_or(Rejection::BalanceTooLarge)?;
        match after {
            _ if by == 0 => Ok(vec![]),
            ..0 => Err(Rejection::BalanceTooLow { balance: currency.decimal(balance), currency }),
            after if by > 0 && after > BALANCE_MAX => Err(Rejection::BalanceTooLarge),
            after => Ok(vec![Event::BalanceChanged { by, after, currency, cause }]),
        }
    }
}

impl Aggregate for BillingAccount {
    const CATEGORY: &'static str = "billing_account";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = BillingAccountId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Change { patch, new } => {
                let tax_id = patch.vat_id.as_ref().map(|id| id.as_ref().map(VatId::to_string));
                self.change(patch.apply(&self.profile, *new)?, tax_id.unwrap_or(self.tax_id.clone()))
            }
            Command::RecordCheck(check) => Ok(self.record(check)),
            Command::RequestInvoiceBilling if self.has_requested => Ok(vec![]),
            Command::RequestInvoiceBilling => Ok(match self.collection {
                Collection::Automatic => vec![Event::InvoiceBillingRequested {}],
                Collection::Invoice { .. } => vec![],
            }),
            Command::ChangeCollection(Collection::Invoice { days }) if *days > COLLECTION_DAYS_MAX => {
                Err(InvalidSetting::new("days", format!("must be at most {COLLECTION_DAYS_MAX}")).into())
            }
            Command::ChangeCollection(to) => {
                let (from, to) = (self.collection, *to);
                let is_same = from == to && !self.has_requested;
                Ok(if is_same { vec![] } else { vec![Event::CollectionChanged { from, to }] })
            }
            Command::ChangeBalance { by, currency, cause } => self.balance_changed(*by, *currency, cause.clone()),
            Command::GrantBalance { organization, by, currency, reason } => {
                let reason = Personal::identity(*organization, reason.as_str());
                self.balance_changed(*by, *currency, BalanceCause::Granted(reason))
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::ProfileChanged { to, .. } => self.profile.clone_from(to),
            Event::TaxIdChanged { to, .. } => {
                self.tax_id.clone_from(to);
                self.check = None;
            }
            Event::TaxIdChecked(check) => self.check = Some(check.clone()),
            Event::InvoiceBillingRequested {} => self.has_requested = true,
            Event::CollectionChanged { to, .. } => {
                self.collection = *to;
                self.has_requested = false;
            }
            Event::BalanceChanged { after, currency, .. } => {
                self.balances.insert(*currency, *after);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Port: the payment provider. It moves money and knows nothing of plans and invoices: amounts are minor units of a
//! currency. Numbers of cards and accounts never reach us: the provider takes them, and calls them by a token.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::payment_method::{Details, MethodKind},
};
use uuid::Uuid;

/// An organization, as the provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The organization.
    pub organization: OrganizationId,
    /// What the provider calls it; `None` before it has a payment method.
    pub customer: Option<String>,
}

/// The beginning of a new payment method, which the payer finishes with the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// What the provider calls it.
    pub id: String,
    /// With which the payer finishes it; `None` if nothing is to be entered.
    pub client_secret: Option<String>,
}

/// A payment method that the simulator offers instead of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestMethod {
    /// The setup to be finished.
    pub setup: &'static str,
    /// What it does.
    pub description: &'static str,
}

/// An amount to be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The id of the payment: charging it again has no effect.
    pub payment: Uuid,
    /// Who pays.
    pub organization: OrganizationId,
    /// How much, in minor units.
    pub amount: i64,
    /// The code of the currency.
    pub currency: &'static str,
    /// What the provider calls the organization.
    pub customer: String,
    /// What the provider calls the payment method.
    pub token: String,
    /// What the payment method is.
    pub kind: MethodKind,
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// It was paid.
    Succeeded {
        /// What the provider calls the payment.
        provider_ref: String,
    },
    /// The payer has to confirm it with the provider.
    ActionRequired {
        /// With which they do.
        client_secret: Option<String>,
    },
    /// The provider does not know yet.
    Processing,
    /// It was not paid.
    Failed {
        /// The provider's reason.
        code: String,
        /// Whether the method will never be accepted again.
        is_final: bool,
    },
    /// There was no answer: it must be looked up before anything is charged again.
    Unknown,
}

/// An amount to be paid back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The id of the refund: asking again has no effect.
    pub refund: Uuid,
    /// The payment.
    pub payment: Uuid,
    /// What the provider calls the payment.
    pub provider_ref: String,
    /// How much, in minor units.
    pub amount: i64,
}

/// What became of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// It was paid back, or will be.
    Refunded {
        /// What the provider calls the refund.
        provider_ref: String,
    },
    /// It is not paid back.
    Failed {
        /// The provider's reason.
        code: String,
    },
    /// There was no answer, or the provider does not know yet: ask again.
    Unknown,
}

/// Why the provider did not do something other than a charge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It refused.
    #[error("the payment provider refused: {0}")]
    Refused(String),
    /// It could not be reached.
    #[error("the payment provider could not be reached: {0}")]
    Unavailable(String),
}

/// Why a message is not taken for one of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The provider sends none.
    #[error("this service takes no events of the payment provider: set its secrets")]
    NotExpected,
    /// The signature is missing, wrong or too old.
    #[error("the signature is missing, wrong or too old")]
    BadSignature,
    /// It cannot be read.
    #[error("the event cannot be read")]
    Malformed,
}

/// What an event of the provider is about: only a hint, since events come late, twice and out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The payment whose present state is to be looked up.
    pub payment: Uuid,
    /// The organization that pays.
    pub organization: OrganizationId,
}

/// Charges what organizations owe.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// Its name in events.
    fn name(&self) -> &'static str;

    /// The payment methods that it offers instead of cards, because no money is moved.
    fn test_methods(&self) -> &'static [TestMethod] {
        &[]
    }

    /// The key with which its form is shown to payers, who enter cards into it; `None` if it has none.
    fn publishable_key(&self) -> Option<&str> {
        None
    }

    /// Begins a payment method.
    ///
    /// # Errors
    /// If it refuses or cannot be reached.
    async fn begin_setup(&self, account: &Account) -> Result<Setup, ProviderError>;

    /// What a finished setup resulted in.
    ///
    /// # Errors
    /// If it is not finished, is not the account's, or the provider cannot be reached.
    async fn finish_setup(&self, account: &Account, setup: &str) -> Result<Details, ProviderError>;

    /// Forgets a payment method; one that is not known is no error.
    ///
    /// # Errors
    /// If the provider cannot be reached.
    async fn detach(&self, token: &str) -> Result<(), ProviderError>;

    /// Charges an amount. A failure on the way is an unknown outcome.
    async fn charge(&self, charge: &Charge) -> ChargeOutcome;

    /// What became of a charge that was started at this time; `None` if it never arrived.
    async fn look_up(&self, payment: Uuid, started_at: Timestamp) -> Option<ChargeOutcome>;

    /// Confirms a charge in the place of the payer, if no money is moved; otherwise nothing happens: payers confirm with the
    /// provider.
    ///
    /// # Errors
    /// If the provider cannot be reached.
    async fn simulate_confirmation(&self, payment: Uuid) -> Result<(), ProviderError> {
        _ = payment;
        Ok(())
    }

    /// Pays an amount back.
    async fn refund(&self, refund: &RefundRequest) -> RefundOutcome;

    /// What an event of the provider is about; `None` if it is about nothing that matters here. `signature` is the value of
    /// the header with the signature.
    ///
    /// # Errors
    /// If it is not one of the provider.
    fn read_event(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Option<Hint>, EventError> {
        _ = (signature, body, now);
        Err(EventError::NotExpected)
    }
}

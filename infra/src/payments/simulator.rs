//! The payment simulator: a provider that moves no money. What becomes of a charge depends on the payment method alone. Its
//! books are in the ledger, so they survive a kill, and a payment is charged once however often that is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::billing::payment_method::{Details, MethodKind};
use porttask_runtime::{
    ledger::Database,
    log::LogError,
    ports::payments::{
        Account, Charge, ChargeOutcome, PaymentProvider, ProviderError, RefundOutcome, RefundRequest, Setup, TestMethod,
    },
    simulated_payments::SimulatedPayment,
};
use uuid::Uuid;

const METHODS: [TestMethod; 9] = [
    TestMethod { setup: "sim_ok", description: "pays" },
    TestMethod { setup: "sim_insufficient_funds", description: "is declined: insufficient funds" },
    TestMethod { setup: "sim_declined", description: "is declined" },
    TestMethod { setup: "sim_stolen", description: "is declined for good: stolen" },
    TestMethod { setup: "sim_action", description: "has to be confirmed by the payer" },
    TestMethod { setup: "sim_processing", description: "pays, but later" },
    TestMethod { setup: "sim_timeout_before", description: "does not pay, and gives no answer" },
    TestMethod { setup: "sim_timeout_after", description: "pays, and gives no answer" },
    TestMethod { setup: "sim_no_refund", description: "pays, and cannot be paid back" },
];

const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";
const ACTION_REQUIRED: &str = "action_required";
const PROCESSING: &str = "processing";

/// Simulates payments.
pub struct PaymentSimulator {
    database: Arc<dyn Database>,
}

impl PaymentSimulator {
    /// With its books in this database.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self { database }
    }

    /// The payer confirms a payment that has to be. `false` if it has not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn confirm(&self, payment: Uuid) -> Result<bool, LogError> {
        self.database.move_simulated_payment(payment, ACTION_REQUIRED, SUCCEEDED).await
    }

    /// All charges and refunds.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn books(&self) -> Result<Vec<SimulatedPayment>, LogError> {
        let mut books: Vec<SimulatedPayment> = Vec::new();
        loop {
            let page = self.database.simulated_payments(books.last().map(|it| it.id), 1_000).await?;
            if page.is_empty() {
                return Ok(books);
            }
            books.extend(page);
        }
    }
}

/// What an entry in the books says.
fn outcome(entry: &SimulatedPayment) -> ChargeOutcome {
    match entry.state.as_str() {
        SUCCEEDED => ChargeOutcome::Succeeded { provider_ref: reference(entry.id) },
        ACTION_REQUIRED => ChargeOutcome::ActionRequired { client_secret: Some(reference(entry.id)) },
        PROCESSING => ChargeOutcome::Processing,
        _ => {
            let (code, is_final) = match entry.token.as_str() {
                "sim_insufficient_funds" => ("insufficient_funds", false),
                "sim_stolen" => ("stolen_card", true),
                _ => ("card_declined", false),
            };
            ChargeOutcome::Failed { code: code.to_owned(), is_final }
        }
    }
}

fn reference(id: Uuid) -> String {
    format!("sim_{}", id.simple())
}

#[async_trait]
impl PaymentProvider for PaymentSimulator {
    fn name(&self) -> &'static str {
        "simulator"
    }

    fn test_methods(&self) -> &'static [TestMethod] {
        &METHODS
    }

    async fn begin_setup(&self, _: &Account) -> Result<Setup, ProviderError> {
        // Nothing is entered: each test method is a setup that is finished.
        Ok(Setup { id: METHODS[0].setup.to_owned(), client_secret: None })
    }

    async fn finish_setup(&self, account: &Account, setup: &str) -> Result<Details, ProviderError> {
        let known = METHODS.iter().find(|it| it.setup == setup);
        let known = known.ok_or_else(|| ProviderError::Refused("there is no such test method".to_owned()))?;
        Ok(Details {
            provider: self.name().to_owned(),
            customer: account.organization.to_string(),
            token: known.setup.to_owned(),
            kind: MethodKind::Card,
            brand: known.setup.to_owned(),
            last4: "0000".to_owned(),
            expires: None,
            fingerprint: Some(known.setup.to_owned()),
        })
    }

    async fn detach(&self, _: &str) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn charge(&self, charge: &Charge) -> ChargeOutcome {
        let state = match charge.token.as_str() {
            "sim_timeout_before" => return ChargeOutcome::Unknown,
            "sim_ok" | "sim_timeout_after" | "sim_no_refund" => SUCCEEDED,
            "sim_action" => ACTION_REQUIRED,
            "sim_processing" => PROCESSING,
            _ => FAILED,
        };
        let new = SimulatedPayment {
            id: charge.payment,
            refund_of: None,
            amount: charge.amount,
            currency: charge.currency.to_owned(),
            token: charge.token.clone(),
            state: state.to_owned(),
            requests: 1,
        };
        match self.database.enter_simulated_payment(&new).await {
            Ok(entry) if entry.token == "sim_timeout_after" && entry.requests == 1 => ChargeOutcome::Unknown,
            Ok(entry) => outcome(&entry),
            Err(error) => {
                tracing::warn!(%error, payment = %charge.payment, "a simulated charge has no known outcome");
                ChargeOutcome::Unknown
            }
        }
    }

    async fn look_up(&self, payment: Uuid, _: Timestamp) -> Option<ChargeOutcome> {
        let looked_up = async {
            // What is processed is paid when it is looked up.
            self.database.move_simulated_payment(payment, PROCESSING, SUCCEEDED).await?;
            self.database.simulated_payment(payment).await
        };
        match looked_up.await {
            Ok(entry) => entry.as_ref().map(outcome),
            Err(error) => {
                tracing::warn!(%error, %payment, "a simulated charge could not be looked up");
                Some(ChargeOutcome::Unknown)
            }
        }
    }

    async fn simulate_confirmation(&self, payment: Uuid) -> Result<(), ProviderError> {
        self.confirm(payment).await.map(drop).map_err(|error| ProviderError::Unavailable(error.to_string()))
    }

    async fn refund(&self, request: &RefundRequest) -> RefundOutcome {
        let refunded = async {
            let Some(charge) = self.database.simulated_payment(request.payment).await? else {
                return Ok::<_, LogError>(None);
            };
            if charge.state != SUCCEEDED || charge.token == "sim_no_refund" {
                return Ok(None);
            }
            let new = SimulatedPayment {
                id: request.refund,
                refund_of: Some(request.payment),
                amount: request.amount,
                requests: 1,
                ..charge
            };
            self.database.enter_simulated_payment(&new).await.map(Some)
        };
        match refunded.await {
            Ok(Some(entry)) => RefundOutcome::Refunded { provider_ref: reference(entry.id) },
            Ok(None) => RefundOutcome::Failed { code: "charge_not_refundable".to_owned() },
            Err(error) => {
                tracing::warn!(%error, refund = %request.refund, "a simulated refund has no known outcome");
                RefundOutcome::Unknown
            }
        }
    }
}

//! Port: the books of the payment simulator. A part of the ledger, so that they survive a kill, and all nodes share them.

use async_trait::async_trait;
use uuid::Uuid;

use crate::log::LogError;

/// A charge or a refund in the books of the simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedPayment {
    /// The payment or the refund.
    pub id: Uuid,
    /// The payment that a refund pays back; `None` for a charge.
    pub refund_of: Option<Uuid>,
    /// How much, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// The token of the method.
    pub token: String,
    /// What became of it: `succeeded`, `failed`, `action_required`, `processing`.
    pub state: String,
    /// How often it was asked for.
    pub requests: i64,
}

/// The part of the ledger that stores the books of the simulator. Implemented by every engine of the log.
#[async_trait]
pub trait SimulatedPayments: Send + Sync {
    /// Enters a charge or a refund, unless one with this id is there, whose requests are counted then; returns what is there.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn enter_simulated_payment(&self, new: &SimulatedPayment) -> Result<SimulatedPayment, LogError>;

    /// The entry with an id.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn simulated_payment(&self, id: Uuid) -> Result<Option<SimulatedPayment>, LogError>;

    /// Moves an entry from one state to another; `false` if it is in neither.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn move_simulated_payment(&self, id: Uuid, from: &str, to: &str) -> Result<bool, LogError>;

    /// At most `limit` entries after an id, in order.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn simulated_payments(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<SimulatedPayment>, LogError>;
}

//! The books of the payment simulator, beside the log.

use async_trait::async_trait;
use porttask_runtime::{
    log::LogError,
    simulated_payments::{SimulatedPayment, SimulatedPayments},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresLog;

const ENTER: &str = "INSERT INTO ledger.simulated_payments AS old (id, refund_of, amount, currency, token, state)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET requests = old.requests + 1
    RETURNING id, refund_of, amount, currency, token, state, requests";

const ONE: &str = "SELECT id, refund_of, amount, currency, token, state, requests FROM ledger.simulated_payments
    WHERE id = $1";

const MOVE: &str = "UPDATE ledger.simulated_payments SET state = $3 WHERE id = $1 AND state IN ($2, $3)";

const PAGE: &str = "SELECT id, refund_of, amount, currency, token, state, requests FROM ledger.simulated_payments
    WHERE id > $1 ORDER BY id LIMIT $2";

#[async_trait]
impl SimulatedPayments for PostgresLog {
    async fn enter_simulated_payment(&self, new: &SimulatedPayment) -> Result<SimulatedPayment, LogError> {
        let SimulatedPayment { id, refund_of, amount, currency, token, state, .. } = new;
        let rows = self.rows(ENTER, &[id, refund_of, amount, currency, token, state]).await?;
        let entered = rows.first().map(stored);
        entered.ok_or_else(|| LogError::Damaged("an entry of the payment simulator was not returned".to_owned()))
    }

    async fn simulated_payment(&self, id: Uuid) -> Result<Option<SimulatedPayment>, LogError> {
        Ok(self.rows(ONE, &[&id]).await?.first().map(stored))
    }

    async fn move_simulated_payment(&self, id: Uuid, from: &str, to: &str) -> Result<bool, LogError> {
        Ok(self.changed(MOVE, &[&id, &from, &to]).await? == 1)
    }

    async fn simulated_payments(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<SimulatedPayment>, LogError> {
        let rows = self.rows(PAGE, &[&after.unwrap_or_default(), &(limit as i64)]).await?;
        Ok(rows.iter().map(stored).collect())
    }
}

fn stored(row: &Row) -> SimulatedPayment {
    SimulatedPayment {
        id: row.get(0),
        refund_of: row.get(1),
        amount: row.get(2),
        currency: row.get(3),
        token: row.get(4),
        state: row.get(5),
        requests: row.get(6),
    }
}

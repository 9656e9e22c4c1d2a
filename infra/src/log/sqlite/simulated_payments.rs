//! The books of the payment simulator, beside the embedded log.

use async_trait::async_trait;
use porttask_runtime::{
    log::LogError,
    simulated_payments::{SimulatedPayment, SimulatedPayments},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    SqliteLog,
    reader::{Durable, uuid},
};

const ENTER: &str = "INSERT INTO ledger_simulated_payments AS old (id, refund_of, amount, currency, token, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET requests = old.requests + 1
    RETURNING id, refund_of, amount, currency, token, state, requests";

const ONE: &str = "SELECT id, refund_of, amount, currency, token, state, requests FROM ledger_simulated_payments
    WHERE id = ?1";

const MOVE: &str = "UPDATE ledger_simulated_payments SET state = ?3 WHERE id = ?1 AND state IN (?2, ?3)";

const PAGE: &str = "SELECT id, refund_of, amount, currency, token, state, requests FROM ledger_simulated_payments
    WHERE id > ?1 ORDER BY id LIMIT ?2";

#[async_trait]
impl SimulatedPayments for SqliteLog {
    async fn enter_simulated_payment(&self, new: &SimulatedPayment) -> Result<SimulatedPayment, LogError> {
        let new = new.clone();
        let enter = move |connection: &mut Connection| {
            let SimulatedPayment { id, refund_of, amount, currency, token, state, .. } = new;
            let values = params![id.as_bytes(), refund_of.map(Uuid::into_bytes), amount, currency, token, state];
            connection.query_row(ENTER, values, stored)
        };
        // Money that was moved is not forgotten.
        self.readers.run_writing(Durable::AtOnce, enter).await
    }

    async fn simulated_payment(&self, id: Uuid) -> Result<Option<SimulatedPayment>, LogError> {
        self.readers.quickly(|connection| connection.query_row(ONE, params![id.as_bytes()], stored).optional())
    }

    async fn move_simulated_payment(&self, id: Uuid, from: &str, to: &str) -> Result<bool, LogError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let change = move |connection: &mut Connection| connection.execute(MOVE, params![id.as_bytes(), from, to]);
        Ok(self.readers.run_writing(Durable::AtOnce, change).await? == 1)
    }

    async fn simulated_payments(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<SimulatedPayment>, LogError> {
        let after = after.unwrap_or_default();
        self.readers.quickly(|connection| {
            let mut select = connection.prepare_cached(PAGE)?;
            select.query_map(params![after.as_bytes(), limit as i64], stored)?.collect()
        })
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<SimulatedPayment> {
    let refund_of = match row.get_ref(1)?.data_type() {
        rusqlite::types::Type::Null => None,
        _ => Some(uuid(row, 1)?),
    };
    Ok(SimulatedPayment {
        id: uuid(row, 0)?,
        refund_of,
        amount: row.get(2)?,
        currency: row.get(3)?,
        token: row.get(4)?,
        state: row.get(5)?,
        requests: row.get(6)?,
    })
}

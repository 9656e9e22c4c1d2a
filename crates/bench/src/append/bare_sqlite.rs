//! SQLite without the log.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    bare::{Bare, Rows},
    load::{DATA, EVENT_TYPE, META, stream_name},
};
use crate::Error;

pub(super) struct BareSqlite {
    file: PathBuf,
    connection: Connection,
    rows: Rows,
}

impl BareSqlite {
    pub(super) fn open(file: &Path, rows: Rows) -> Result<Self, Error> {
        let connection = Connection::open(file)?;
        connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 2048")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { file: file.to_owned(), connection, rows })
    }

    fn write(&mut self, count: usize) -> Result<(), Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut event = transaction.prepare_cached(
                "INSERT INTO events (offset, stream, previous, version, recorded_at, event_id, organization,
                 stream_name, type, leaf_hash, data, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            let mut begin =
                transaction.prepare_cached("INSERT INTO streams (organization, name, first) VALUES (?1, ?2, ?3)")?;
            let mut end = transaction.prepare_cached("INSERT INTO ends (stream, last, version) VALUES (?1, ?2, ?3)")?;
            let mut advance =
                transaction.prepare_cached("UPDATE ends SET last = ?2, version = ?3 WHERE stream = ?1")?;
            let mut mark =
                transaction.prepare_cached("INSERT INTO marks (stream, version, offset) VALUES (?1, ?2, ?3)")?;
            let organization = self.rows.organization;
            for _ in 0..count {
                let row = self.rows.next();
                let name = stream_name(row.number);
                event.execute(params![
                    row.offset,
                    row.first,
                    row.previous,
                    row.version,
                    row.recorded_at.as_microsecond(),
                    row.id.as_bytes(),
                    organization.as_bytes(),
                    name,
                    EVENT_TYPE,
                    row.leaf_hash,
                    DATA,
                    META
                ])?;
                if row.version == 1 {
                    begin.execute(params![organization.as_bytes(), name, row.first])?;
                    end.execute(params![row.first, row.offset, row.version])?;
                } else {
                    advance.execute(params![row.first, row.offset, row.version])?;
                }
                if row.version.is_multiple_of(64) {
                    mark.execute(params![row.first, row.version, row.offset])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

#[async_trait]
impl Bare for BareSqlite {
    async fn batches(&mut self, size: usize, time: Duration) -> Result<f64, Error> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            self.write(size)?;
            count += size;
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }

    /// SQLite has a single writer, so concurrent callers are as fast as one.
    async fn naive(&mut self, _callers: usize, time: Duration) -> Result<f64, Error> {
        self.batches(1, time).await
    }

    async fn scan(&mut self, time: Duration) -> Result<f64, Error> {
        // With the settings of the log's readers.
        let reader = Connection::open(&self.file)?;
        reader.execute_batch("PRAGMA query_only = true; PRAGMA cache_size = -16384")?;
        let mut page = reader.prepare_cached(
            "SELECT offset, version, recorded_at, event_id, organization, stream_name, type, leaf_hash, data, meta
             FROM events WHERE offset > ?1 ORDER BY offset LIMIT 1000",
        )?;
        let (start, mut after, mut count, mut bytes) = (Instant::now(), 0_i64, 0_usize, 0);
        while start.elapsed() < time {
            let mut rows = page.query(params![after])?;
            after = 0;
            while let Some(row) = rows.next()? {
                after = row.get(0)?;
                for column in 3..10 {
                    bytes += row.get_ref(column)?.as_bytes()?.len();
                }
                count += 1;
            }
        }
        std::hint::black_box(bytes);
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }

    async fn fill(&mut self, count: u64) -> Result<(), Error> {
        while self.rows.offset < count {
            self.write(1_000)?;
        }
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Send>, Error> {
        let connection = Connection::open(&self.file)?;
        connection.execute_batch("BEGIN")?;
        connection.query_row("SELECT count(*) FROM (SELECT 1 FROM events LIMIT 1)", [], |_| Ok(()))?;
        Ok(Box::new(connection))
    }
}

//! PostgreSQL without the log, on its own thread and runtime like the log's writers.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    TryStreamExt,
    future::{join, join3},
};
use tokio::task::JoinSet;
use tokio_postgres::{
    Client, NoTls, Statement,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    bare::{Bare, BareRow, Rows},
    load::{DATA, EVENT_TYPE, META, stream_name},
};
use crate::Error;

const PARTITION: i32 = 1;
const NAIVE_CONNECTIONS: usize = 64;
const COLUMNS: &str = "partition, \"offset\", stream, version, recorded_at, event_id, organization, stream_name, type, \
                       leaf_hash, data, meta";
const TYPES: [Type; 12] = [
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA,
];

pub(super) struct BarePostgres {
    url: String,
    rows: Arc<Mutex<Rows>>,
}

impl BarePostgres {
    pub(super) async fn open(url: &str, rows: Rows) -> Result<Self, Error> {
        Ok(Self { url: url.to_owned(), rows: Arc::new(Mutex::new(rows)) })
    }

    /// Runs `work` on its own thread and runtime.
    async fn apart<T, F>(&self, work: impl FnOnce(String, Arc<Mutex<Rows>>) -> F + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>>,
    {
        let (url, rows) = (self.url.clone(), Arc::clone(&self.rows));
        let done = tokio::task::spawn_blocking(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(url, rows))
        });
        done.await?
    }
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET jit = off").await?;
    Ok(client)
}

struct Statements {
    begin: Statement,
    commit: Statement,
    copy: Statement,
    insert: Statement,
}

async fn prepare(client: &Client) -> Result<Statements, Error> {
    let parameters = (1..=12).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    Ok(Statements {
        begin: client.prepare("BEGIN").await?,
        commit: client.prepare("COMMIT").await?,
        copy: client.prepare(&format!("COPY log.events ({COLUMNS}) FROM STDIN (FORMAT binary)")).await?,
        insert: client.prepare(&format!("INSERT INTO log.events ({COLUMNS}) VALUES ({parameters})")).await?,
    })
}

/// A transaction in as few round trips as possible: one for a single row, two for a `COPY`.
async fn write(
    client: &Client,
    statements: &Statements,
    organization: uuid::Uuid,
    rows: &[BareRow],
) -> Result<(), Error> {
    let begin = client.execute(&statements.begin, &[]);
    let commit = client.execute(&statements.commit, &[]);
    if let [row] = rows {
        let name = stream_name(row.number);
        let values = Values::new(row, organization, &name);
        let values = values.as_row();
        let (begun, inserted, committed) = join3(begin, client.execute(&statements.insert, &values), commit).await;
        begun?;
        inserted?;
        committed?;
        return Ok(());
    }
    let (begun, sink) = join(begin, client.copy_in::<_, Bytes>(&statements.copy)).await;
    begun?;
    let sink = sink?;
    let copying = async {
        let mut copy = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for row in rows {
            let name = stream_name(row.number);
            copy.as_mut().write(&Values::new(row, organization, &name).as_row()).await?;
        }
        copy.finish().await
    };
    let (copied, committed) = join(copying, commit).await;
    copied?;
    committed?;
    Ok(())
}

struct Values<'a> {
    row: &'a BareRow,
    numbers: [i64; 3],
    organization: uuid::Uuid,
    name: &'a str,
    leaf_hash: &'a [u8],
}

impl<'a> Values<'a> {
    fn new(row: &'a BareRow, organization: uuid::Uuid, name: &'a str) -> Self {
        let numbers = [row.offset as i64, row.first as i64, row.version as i64];
        Self { row, numbers, organization, name, leaf_hash: &row.leaf_hash }
    }

    fn as_row(&self) -> [&(dyn ToSql + Sync); 12] {
        let [offset, first, version] = &self.numbers;
        let (id, time) = (&self.row.id, &self.row.recorded_at);
        let text = (&self.name, &EVENT_TYPE);
        [
            &PARTITION,
            offset,
            first,
            version,
            time,
            id,
            &self.organization,
            text.0,
            text.1,
            &self.leaf_hash,
            &DATA,
            &META,
        ]
    }
}

#[async_trait]
impl Bare for BarePostgres {
    async fn batches(&mut self, size: usize, time: Duration) -> Result<f64, Error> {
        let work = move |url: String, rows: Arc<Mutex<Rows>>| async move {
            let client = connect(&url).await?;
            let statements = prepare(&client).await?;
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < time {
                let (organization, batch) = take(&rows, size);
                write(&client, &statements, organization, &batch).await?;
                count += size;
            }
            Ok(count as f64 / start.elapsed().as_secs_f64())
        };
        self.apart(work).await
    }

    async fn naive(&mut self, callers: usize, time: Duration) -> Result<f64, Error> {
        let config = self.url.parse()?;
        let manager = deadpool_postgres::Manager::new(config, NoTls);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(callers.min(NAIVE_CONNECTIONS)).build()?;
        let count = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (pool, rows, count) = (pool.clone(), Arc::clone(&self.rows), Arc::clone(&count));
            tasks.spawn(async move {
                while start.elapsed() < time {
                    let mut client = pool.get().await?;
                    let sql = "INSERT INTO log.events VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
                    let insert = client.prepare_cached(sql).await?;
                    let (organization, batch) = take(&rows, 1);
                    let name = stream_name(batch[0].number);
                    let transaction = client.transaction().await?;
                    transaction.execute(&insert, &Values::new(&batch[0], organization, &name).as_row()).await?;
                    transaction.commit().await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
    }

    async fn scan(&mut self, time: Duration) -> Result<f64, Error> {
        let client = connect(&self.url).await?;
        let page = client
            .prepare(
                "SELECT partition, \"offset\", version, recorded_at, event_id, organization, stream_name, type,
                 leaf_hash, data, meta FROM log.events WHERE partition = $1 AND \"offset\" > $2
                 ORDER BY \"offset\" LIMIT 1000",
            )
            .await?;
        let (start, mut after, mut count, mut bytes) = (Instant::now(), 0_i64, 0_usize, 0);
        while start.elapsed() < time {
            let mut rows = pin!(client.query_raw(&page, [&PARTITION as &(dyn ToSql + Sync), &after]).await?);
            let mut last = 0;
            while let Some(row) = rows.try_next().await? {
                last = row.get(1);
                bytes += row.get::<_, &[u8]>(9).len() + row.get::<_, &[u8]>(10).len();
                count += 1;
            }
            after = last;
        }
        std::hint::black_box(bytes);
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }

    async fn fill(&mut self, count: u64) -> Result<(), Error> {
        let work = move |url: String, rows: Arc<Mutex<Rows>>| async move {
            let client = connect(&url).await?;
            let statements = prepare(&client).await?;
            loop {
                let (organization, batch) = take(&rows, 1_000);
                write(&client, &statements, organization, &batch).await?;
                if batch.last().is_some_and(|row| row.offset >= count) {
                    return Ok(());
                }
            }
        };
        self.apart(work).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Send>, Error> {
        let client = connect(&self.url).await?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM log.heads").await?;
        Ok(Box::new(client))
    }
}

fn take(rows: &Mutex<Rows>, count: usize) -> (uuid::Uuid, Vec<BareRow>) {
    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    (rows.organization, rows.take(count))
}

//! A fresh store on either engine, opened as often as needed.

use std::cell::Cell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use porttask_infra::log::QueueLimits;
use porttask_infra::log::postgres::{PostgresLog, PostgresOptions};
use porttask_infra::log::sqlite::{SqliteLog, SqliteOptions};
use porttask_runtime::ledger::Database;
use porttask_runtime::log::{EventLog, LogError};
use private_postgres::PrivatePostgres;
use tempfile::TempDir;

/// The longest that any one test may take; what takes longer hangs.
const TEST_LIMIT: Duration = Duration::from_secs(180);

/// What keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file.
    Sqlite,
    /// A database server.
    Postgres,
}

/// How a store is opened, where that differs from the engine's defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// How much may wait.
    pub queue: Option<QueueLimits>,
    /// How often a node looks for what it was not told of.
    pub poll: Option<Duration>,
    /// How long an append is retried while the server is away. PostgreSQL only.
    pub patience: Option<Duration>,
    /// How long an append session is kept that is not used. PostgreSQL only.
    pub idle: Option<Duration>,
    /// How many partitions a new log gets. PostgreSQL only.
    pub partitions: Option<u16>,
}

/// The place of a log: a directory, or the URL of a database.
pub struct Store {
    engine: Engine,
    place: String,
    /// Held because dropping it removes it.
    _directory: Option<TempDir>,
}

impl Store {
    /// An empty store: a temporary directory, or a new database on the server that all tests of the process share.
    pub fn fresh(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let directory = private_directory();
                let place = directory.path().to_str().unwrap().to_owned();
                Self { engine, place, _directory: Some(directory) }
            }
            Engine::Postgres => Self::at(engine, PrivatePostgres::shared().fresh_database()),
        }
    }

    /// The store at a directory or URL, which stays when this value is dropped.
    pub fn at(engine: Engine, place: impl Into<String>) -> Self {
        Self { engine, place: place.into(), _directory: None }
    }

    /// Its engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The directory or URL.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The database file of the SQLite engine.
    pub fn file(&self) -> PathBuf {
        Path::new(&self.place).join("log.db")
    }

    /// A node on this store. Every call opens another one.
    pub async fn open(&self) -> Arc<dyn EventLog> {
        self.open_with(Settings::default()).await
    }

    /// A node on this store with other settings than the defaults.
    pub async fn open_with(&self, settings: Settings) -> Arc<dyn EventLog> {
        self.open_database(settings).await
    }

    /// A node on this store, with the ledger.
    pub async fn open_database(&self, settings: Settings) -> Arc<dyn Database> {
        self.try_open(settings).await.unwrap_or_else(|error| panic!("{:?} did not open: {error}", self.engine))
    }

    /// A node on this store, or why there is none.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn try_open(&self, settings: Settings) -> Result<Arc<dyn Database>, LogError> {
        Ok(match self.engine {
            Engine::Sqlite => {
                let mut options = SqliteOptions::new(&self.place);
                options.queue = settings.queue.unwrap_or(options.queue);
                options.poll = settings.poll.unwrap_or(options.poll);
                SqliteLog::open(options).await?
            }
            Engine::Postgres => {
                let mut options = PostgresOptions::new(&self.place);
                options.queue = settings.queue.unwrap_or(options.queue);
                options.poll = settings.poll.unwrap_or(options.poll);
                options.patience = settings.patience.unwrap_or(options.patience);
                options.idle = settings.idle.unwrap_or(options.idle);
                options.partitions = settings.partitions.unwrap_or(options.partitions);
                PostgresLog::open(options).await?
            }
        })
    }

    /// Runs SQL beside the log on its PostgreSQL database and returns the first column of the rows as text.
    pub async fn sql(&self, sql: &str) -> Vec<String> {
        assert_eq!(self.engine, Engine::Postgres, "SQL is run on PostgreSQL");
        let (client, connection) = tokio_postgres::connect(&self.place, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        drop(client);
        connection.await.unwrap().unwrap();
        let first_column = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        messages.into_iter().filter_map(first_column).collect()
    }
}

/// A temporary directory that only its owner can enter, whatever the umask.
pub fn private_directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// Runs SQL beside the log on either engine. Tables are named as on PostgreSQL: `log.…`, `ledger.…` or `views.…`.
pub async fn run_sql(store: &Store, sql: &str) {
    match store.engine {
        Engine::Sqlite => {
            let file = if sql.contains("views.") { store.file().with_file_name("views.db") } else { store.file() };
            let connection = rusqlite::Connection::open(file).unwrap();
            let sql = sql.replace("views.", "").replace("log.", "").replace("ledger.", "ledger_");
            connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        Engine::Postgres => drop(store.sql(sql).await),
    }
}

/// The argument of a test that runs on both engines.
pub trait Fixture {
    /// Prepares it on an engine, outside of any asynchronous runtime.
    fn on(engine: Engine) -> Self;
}

/// A fresh store for each test.
impl Fixture for Store {
    fn on(engine: Engine) -> Self {
        Self::fresh(engine)
    }
}

/// Runs a test with a fixture on an engine.
pub fn run_on<T: Fixture, F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(T) -> F) {
    run(test(T::on(engine)));
}

/// A test that runs on both engines in the background, because it mostly waits.
pub struct Background {
    test: fn(Engine),
    /// The runs that are not awaited yet, once they were started.
    runs: Mutex<Option<Vec<Run>>>,
}

/// A run on an engine. It returns why it failed.
type Run = (Engine, JoinHandle<Result<(), String>>);

impl Background {
    /// Starts nothing yet.
    pub const fn new(test: fn(Engine)) -> Self {
        Self { test, runs: Mutex::new(None) }
    }

    /// Starts the test on both engines, unless that was done before or tests are filtered by name.
    pub fn start(&self) {
        let is_filtered = std::env::args().skip(1).any(|argument| !argument.starts_with('-'));
        if !is_filtered {
            self.runs.lock().unwrap().get_or_insert_with(|| self.both());
        }
    }

    /// Starts the test on both engines, unless that was done before, and waits for its end on this one.
    ///
    /// # Panics
    /// When it panicked on this engine.
    pub fn join(&self, engine: Engine) {
        let run = {
            let mut runs = self.runs.lock().unwrap();
            let runs = runs.get_or_insert_with(|| self.both());
            let place = runs.iter().position(|run| run.0 == engine).expect("joined twice");
            runs.remove(place).1
        };
        // Its output was captured by the test that started it.
        run.join().unwrap().unwrap_or_else(|message| panic!("{message}"));
    }

    fn both(&self) -> Vec<Run> {
        let test = self.test;
        [Engine::Sqlite, Engine::Postgres].map(|engine| (engine, thread::spawn(move || catch(|| test(engine))))).into()
    }
}

/// Returns the message and the location of a panic.
fn catch(test: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    thread_local!(static MESSAGE: Cell<String> = Cell::default());
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            MESSAGE.set(info.to_string());
            usual(info);
        }));
    });
    panic::catch_unwind(AssertUnwindSafe(test)).map_err(|_| MESSAGE.take())
}

/// What asynchronous tests run on.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs an asynchronous test to its end, or fails when it hangs.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = runtime();
    let finished = runtime.block_on(async { tokio::time::timeout(TEST_LIMIT, test).await });
    // What still runs in the background must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    finished.unwrap_or_else(|_| panic!("the test hangs: not finished after {TEST_LIMIT:?}"))
}

/// Polls a condition until it holds.
///
/// # Panics
/// When it does not hold within `limit`.
pub async fn by<F: Future<Output = bool>>(limit: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + limit;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

//! A writer that does not let go of the log.

use porttask_tests::{Engine, Store};

/// Holds the locks of partitions, as a writer in the middle of a transaction does.
pub(crate) struct Blocked {
    release: tokio::sync::oneshot::Sender<()>,
    blocking: tokio::task::JoinHandle<()>,
}

impl Blocked {
    /// Takes the locks of all partitions.
    pub(crate) async fn on(store: &Store) -> Self {
        Self::holding(store, "SELECT FROM log.heads FOR UPDATE").await
    }

    /// Takes the lock of the platform's partition; with SQLite, that is the only one.
    pub(crate) async fn platform(store: &Store) -> Self {
        Self::holding(store, "SELECT FROM log.heads WHERE partition = 0 FOR UPDATE").await
    }

    async fn holding(store: &Store, lock: &'static str) -> Self {
        let (release, released) = tokio::sync::oneshot::channel();
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let (engine, place, file) = (store.engine(), store.place().to_owned(), store.file());
        let blocking = tokio::spawn(async move {
            match engine {
                Engine::Sqlite => {
                    let connection = rusqlite::Connection::open(file).unwrap();
                    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                    locked.send(()).unwrap();
                    released.await.unwrap();
                }
                Engine::Postgres => {
                    let (client, connection) = tokio_postgres::connect(&place, tokio_postgres::NoTls).await.unwrap();
                    let connection = tokio::spawn(connection);
                    client.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
                    locked.send(()).unwrap();
                    released.await.unwrap();
                    drop(client);
                    connection.await.unwrap().unwrap();
                }
            }
        });
        is_locked.await.unwrap();
        Self { release, blocking }
    }

    /// Gives the locks back.
    pub(crate) async fn end(self) {
        self.release.send(()).unwrap();
        self.blocking.await.unwrap();
    }
}

//! The tables of the log in a PostgreSQL database: created, migrated and checked when a node starts.

use porttask_runtime::log::{Incarnation, LogError};
use refinery_core::{Migration, Runner, error::Kind};
use tokio_postgres::Client;
use uuid::Uuid;

use super::error::from_postgres;

/// The oldest supported server version.
const OLDEST_SERVER: i32 = 150_000;
/// "PortTask" in ASCII: the advisory lock under which one node at a time migrates.
pub(super) const MIGRATION_LOCK: i64 = 0x506f_7274_5461_736b;

/// Whether the log exists, and whether its schemas contain anything.
const FOUND: &str = "
    SELECT to_regclass('log.migrations') IS NOT NULL, EXISTS (
        SELECT FROM pg_class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname IN ('log', 'ledger')
    )";

/// Whether the database contains a log.
pub(super) async fn exists(client: &Client) -> Result<bool, LogError> {
    let row = client.query_one(FOUND, &[]).await.map_err(|error| from_postgres(&error))?;
    Ok(row.get(0))
}

/// Migrates the database; returns the number of partitions.
pub(super) async fn prepare(client: &mut Client, partitions: u16) -> Result<u16, LogError> {
    let failed = |error: tokio_postgres::Error| from_postgres(&error);
    let row = client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await.map_err(failed)?;
    let version: i32 = row.get(0);
    if version < OLDEST_SERVER {
        return Err(LogError::Unusable(format!("PostgreSQL {} is too old: 15 or later is required", version / 10_000)));
    }
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(failed)?;
    let prepared = migrate_and_fill(client, partitions).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await.map_err(failed)?;
    prepared
}

async fn migrate_and_fill(client: &mut Client, partitions: u16) -> Result<u16, LogError> {
    let failed = |error: tokio_postgres::Error| from_postgres(&error);
    let row = client.query_one(FOUND, &[]).await.map_err(failed)?;
    let (is_ours, is_taken): (bool, bool) = (row.get(0), row.get(1));
    if !is_ours && is_taken {
        return Err(LogError::Unusable(
            "the database has schemas `log` or `ledger` of another program: choose another database in DATABASE_URL"
                .to_owned(),
        ));
    }
    if !is_ours {
        client
            .batch_execute("CREATE SCHEMA IF NOT EXISTS log; CREATE SCHEMA IF NOT EXISTS ledger")
            .await
            .map_err(failed)?;
    }
    migrate(client).await?;
    // Partitions may be added for new organizations; none is ever removed.
    let wanted = i32::from(partitions.max(1));
    client
        .execute("INSERT INTO log.heads SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING", &[&wanted])
        .await
        .map_err(failed)?;
    let first = Uuid::now_v7();
    let begin = "INSERT INTO log.incarnations (id) SELECT $1 WHERE NOT EXISTS (SELECT FROM log.incarnations)";
    client.execute(begin, &[&first]).await.map_err(failed)?;
    let row = client.query_one("SELECT count(*) FROM log.heads", &[]).await.map_err(failed)?;
    u16::try_from(row.get::<_, i64>(0)).map_err(|_| LogError::Damaged("log.heads has too many rows".to_owned()))
}

async fn migrate(client: &mut Client) -> Result<(), LogError> {
    let migrations = [
        Migration::unapplied("V1__log", include_str!("../../../migrations/postgres/V1__log.sql")),
        Migration::unapplied("V2__ledger", include_str!("../../../migrations/postgres/V2__ledger.sql")),
        Migration::unapplied("V3__clock", include_str!("../../../migrations/postgres/V3__clock.sql")),
        Migration::unapplied("V4__attempts", include_str!("../../../migrations/postgres/V4__attempts.sql")),
        Migration::unapplied("V5__nodes", include_str!("../../../migrations/postgres/V5__nodes.sql")),
        Migration::unapplied("V6__usage_counts", include_str!("../../../migrations/postgres/V6__usage_counts.sql")),
        Migration::unapplied(
            "V7__simulated_payments",
            include_str!("../../../migrations/postgres/V7__simulated_payments.sql"),
        ),
        Migration::unapplied(
            "V8__shared_documents",
            include_str!("../../../migrations/postgres/V8__shared_documents.sql"),
        ),
    ];
    let migrations: Result<Vec<_>, _> = migrations.into_iter().collect();
    let unusable = |error: refinery_core::Error| match error.kind() {
        Kind::MissingVersion(_) | Kind::DivergentVersion(..) => LogError::Unusable(
            "the database was written by a newer version of PortTask: run that version, or restore a backup of \
             this one"
                .to_owned(),
        ),
        _ => LogError::Unusable(format!("the database cannot be migrated: {}", super::error::with_cause(&error))),
    };
    let mut runner = Runner::new(&migrations.map_err(unusable)?);
    runner.set_migration_table_name("log.migrations");
    runner.run_async(client).await.map(drop).map_err(unusable)
}

/// Starts a new incarnation of the log.
pub(super) async fn begin_incarnation(client: &Client) -> Result<Incarnation, tokio_postgres::Error> {
    let incarnation = Uuid::now_v7();
    client.execute("INSERT INTO log.incarnations (id) VALUES ($1)", &[&incarnation]).await?;
    Ok(Incarnation(incarnation))
}

//! Stores that cannot be used, and what the operator is told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use porttask_runtime::log::{LogError, OrganizationId, PartitionId};
use porttask_tests::{Engine, History, Settings, Store, on_both_engines, run, run_on, simple};
use private_postgres::{Options, PrivatePostgres};

use super::{assert_names, closed, rejection};

on_both_engines! {
    a_store_of_a_newer_version_is_refused,
}

async fn a_store_of_a_newer_version_is_refused(store: Store) {
    let log = store.open().await;
    log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
    drop(log);
    let newer =
        |table| format!("INSERT INTO {table} SELECT 99, 'from_the_future', applied_on, checksum FROM {table} LIMIT 1");
    match store.engine() {
        Engine::Sqlite => {
            let connection = rusqlite::Connection::open(store.file()).unwrap();
            connection.execute(&newer("refinery_schema_history"), []).unwrap();
        }
        Engine::Postgres => drop(store.sql(&newer("log.migrations")).await),
    }
    let error = rejection(&store).await;
    assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
    assert_names(&error, &["newer version", "run that version", "backup"]);
}

/// A closed log with some thousand bytes.
async fn filled(store: &Store) {
    let log = store.open().await;
    for _ in 0..200 {
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
    }
    drop(log);
    closed(&store.file()).await;
}

#[test]
fn a_truncated_file_is_damaged() {
    run_on(Engine::Sqlite, async |store: Store| {
        filled(&store).await;
        let whole = fs::read(store.file()).unwrap();
        for length in [whole.len() - 1, whole.len() - 8_192, whole.len() / 2, 8_192, 5_000] {
            fs::write(store.file(), &whole[..length]).unwrap();
            let error = rejection(&store).await;
            assert!(matches!(error, LogError::Damaged(_)), "cut to {length} bytes: {error:?}");
            assert_names(&error, &["backup"]);
        }
        fs::write(store.file(), &whole).unwrap();
        assert_eq!(History::of(&*store.open().await).await.events().count(), 200);
    });
}

#[test]
fn a_file_with_overwritten_pages_gives_no_false_events() {
    run_on(Engine::Sqlite, async |store: Store| {
        filled(&store).await;
        let mut bytes = fs::read(store.file()).unwrap();
        let length = bytes.len();
        bytes[8_192..length].fill(0xa5);
        fs::write(store.file(), &bytes).unwrap();
        let error = match store.try_open(Settings::default()).await {
            Err(error) => error,
            Ok(log) => log.read_partition(PartitionId(0), porttask_runtime::log::Offset(0), 1_000).await.unwrap_err(),
        };
        assert!(matches!(error, LogError::Damaged(_)), "{error:?}");
        assert_names(&error, &["backup"]);
    });
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    run_on(Engine::Sqlite, async |store: Store| {
        let text = "It was the best of times, it was the worst of times.\n".repeat(400);
        fs::write(store.file(), &text).unwrap();
        let error = rejection(&store).await;
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert_names(&error, &["log.db", "not a porttask log"]);
        assert_eq!(fs::read_to_string(store.file()).unwrap(), text);
    });
}

#[test]
fn the_sqlite_database_of_another_program_is_refused_and_left_alone() {
    run_on(Engine::Sqlite, async |store: Store| {
        let connection = rusqlite::Connection::open(store.file()).unwrap();
        connection.execute_batch("CREATE TABLE events (id INTEGER); INSERT INTO events VALUES (7)").unwrap();
        drop(connection);
        let before = fs::read(store.file()).unwrap();
        let error = rejection(&store).await;
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert_names(&error, &["another program", "data folder"]);
        assert_eq!(fs::read(store.file()).unwrap(), before);
    });
}

#[test]
fn a_file_where_the_folder_should_be_is_refused() {
    run_on(Engine::Sqlite, async |store: Store| {
        let file = Path::new(store.place()).join("occupied");
        fs::write(&file, "x").unwrap();
        for place in [file.clone(), file.join("deeper")] {
            let error = rejection(&Store::at(Engine::Sqlite, place.to_str().unwrap())).await;
            assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
            assert_names(&error, &["folder", "occupied"]);
        }
    });
}

#[test]
fn a_missing_folder_is_made() {
    run_on(Engine::Sqlite, async |store: Store| {
        let deeper = Path::new(store.place()).join("a/b");
        let log = Store::at(Engine::Sqlite, deeper.to_str().unwrap()).open().await;
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        assert!(deeper.join("log.db").is_file());
    });
}

#[test]
fn a_wrong_password_is_refused() {
    run(async {
        let options = Options { password: Some("right/p:ss@wörd".to_owned()), ..Options::default() };
        let server = tokio::task::block_in_place(|| PrivatePostgres::with(options)).unwrap();
        let url = server.url("postgres");
        let right = Store::at(Engine::Postgres, &url);
        right.open().await.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        let (before, after) = (url.find("://postgres:").unwrap(), url.find("@127.0.0.1").unwrap());
        for wrong in [
            format!("{}://postgres:wrong{}", &url[..before], &url[after..]),
            format!("{}://postgres{}", &url[..before], &url[after..]),
        ] {
            let error = rejection(&Store::at(Engine::Postgres, wrong)).await;
            assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
            assert_names(&error, &["password"]);
            assert!(!error.to_string().contains("right"), "{error}");
        }
    });
}

#[test]
fn an_unknown_database_is_refused() {
    run(async {
        let error = rejection(&Store::at(Engine::Postgres, PrivatePostgres::shared().url("nowhere"))).await;
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert_names(&error, &["nowhere", "does not exist", "database_url"]);
    });
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    run(async {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for (host, word) in [(format!("127.0.0.1:{port}"), "refused"), ("no-such-host.invalid:5432".to_owned(), "")] {
            let store = Store::at(Engine::Postgres, format!("postgres://postgres@{host}/log"));
            let error = tokio::time::timeout(Duration::from_secs(20), rejection(&store)).await.unwrap();
            assert!(matches!(error, LogError::Unavailable(_)), "{error:?}");
            assert_names(&error, &["cannot be reached", word]);
        }
    });
}

#[test]
fn an_address_that_is_none_is_refused() {
    run(async {
        for url in ["postgres://host:port/log", "postgres://u@127.0.0.1/log?sslmode=perhaps", "mysql://127.0.0.1/log"] {
            let error = rejection(&Store::at(Engine::Postgres, url)).await;
            assert!(matches!(error, LogError::Unusable(_)), "{url}: {error:?}");
            assert_names(&error, &["database_url"]);
        }
    });
}

#[test]
fn the_postgres_database_of_another_program_is_refused_and_left_alone() {
    run_on(Engine::Postgres, async |store: Store| {
        store
            .sql("CREATE SCHEMA log; CREATE TABLE log.events (line text); INSERT INTO log.events VALUES ('mine')")
            .await;
        let error = rejection(&store).await;
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert_names(&error, &["database"]);
        assert_eq!(store.sql("SELECT line FROM log.events").await, ["mine"]);
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('log', 'ledger')";
        assert_eq!(store.sql(tables).await, ["events"], "tables were left behind");
    });
}

#[test]
fn a_user_without_rights_is_refused() {
    run_on(Engine::Postgres, async |store: Store| {
        store.open().await.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        let role = format!("reader_{}", store.place().rsplit('_').next().unwrap());
        store.sql(&format!("CREATE ROLE {role} LOGIN")).await;
        let url = store.place().replace("postgres://postgres@", &format!("postgres://{role}@"));
        let error = rejection(&Store::at(Engine::Postgres, url)).await;
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert_names(&error, &["permission denied"]);
    });
}

//! `porttask copy`: from the embedded log to PostgreSQL.

use porttask_runtime::log::Offset;
use porttask_tests::{Dice, Engine, History, MASTER_KEY, Node, Settings, Store, run_on, run_sql, work};
use serde_json::Value;
use std::{
    fs,
    process::{Output, Stdio},
    thread::sleep,
    time::Duration,
};

use super::{complaint, porttask, said};

fn run(store: &Store, arguments: &[&str]) -> Output {
    porttask(store, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap()
}

fn copy(store: &Store, target: &Store) -> Output {
    run(store, &["copy", "--to", target.place(), "--json"])
}

/// An empty database.
fn database() -> Store {
    Store::fresh(Engine::Postgres)
}

/// Whether nothing was created in a database.
async fn is_empty(target: &Store) -> bool {
    target.sql("SELECT nspname FROM pg_namespace WHERE nspname IN ('log', 'ledger', 'views')").await.is_empty()
}

/// Rows of the ledger as processes leave them that were killed: in each table at least one, each column with a value.
const LEDGER: &str = "
    INSERT INTO ledger.cursors SELECT 'mail', (SELECT id FROM incarnations ORDER BY number DESC LIMIT 1), offset, event_id
        FROM events ORDER BY offset DESC LIMIT 1;
    INSERT INTO ledger.cursors SELECT 'held', x'00000000000000000000000000000001', offset, event_id
        FROM events ORDER BY offset DESC LIMIT 1;
    INSERT INTO ledger.tasks SELECT 40 + value, randomblob(16), 'mail', randomblob(16), 'invitation', randomblob(16), 1,
        randomblob(16), 'due', 1790000000000001, NULL, NULL, NULL, 3, 7, 'it failed'
        FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3);
    UPDATE ledger.tasks SET state = 'running', leased_until = 4000000000000000, holder = 'node', holder_run = randomblob(16)
        WHERE rank = 42;
    UPDATE ledger.tasks SET state = 'dead_lettered' WHERE rank = 43;
    INSERT INTO ledger.jobs VALUES (x'0000000000000000000000000000000b', x'0000000000000000000000000000000a', 'import', '{}', 1, x'ab', 'running',
        5, 10, '{}', 1790000000000000, 1790000000000001, NULL, 1790000000000002, 4000000000000000, 'node', randomblob(16), 1, 2,
        NULL);
    INSERT INTO ledger.job_payloads VALUES (x'0000000000000000000000000000000b', 'input', x'00ff');
    INSERT INTO ledger.credential_activity VALUES (randomblob(16), randomblob(16), 'session', 1790000000123456, randomblob(16),
        randomblob(16), x'01');
    INSERT INTO ledger.leases VALUES ('timers 0', 'node', randomblob(16), 4000000000000000);
    INSERT INTO ledger.timer_failures VALUES (randomblob(16), randomblob(16), 'expiry', 1790000000000000, 2,
        1790000000000000, 'it failed');
    INSERT INTO ledger.attempts VALUES (randomblob(16), 3, 1790000000000000, 1790000000000001, 0, 4000000000000000);
    INSERT INTO ledger.usage_counts VALUES (randomblob(16), '2026-11-27', randomblob(16), randomblob(16), 5, 2, 3, '2026-11-27', 1);
    INSERT INTO ledger.simulated_payments VALUES (randomblob(16), NULL, 4900, 'EUR', 'sim_ok', 'succeeded', 2);
    INSERT INTO ledger.secrets VALUES (randomblob(16), randomblob(16), 'session', x'ff', 1790000000000003);
    INSERT INTO ledger.idempotency_keys VALUES (randomblob(16), 'scope', 'key', x'aa', 1, 1790000000000000, 4000000000000000);
    INSERT INTO ledger.person_keys VALUES (randomblob(16), randomblob(16), 'trace', NULL);
";

#[test]
fn a_copy_has_the_same_events_and_the_whole_ledger() {
    run_on(Engine::Sqlite, async |store: Store| {
        said(&run(&store, &["init", "--simulated"]));
        let node = Node::on(&store).await;
        work(&node, 300).await;
        let (before, incarnation) = (History::of(&*node.log).await, node.log.incarnation().await.unwrap());
        drop(node);
        said(&run(&store, &["clock", "advance", "30d"]));
        run_sql(&store, LEDGER).await;
        let clock = said(&run(&store, &["clock", "show"]));

        let target = database();
        let output = copy(&store, &target);
        let copied: Value = serde_json::from_str(&said(&output)).unwrap();
        assert!(complaint(&output).contains("the same master key"), "{}", complaint(&output));
        assert_eq!(copied["events"], before.events().count());
        assert_eq!(copied["streams"], before.versions().len());
        let rows = copied["rows"].as_object().unwrap();
        for (table, count) in rows {
            assert!(count.as_u64().unwrap() > 0, "{table} was not tested");
            assert_eq!(target.sql(&format!("SELECT count(*) FROM {table}")).await, [count_of(table, count)], "{table}");
        }
        let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema IN ('log', 'ledger')
            AND table_name NOT IN ('heads', 'migrations', 'leases', 'nodes', 'clock')";
        assert_eq!(target.sql(tables).await, [rows.len().to_string()]);
        assert!(target.sql("SELECT 1 FROM ledger.leases").await.is_empty());

        let log = target.open_database(Settings { partitions: Some(1), ..Settings::default() }).await;
        let after = History::of(&*log).await;
        after.assert_sound();
        assert!(before == after, "the events differ");
        let new = log.incarnation().await.unwrap();
        assert_eq!((copied["incarnation"].as_str(), new != incarnation), (Some(&*new.to_string()), true));
        assert_eq!(clock.lines().nth(1), said(&run(&target, &["clock", "show"])).lines().nth(1));

        // Reactors go on where they were, and what a process was running is done again.
        assert_eq!(log.cursors("mail").await.unwrap()[0].incarnation, new);
        assert_ne!(log.cursors("held").await.unwrap()[0].incarnation, new);
        let tasks =
            "SELECT rank || state || coalesce(holder, '-') || attempts || extract(epoch FROM due_at) FROM ledger.tasks
            ORDER BY rank";
        let due = "1790000000.000001";
        let expected = ["41due", "42due", "43dead_lettered"].map(|task| format!("{task}-3{due}"));
        assert_eq!(target.sql(tasks).await, expected);
        let job = "SELECT state || coalesce(holder, '-') || done FROM ledger.jobs";
        assert_eq!(target.sql(job).await, ["waiting-5"]);
        assert_eq!(target.sql("SELECT nextval(pg_get_serial_sequence('ledger.tasks', 'rank'))").await, ["44"]);
        let payload = "SELECT encode(bytes, 'hex') || organization FROM ledger.job_payloads";
        assert_eq!(target.sql(payload).await, ["00ff00000000-0000-0000-0000-00000000000a"]);
        drop(log);

        said(&run(&target, &["log", "verify"]));
        said(&run(&target, &["constraints", "verify"]));
        // Organizations of the copy stay in their partition, and new ones are distributed over all.
        let node = Node::on(&target).await;
        node.found("other.example").await;
        assert_eq!(node.log.heads().await.unwrap().iter().filter(|head| head.position.offset > Offset(0)).count(), 2);
        assert!(node.constraints().verify().await.unwrap().is_empty());
    });
}

/// The number of rows in the copy: a new incarnation begins with it.
fn count_of(table: &str, count: &Value) -> String {
    (count.as_u64().unwrap() + u64::from(table == "log.incarnations")).to_string()
}

#[test]
fn a_log_that_is_in_use_is_not_copied() {
    run_on(Engine::Sqlite, async |store: Store| {
        let target = database();
        let node = Node::on(&store).await;
        let acme = node.acme().await;
        let refused = copy(&store, &target);
        assert_eq!(refused.status.code(), Some(1));
        assert!(complaint(&refused).contains("in use: stop the service"), "{}", complaint(&refused));
        assert!(is_empty(&target).await);
        // The process that uses it was not disturbed.
        node.organization(&acme, acme.suspend()).await.unwrap();
        drop(node);
        said(&copy(&store, &target));
    });
}

#[test]
fn a_database_that_has_a_log_is_not_overwritten() {
    run_on(Engine::Sqlite, async |store: Store| {
        let target = database();
        Node::on(&store).await.acme().await;
        // An interrupted copy may leave empty tables.
        drop(target.open().await);
        said(&copy(&store, &target));
        let copied = History::of(&*target.open().await).await;
        let other = Store::fresh(Engine::Sqlite);
        Node::on(&other).await.acme().await;
        for source in [&store, &other] {
            let refused = copy(source, &target);
            assert_eq!(refused.status.code(), Some(1));
            assert!(complaint(&refused).contains("already has a log"), "{}", complaint(&refused));
        }
        assert!(copied == History::of(&*target.open().await).await);
    });
}

#[test]
fn what_cannot_be_copied_is_refused_before_anything_is_written() {
    run_on(Engine::Sqlite, async |store: Store| {
        let target = database();
        let to = target.place().to_owned();
        let missing = copy(&store, &target);
        assert!(complaint(&missing).contains("there is no log"), "{}", complaint(&missing));
        Node::on(&store).await.acme().await;

        let key = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
        let mut other = porttask(&store, &["copy", "--to", &to]);
        let other = other.env("PORTTASK_MASTER_KEY", key).output().unwrap();
        assert!(complaint(&other).contains("master key"), "{}", complaint(&other));
        let mut postgres = porttask(&store, &["copy", "--to", &to]);
        let postgres = postgres.env("DATABASE_URL", &to).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
        assert!(complaint(&postgres).contains("unset DATABASE_URL"), "{}", complaint(&postgres));
        let directory = run(&store, &["copy", "--to", "/tmp/hunter2"]);
        assert!(complaint(&directory).contains("postgres://"), "{}", complaint(&directory));
        assert!(!complaint(&directory).contains("hunter2"), "{}", complaint(&directory));
        let nothing = run(&store, &["copy"]);
        assert!(complaint(&nothing).contains("--to"), "{}", complaint(&nothing));

        run_sql(&store, "UPDATE events SET data = x'7b7d' WHERE offset = 2").await;
        let damaged = copy(&store, &target);
        assert!(complaint(&damaged).contains("at 0:2"), "{}", complaint(&damaged));
        for refused in [missing, other, postgres, directory, damaged] {
            assert_eq!(refused.status.code(), Some(1), "{}", complaint(&refused));
        }
        assert!(is_empty(&target).await);
    });
}

#[test]
fn the_url_is_read_from_a_file() {
    run_on(Engine::Sqlite, async |store: Store| {
        let target = database();
        Node::on(&store).await.acme().await;
        let file = store.file().with_file_name("target.url");
        fs::write(&file, format!("{}\n", target.place())).unwrap();
        let copied = said(&run(&store, &["copy", "--to-file", file.to_str().unwrap()]));
        assert!(copied.contains("log.events") && copied.contains("Copied and verified"), "{copied}");
        assert!(!History::of(&*target.open().await).await.partitions[0].is_empty());
    });
}

#[test]
fn a_copy_that_is_killed_is_complete_or_can_be_repeated() {
    run_on(Engine::Sqlite, async |store: Store| {
        let node = Node::on(&store).await;
        work(&node, 300).await;
        let before = History::of(&*node.log).await;
        drop(node);
        let mut dice = Dice::new();
        for attempt in 0..5 {
            let target = database();
            let mut killed = porttask(&store, &["copy", "--to", target.place()]);
            killed.env("PORTTASK_MASTER_KEY", MASTER_KEY).stdout(Stdio::null()).stderr(Stdio::null());
            let mut killed = killed.spawn().unwrap();
            sleep(Duration::from_micros(u64::from(dice.below(800_000))));
            killed.kill().unwrap();
            killed.wait().unwrap();
            let again = copy(&store, &target);
            assert!(
                again.status.success() || complaint(&again).contains("already has a log"),
                "attempt {attempt}: {}",
                complaint(&again)
            );
            assert!(
                before.partitions[0] == History::of(&*target.open().await).await.partitions[0],
                "attempt {attempt}"
            );
            said(&run(&target, &["constraints", "verify"]));
        }
    });
}

//! A process that freezes while it holds a partition's lock.

use porttask_tests::{Appender, Dice, Engine, Store, Work, run_on, signal, simple};
use std::time::{Duration, Instant};

use super::{append_until_acknowledged, within};

/// How long a frozen process may stop a partition, and what it takes to look and to append.
const LIMIT: Duration = Duration::from_millis(5_500);
const ATTEMPTS: usize = 500;

#[test]
fn a_node_frozen_with_the_lock_stops_its_partition_for_at_most_five_seconds() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open().await;
        let work = Work::found(&*log).await;
        let child = Appender::start(env!("CARGO_BIN_EXE_appender"), &store, work, "frozen", 4, 0);
        child.until_acknowledged(50).await;
        freeze_in_transaction(&child, &store).await;
        let before = child.acknowledged();

        let began = Instant::now();
        within(LIMIT, log.append(simple(work.organization, "other-node"))).await.unwrap();
        let waited = began.elapsed();
        println!("the partition stood still for {waited:?}");
        assert!(waited > Duration::from_millis(500), "the lock was not held: waited {waited:?}");
        assert_eq!(child.acknowledged(), before, "the process was not frozen");

        signal(child.pid(), libc::SIGCONT);
        child.until_acknowledged(before + 200).await;
        let (tried, mut acknowledged) = child.kill();
        for key in tried {
            if acknowledged.iter().all(|acknowledged| acknowledged.key != key) {
                acknowledged.push(append_until_acknowledged(&*log, work, &key).await);
            }
        }
        work.assert_done(&*log, &acknowledged, []).await;
    });
}

/// Freezes the process again and again, until it is caught in the middle of a transaction.
async fn freeze_in_transaction(child: &Appender, store: &Store) {
    // Within a transaction, and waiting for the process.
    let caught = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND xact_start IS NOT NULL AND wait_event = 'ClientRead' ORDER BY pid";
    let mut dice = Dice::new();
    for _ in 0..ATTEMPTS {
        signal(child.pid(), libc::SIGSTOP);
        // What the server had still to do when the process froze is done by the second look.
        let first = store.sql(caught).await;
        if !first.is_empty() && store.sql(caught).await == first {
            return;
        }
        signal(child.pid(), libc::SIGCONT);
        tokio::time::sleep(Duration::from_micros(dice.below(5_000).into())).await;
    }
    panic!("not caught in a transaction in {ATTEMPTS} attempts");
}

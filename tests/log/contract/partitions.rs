//! How many partitions a log has on PostgreSQL, and who lives where.

use porttask_runtime::log::{AppendError, Follower, LogError, OrganizationId, PartitionId};
use porttask_tests::{Engine, History, Settings, Store, Work, found, run_on, simple};
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn partitions(number: u16) -> Settings {
    Settings { partitions: Some(number), ..Settings::default() }
}

#[test]
fn the_platform_has_a_partition_of_its_own_and_organizations_are_spread_over_the_others() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open_with(partitions(4)).await;
        let mut homes = HashSet::new();
        for _ in 0..60 {
            homes.insert(log.partition_of(found(&*log).await).await.unwrap().unwrap());
        }
        assert_eq!(homes, [1, 2, 3].map(PartitionId).into());
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        let history = History::of(&*log).await;
        history.assert_sound();
        assert_eq!(
            history.partitions[0].len(),
            1,
            "a creates_organization writes nothing into the platform's partition"
        );
    });
}

#[test]
fn one_partition_is_enough() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open_with(partitions(1)).await;
        let work = Work::found(&*log).await;
        for number in 0..50 {
            log.append(work.append(&format!("k-{number}"))).await.unwrap();
        }
        let settled = (0..50).map(|number| format!("k-{number}"));
        let history = work.assert_done(&*log, &[], settled).await;
        assert_eq!(history.partitions.len(), 1);
    });
}

#[test]
fn partitions_are_added_for_new_organizations_and_never_taken_away() {
    run_on(Engine::Postgres, async |store: Store| {
        let old_node = store.open_with(partitions(2)).await;
        let mut old = Vec::new();
        for _ in 0..20 {
            old.push(found(&*old_node).await);
        }
        let log = store.open_with(partitions(6)).await;
        assert_eq!(log.heads().await.unwrap().len(), 6);
        let mut homes = HashSet::new();
        let mut new = Vec::new();
        for _ in 0..60 {
            let organization = found(&*log).await;
            homes.insert(log.partition_of(organization).await.unwrap().unwrap());
            new.push(organization);
        }
        assert_eq!(homes.len(), 5);
        for organization in &old {
            assert_eq!(log.partition_of(*organization).await.unwrap(), Some(PartitionId(1)), "nobody moves");
            log.append(simple(*organization, "a")).await.unwrap();
        }
        // The node that knows of two partitions serves those, and says what it cannot.
        old_node.append(simple(old[0], "a")).await.unwrap();
        for organization in new {
            let home = log.partition_of(organization).await.unwrap().unwrap();
            match old_node.append(simple(organization, "a")).await {
                Ok(appended) => assert_eq!(appended.position.partition, home),
                Err(error) => {
                    assert!(matches!(error, AppendError::Log(LogError::Unavailable(_))), "{error:?}");
                    assert!(error.to_string().contains("restart"), "{error}");
                }
            }
        }
        drop((log, old_node));
        let log = store.open_with(partitions(1)).await;
        assert_eq!(log.heads().await.unwrap().len(), 6);
        found(&*log).await;
        History::of(&*log).await.assert_sound();
    });
}

#[test]
fn an_idle_node_with_followers_leaves_the_server_alone() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open().await;
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        let mut followers = Vec::new();
        for head in log.heads().await.unwrap() {
            let mut follower = Follower::from_start(log.clone(), head.position.partition).await.unwrap();
            followers.push(tokio::spawn(async move { while follower.next(100).await.is_ok() {} }));
        }
        let transactions =
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        let count = async || store.sql(transactions).await[0].parse::<u64>().unwrap();
        // The server counts with a delay and cleans up behind what came before, so one quiet stretch of several is
        // enough; a node that asks again and again has none.
        let mut seen = Vec::new();
        while seen.last().is_none_or(|per_second| *per_second > 4.0) {
            assert!(seen.len() < 6, "transactions per second without an append: {seen:?}");
            let (before, since) = (count().await, Instant::now());
            tokio::time::sleep(Duration::from_secs(3)).await;
            seen.push((count().await - before) as f64 / since.elapsed().as_secs_f64());
        }
        followers.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

//! A log that was put back from an older copy.

use porttask_runtime::log::{EventLog, FollowError, Follower, OrganizationId, PartitionId};
use porttask_tests::{Engine, History, Store, run_on, simple};
use std::fs;
use std::sync::Arc;

use super::closed;

async fn append(log: &dyn EventLog, times: usize) {
    for _ in 0..times {
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
    }
}

async fn at_the_end(log: &Arc<dyn EventLog>) -> Follower {
    let mut follower = Follower::from_start(Arc::clone(log), PartitionId::PLATFORM).await.unwrap();
    while !follower.page(100).await.unwrap().is_empty() {}
    follower
}

/// On a log that misses the last of ten events, and later holds another in its place.
async fn a_later_checkpoint_is_refused(log: Arc<dyn EventLog>, mut follower: Follower) {
    let checkpoint = follower.checkpoint();
    assert_eq!(checkpoint.position.to_string(), "0:10");
    let rewound = FollowError::Rewound { checkpoint };
    let resumed = async || Follower::resume(Arc::clone(&log), checkpoint).await.err();
    assert_eq!(resumed().await, Some(rewound.clone()), "nothing in its place");
    for _ in 0..3 {
        append(&*log, 1).await;
        assert_eq!(resumed().await, Some(rewound.clone()), "something else in its place");
        assert_eq!(follower.page(10).await, Err(rewound.clone()), "to a reader that never stopped");
    }
    History::of(&*log).await.assert_sound();

    let current = log.begin_incarnation().await.unwrap();
    assert_eq!(resumed().await, Some(FollowError::OtherIncarnation { checkpoint, current }));
    assert_eq!(at_the_end(&log).await.checkpoint().incarnation, current);
}

#[test]
fn a_follower_of_a_file_put_back_from_an_older_copy_is_refused() {
    run_on(Engine::Sqlite, async |store: Store| {
        let log = store.open().await;
        append(&*log, 8).await;
        drop(log);
        closed(&store.file()).await;
        let copy = store.file().with_extension("copy");
        fs::copy(store.file(), &copy).unwrap();

        let log = store.open().await;
        append(&*log, 2).await;
        let checkpoint = at_the_end(&log).await.checkpoint();
        drop(log);
        closed(&store.file()).await;
        let follower = at_the_end(&store.open().await).await;
        assert_eq!(follower.checkpoint(), checkpoint);
        drop(follower);
        closed(&store.file()).await;
        fs::rename(&copy, store.file()).unwrap();

        let log = store.open().await;
        let rewound = FollowError::Rewound { checkpoint };
        for _ in 0..4 {
            assert_eq!(Follower::resume(Arc::clone(&log), checkpoint).await.err(), Some(rewound.clone()));
            append(&*log, 1).await;
        }
        History::of(&*log).await.assert_sound();
        let current = log.begin_incarnation().await.unwrap();
        let refused = Follower::resume(Arc::clone(&log), checkpoint).await.err();
        assert_eq!(refused, Some(FollowError::OtherIncarnation { checkpoint, current }));
        assert_eq!(at_the_end(&log).await.checkpoint().incarnation, current);
    });
}

#[test]
fn a_follower_of_a_database_put_back_from_an_older_copy_is_refused() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open().await;
        append(&*log, 10).await;
        let follower = at_the_end(&log).await;
        store.sql("DELETE FROM log.events WHERE \"offset\" > 8").await;
        // A node of its own, as after a restart; the follower is still that of the node before.
        a_later_checkpoint_is_refused(store.open().await, follower).await;
    });
}

#[test]
fn a_node_that_the_log_is_rewound_under_makes_no_gap() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open().await;
        append(&*log, 10).await;
        store.sql("DELETE FROM log.events WHERE \"offset\" > 5").await;
        // It may refuse or go on after what is there.
        let answer = log.append(simple(OrganizationId::PLATFORM, "a")).await;
        let history = History::of(&*log).await;
        history.assert_sound();
        let recorded = history.events().count();
        assert_eq!(recorded, if answer.is_ok() { 6 } else { 5 }, "{answer:?}");
    });
}

//! Connections to PostgreSQL are cut, at random and when it hurts most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use porttask_runtime::log::{AppendError, ConstraintViolation, EventLog, LogError, Version};
use porttask_tests::{
    Acknowledged, Dice, Engine, History, Proxy, Settings, Store, Then, Trap, Work, by, count, idempotency_key, run,
    run_on, simple, stream,
};
use private_postgres::PrivatePostgres;

use super::{Load, Readers, append_until_acknowledged, within};

/// How long a node of these tests seeks the truth.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an append may take that seeks the truth in vain: its attempt and its search, each for as long.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a connection may be silent before it is given up, and what comes after.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);
/// How long a connection that hangs may stop its partition, and what it takes to append.
const FROZEN_LIMIT: Duration = Duration::from_millis(5_500);

#[test]
fn cut_connections_lose_nothing() {
    run_on(Engine::Postgres, async |store: Store| {
        let (log, reading_node) = (store.open().await, store.open().await);
        let work = Work::found(&*log).await;
        let readers = Readers::start(&reading_node).await;
        let load = Load::start(&log, work, "through", 24);
        let mut dice = Dice::new();
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1";
        for _ in 0..40 {
            load.goes_on(1, Duration::from_secs(20)).await;
            tokio::time::sleep(Duration::from_millis(dice.below(40).into())).await;
            store.sql(terminate).await;
        }
        load.goes_on(200, Duration::from_secs(20)).await;
        let acknowledged = load.finish().await;
        let history = work.assert_done(&*log, &acknowledged, []).await;
        assert!(readers.finish(&*log).await == history.partitions, "the followers have not read what is recorded");
    });
}

/// A node behind a proxy, and one that is not.
struct Behind {
    proxy: Proxy,
    store: Store,
    log: Arc<dyn EventLog>,
    work: Work,
}

impl Behind {
    async fn open() -> Self {
        let store = Store::fresh(Engine::Postgres);
        let port = PrivatePostgres::shared().port();
        let proxy = Proxy::start(port).await;
        let url = store.place().replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        assert_ne!(url, store.place());
        let settings = Settings { patience: Some(PATIENCE), ..Settings::default() };
        let log = Store::at(Engine::Postgres, format!("{url}?sslmode=disable")).open_with(settings).await;
        let work = Work::found(&*log).await;
        // Every shape of append has gone through once.
        for number in 0..20 {
            append_until_acknowledged(&*log, work, &format!("before-{number}")).await;
        }
        Self { proxy, store, log, work }
    }

    async fn history(&self) -> History {
        let history = History::of(&*self.store.open().await).await;
        history.assert_sound();
        history
    }
}

#[test]
fn an_append_whose_connection_breaks_at_commit_learns_the_truth() {
    run(async {
        let behind = Behind::open().await;
        let Behind { proxy, log, work, .. } = &behind;
        for after_commit in [true, false] {
            for round in 0..10 {
                let key = format!("trapped-{after_commit}-{round}");
                let append = work.append(&key);
                proxy.set(Trap { after_commit, then: Then::Cut });
                let appended = within(LIMIT, log.append(append.clone())).await.unwrap();
                assert!(proxy.has_sprung());
                assert!(!appended.repeated, "it was this append that was recorded");
                let acknowledged = Acknowledged::new(&key, &append, &appended);
                assert_eq!(work.faults(&behind.history().await, &[acknowledged], []), Vec::<String>::new());
            }
        }
        work.assert_done(&**log, &[], []).await;
    });
}

#[test]
fn an_append_without_a_mark_is_recorded_once_although_its_connection_breaks_at_commit() {
    run(async {
        let Behind { proxy, log, work, store } = Behind::open().await;
        for after_commit in [true, false] {
            let name = format!("plain-{after_commit}");
            let plain = stream(work.organization, &name);
            proxy.set(Trap { after_commit, then: Then::Cut });
            let append = simple(work.organization, &name).expecting(plain.clone(), Version::NONE);
            let id = append.events[0].id;
            let appended = within(LIMIT, log.append(append)).await.unwrap();
            assert!(proxy.has_sprung());
            let recorded = store.open().await.read_stream(&plain, Version::NONE, 10).await.unwrap();
            let [event] = &recorded[..] else { panic!("recorded {} times", recorded.len()) };
            assert_eq!((event.id, event.position), (id, appended.events[0].position));
        }
    });
}

#[test]
fn a_batch_whose_connection_breaks_at_commit_is_answered_one_by_one() {
    run(async {
        let Behind { proxy, log, work, store } = Behind::open().await;
        let organization = work.organization;
        for after_commit in [true, false] {
            let append = |number: i32| {
                let name = format!("mate-{after_commit}-{number}");
                match number % 3 {
                    0 => simple(organization, name).constrained(count(organization, "none", 1, None, Some(0))),
                    _ => simple(organization, name),
                }
            };
            proxy.set(Trap { after_commit, then: Then::Cut });
            let answers = within(LIMIT, join_all((0..30).map(|number| log.append(append(number))))).await;
            assert!(proxy.has_sprung());
            let other_node = store.open().await;
            for (number, answer) in (0..).zip(answers) {
                let name = stream(organization, format!("mate-{after_commit}-{number}"));
                let version = other_node.versions(&[name]).await.unwrap()[0];
                match answer {
                    Ok(_) => assert!(number % 3 != 0 && version == Version(1), "{number}: {version}"),
                    Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { .. })) => {
                        assert!(number % 3 == 0 && version == Version::NONE, "{number}: {version}");
                    }
                    Err(error) => panic!("{number}: {error}"),
                }
            }
            History::of(&*other_node).await.assert_sound();
        }
    });
}

#[test]
fn an_outcome_that_cannot_be_learned_is_unknown_and_the_retry_is_recognised() {
    run(async {
        let behind = Behind::open().await;
        let Behind { proxy, log, work, .. } = &behind;
        for after_commit in [true, false] {
            for round in 0..2 {
                let key = format!("unknown-{after_commit}-{round}");
                proxy.set(Trap { after_commit, then: Then::Close });
                let answer = within(LIMIT, log.append(work.append(&key))).await;
                assert_eq!(answer, Err(AppendError::OutcomeUnknown));
                assert!(proxy.has_sprung());
                proxy.open();
                let retried = within(LIMIT, log.append(work.append(&key))).await.unwrap();
                assert_eq!(retried.repeated, after_commit, "recorded by the first attempt or not");
                assert_eq!(work.faults(&behind.history().await, &[], [key]), Vec::<String>::new());
            }
        }
        work.assert_done(&**log, &[], []).await;
    });
}

#[test]
fn an_append_while_the_server_is_away_is_refused_and_leaves_no_trace() {
    run(async {
        let behind = Behind::open().await;
        let Behind { proxy, log, work, .. } = &behind;
        let before = behind.history().await;
        proxy.close();
        let began = Instant::now();
        let append = || simple(work.organization, "away").idempotency_key(idempotency_key("away", "request"));
        let answers = within(LIMIT, join_all((0..5).map(|_| log.append(append())))).await;
        assert!(began.elapsed() >= PATIENCE / 2, "given up after {:?}", began.elapsed());
        for answer in answers {
            assert!(matches!(answer, Err(AppendError::Log(LogError::Unavailable(_)))), "{answer:?}");
        }
        assert!(matches!(log.heads().await, Err(LogError::Unavailable(_))));
        assert_eq!(behind.history().await, before);
        proxy.open();
        assert!(!within(LIMIT, log.append(append())).await.unwrap().repeated);
    });
}

#[test]
fn an_append_waits_for_a_server_that_comes_back_in_time() {
    run(async {
        let Behind { proxy, log, work, .. } = Behind::open().await;
        proxy.close();
        let (appended, ()) = tokio::join!(within(LIMIT, log.append(simple(work.organization, "a"))), async {
            tokio::time::sleep(PATIENCE / 3).await;
            proxy.open();
        });
        appended.unwrap();
    });
}

#[test]
fn an_append_whose_connection_falls_silent_at_commit_is_answered_truthfully() {
    run(async {
        let behind = Behind::open().await;
        let Behind { proxy, store, log, work } = &behind;
        let other_node = store.open().await;
        for after_commit in [true, false] {
            let key = format!("silent-{after_commit}");
            let append = work.append(&key);
            proxy.set(Trap { after_commit, then: Then::Silence });
            let (answer, ()) = tokio::join!(within(SILENCE_LIMIT, log.append(append.clone())), async {
                by(LIMIT, "the trap has sprung", async || proxy.has_sprung()).await;
                // Whoever was cut off holds the partition for at most 5 s.
                within(FROZEN_LIMIT, other_node.append(simple(work.organization, "other-node"))).await.unwrap();
            });
            match answer {
                Ok(appended) => {
                    let acknowledged = Acknowledged::new(&key, &append, &appended);
                    assert_eq!(work.faults(&behind.history().await, &[acknowledged], []), Vec::<String>::new());
                }
                Err(AppendError::Log(LogError::Unavailable(_))) => {
                    assert!(!after_commit, "said to be not written, and is");
                    let is_there = behind.history().await.events().any(|event| event.id == append.events[0].id);
                    assert!(!is_there, "said to be not written, and is");
                }
                Err(AppendError::OutcomeUnknown) => {}
                Err(error) => panic!("{error}"),
            }
            append_until_acknowledged(&**log, *work, &key).await;
        }
        work.assert_done(&**log, &[], ["silent-true", "silent-false"].map(str::to_owned)).await;
    });
}

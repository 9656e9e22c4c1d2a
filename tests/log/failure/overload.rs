//! More appends than may wait.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use porttask_infra::log::QueueLimits;
use porttask_runtime::log::{Append, AppendError, OrganizationId};
use porttask_tests::{History, Settings, Store, event, on_both_engines, platform_stream, simple};

use crate::blocked::Blocked;

on_both_engines! {
    beyond_the_limit_of_appends_the_log_is_overloaded_at_once,
    beyond_the_limit_of_bytes_the_log_is_overloaded_at_once,
    a_queue_that_was_full_takes_appends_again,
}

const LIMIT: usize = 8;
const SUBMITTED: usize = 400;

async fn overload(store: &Store, queue: QueueLimits, append: impl Fn() -> Append, at_most: usize) {
    let log = store.open_with(Settings { queue: Some(queue), ..Settings::default() }).await;
    log.append(simple(OrganizationId::PLATFORM, "first")).await.unwrap();
    let blocked = Blocked::on(store).await;
    let submit = |append| {
        let log = log.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            (log.append(append).await, began.elapsed())
        })
    };
    let submitted: Vec<_> = (0..SUBMITTED).map(|_| submit(append())).collect();
    // Nothing is written now, so whoever has an answer was refused; all but those that wait have theirs soon.
    let refused = async || submitted.iter().filter(|answer| answer.is_finished()).count() >= SUBMITTED - at_most;
    porttask_tests::by(Duration::from_secs(3), "all that cannot wait is refused", refused).await;
    blocked.end().await;
    let answers: Vec<_> = join_all(submitted).await.into_iter().map(Result::unwrap).collect();
    let (mut written, mut overloaded) = (0, 0);
    for (answer, waited) in answers {
        match answer {
            Ok(_) => written += 1,
            Err(AppendError::Overloaded) => {
                overloaded += 1;
                assert!(waited < Duration::from_secs(1), "refused only after {waited:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..=at_most).contains(&written), "{written} of at most {at_most} were written");
    assert_eq!(written + overloaded, SUBMITTED);
    let history = History::of(&*log).await;
    history.assert_sound();
    assert_eq!(history.events().count(), 1 + written);
}

async fn beyond_the_limit_of_appends_the_log_is_overloaded_at_once(store: Store) {
    let queue = QueueLimits { appends: LIMIT, ..QueueLimits::default() };
    // What is being written left the queue, and another batch waits.
    overload(&store, queue, || simple(OrganizationId::PLATFORM, "a"), 2 * LIMIT).await;
}

async fn beyond_the_limit_of_bytes_the_log_is_overloaded_at_once(store: Store) {
    let queue = QueueLimits { bytes: LIMIT * 100_000, ..QueueLimits::default() };
    let large = || Append::new(OrganizationId::PLATFORM, vec![event(&platform_stream("a"), vec![b'x'; 100_000])]);
    // The batch that is being written counts as well: the limit is one of memory.
    overload(&store, queue, large, LIMIT).await;
}

async fn a_queue_that_was_full_takes_appends_again(store: Store) {
    let queue = QueueLimits { appends: LIMIT, bytes: 50_000 };
    let log = store.open_with(Settings { queue: Some(queue), ..Settings::default() }).await;
    let mut written = 0;
    for _ in 0..10 {
        let appends = (0..100).map(|_| log.append(simple(OrganizationId::PLATFORM, "a")));
        for answer in join_all(appends).await {
            match answer {
                Ok(_) => written += 1,
                Err(error) => assert_eq!(error, AppendError::Overloaded),
            }
        }
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        written += 1;
    }
    assert_eq!(History::of(&*log).await.events().count(), written);
}

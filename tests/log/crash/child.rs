//! A process that appends under load is killed, over and over.

use porttask_runtime::log::{Checkpoint, Follower, PartitionId, RecordedEvent};
use porttask_tests::{Acknowledged, Appender, Dice, History, Store, Work, faults, on_both_engines};
use std::time::Duration;

use super::{Load, Readers, append_until_acknowledged};

on_both_engines! {
    a_process_killed_while_it_appends_loses_nothing,
    a_living_node_goes_on_beside_one_that_is_killed,
}

const KILLS: usize = 20;
const TASKS: usize = 32;

async fn a_process_killed_while_it_appends_loses_nothing(store: Store) {
    let work = Work::found(&*store.open().await).await;
    let mut dice = Dice::new();
    let mut readers: Vec<(Option<Checkpoint>, Vec<RecordedEvent>)> = Vec::new();
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    let mut tried_in_vain = 0;
    for round in 0..KILLS {
        let program = env!("CARGO_BIN_EXE_appender");
        let child = Appender::start(program, &store, work, &format!("round{round}"), TASKS, 0);
        child.until_acknowledged(1 + dice.below(150) as usize).await;
        tokio::time::sleep(Duration::from_micros(dice.below(20_000).into())).await;
        let (tried, heard) = child.kill();
        let unheard: Vec<String> =
            tried.into_iter().filter(|key| heard.iter().all(|heard| heard.key != *key)).collect();
        tried_in_vain += unheard.len();
        acknowledged.extend(heard);

        // What is there after the crash, read on from where the last reader stopped.
        let log = store.open().await;
        readers.resize_with(log.heads().await.unwrap().len(), Default::default);
        for (number, (checkpoint, read)) in (0..).zip(&mut readers) {
            let mut follower = match *checkpoint {
                None => Follower::from_start(log.clone(), PartitionId(number)).await.unwrap(),
                Some(checkpoint) => Follower::resume(log.clone(), checkpoint).await.unwrap(),
            };
            loop {
                let page = follower.page(500).await.unwrap();
                if page.is_empty() {
                    break;
                }
                read.extend(page);
            }
            *checkpoint = Some(follower.checkpoint());
            assert_eq!(faults(PartitionId(number), read), Vec::<String>::new(), "after kill {round}");
        }
        let seen = History { partitions: readers.iter().map(|(_, read)| read.clone()).collect() };
        let lost = work.faults(&seen, &acknowledged, []);
        assert!(lost.is_empty(), "after kill {round}: {lost:#?}");

        for key in unheard {
            acknowledged.push(append_until_acknowledged(&*log, work, &key).await);
        }
    }
    let log = store.open().await;
    let history = work.assert_done(&*log, &acknowledged, []).await;
    for ((_, read), events) in readers.iter().zip(&history.partitions) {
        assert!(events.starts_with(read), "what was read before a crash has changed");
    }
    let recognised = acknowledged.iter().filter(|acknowledged| acknowledged.repeated).count();
    println!(
        "{} appends acknowledged, {tried_in_vain} tried in vain, {recognised} of those had been recorded",
        acknowledged.len()
    );
    assert!(tried_in_vain > KILLS, "the kills came when nothing was under way");
    assert!(recognised > 0, "no kill came between a commit and its answer");
}

async fn a_living_node_goes_on_beside_one_that_is_killed(store: Store) {
    let log = store.open().await;
    let work = Work::found(&*log).await;
    let readers = Readers::start(&log).await;
    let load = Load::start(&log, work, "living", 8);
    let mut dice = Dice::new();
    let (mut acknowledged, mut unheard) = (Vec::new(), Vec::new());
    for round in 0..6 {
        let program = env!("CARGO_BIN_EXE_appender");
        let child = Appender::start(program, &store, work, &format!("dying{round}"), 8, 0);
        child.until_acknowledged(1 + dice.below(40) as usize).await;
        let (tried, heard) = child.kill();
        unheard.extend(tried.into_iter().filter(|key| heard.iter().all(|heard| heard.key != *key)));
        acknowledged.extend(heard);
        load.goes_on(50, Duration::from_secs(6)).await;
    }
    acknowledged.extend(load.finish().await);
    for key in unheard {
        acknowledged.push(append_until_acknowledged(&*log, work, &key).await);
    }
    let history = work.assert_done(&*log, &acknowledged, []).await;
    assert!(readers.finish(&*log).await == history.partitions, "the followers have not read what is recorded");
}

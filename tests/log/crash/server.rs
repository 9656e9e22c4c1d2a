//! The PostgreSQL server dies and comes back while a node goes on.

use std::time::Duration;

use porttask_tests::{Dice, Engine, Settings, Store, Work, run};
use private_postgres::PrivatePostgres;

use super::{Load, Readers, within};

#[derive(Debug, Clone, Copy)]
enum Death {
    /// All processes at once, by SIGKILL.
    Kill,
    /// Immediate shutdown, without a checkpoint.
    StopImmediately,
}

#[test]
fn a_node_survives_that_the_server_is_killed() {
    run(a_node_survives_the_death_of_the_server(Death::Kill));
}

#[test]
fn a_node_survives_that_the_server_is_stopped_immediately() {
    run(a_node_survives_the_death_of_the_server(Death::StopImmediately));
}

async fn a_node_survives_the_death_of_the_server(death: Death) {
    let mut server = tokio::task::block_in_place(PrivatePostgres::start).unwrap();
    let store = Store::at(Engine::Postgres, server.fresh_database());
    // Without the safety net: a wake-up that is lost stays lost.
    let settings = Settings { poll: Some(Duration::from_secs(600)), ..Settings::default() };
    let (log, reading_node) = (store.open_with(settings).await, store.open_with(settings).await);
    let work = Work::found(&*log).await;
    let readers = Readers::start(&reading_node).await;
    let load = Load::start(&log, work, "through", 24);
    let mut dice = Dice::new();
    for _ in 0..3 {
        load.goes_on(100, Duration::from_secs(30)).await;
        tokio::time::sleep(Duration::from_millis(dice.below(50).into())).await;
        tokio::task::block_in_place(|| match death {
            Death::Kill => server.kill(),
            Death::StopImmediately => server.stop_immediate(),
        })
        .unwrap();
        tokio::time::sleep(Duration::from_millis(dice.below(700).into())).await;
        tokio::task::block_in_place(|| server.start_again()).unwrap();
    }
    load.goes_on(100, Duration::from_secs(30)).await;
    let acknowledged = within(Duration::from_secs(30), load.finish()).await;
    let history = work.assert_done(&*log, &acknowledged, []).await;
    assert!(readers.finish(&*log).await == history.partitions, "the followers have not read what is recorded");
    // The node that only listens is woken without a new connection of ours, too.
    let readers = Readers::start(&reading_node).await;
    within(Duration::from_secs(5), log.append(work.append("afterwards"))).await.unwrap();
    readers.finish(&*log).await;
}

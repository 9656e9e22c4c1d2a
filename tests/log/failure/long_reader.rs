//! A reader that keeps an old snapshot open: SQLite's WAL grows under it, and must begin anew once it is gone.

use std::fs;

use porttask_app::log::{Append, EventLog, OrganizationId};
use porttask_tests::{Engine, History, event, platform_stream, run_on};
use rusqlite::Connection;

const EVENT_BYTES: usize = 512 << 10;
/// Three times what the WAL holds before it is written back.
const EVENTS: usize = 96;

#[test]
fn the_wal_stops_growing_when_a_long_reader_is_gone() {
    run_on(Engine::Sqlite, async |store| {
        let log = store.open().await;
        let wal = store.file().with_extension("db-wal");
        let length = || fs::metadata(&wal).unwrap().len();

        let reader = Connection::open(store.file()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
        append_large(&*log, EVENTS).await;
        let under_snapshot = length();
        assert!(under_snapshot as usize > EVENTS * EVENT_BYTES, "the snapshot did not hold the WAL: {under_snapshot}");

        drop(reader);
        append_large(&*log, 3 * EVENTS).await;
        let grown = length();
        assert!(grown as usize <= under_snapshot as usize * 2, "the WAL grew from {under_snapshot} to {grown}");

        let history = History::of(&*log).await;
        history.assert_sound();
        assert_eq!(history.events().count(), 4 * EVENTS);
    });
}

async fn append_large(log: &dyn EventLog, events: usize) {
    let stream = platform_stream("large");
    for _ in 0..events {
        log.append(Append::new(OrganizationId::PLATFORM, vec![event(&stream, vec![b'1'; EVENT_BYTES])])).await.unwrap();
    }
}

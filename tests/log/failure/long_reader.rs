//! A reader that keeps an old snapshot open: SQLite's WAL grows under it, and must begin anew once it is gone.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use porttask_runtime::log::{Append, EventLog, OrganizationId};
use porttask_tests::{Engine, History, Store, event, platform_stream, run_on};
use rusqlite::Connection;

const EVENT_BYTES: usize = 512 << 10;
/// Three times what the WAL holds before it is written back.
const EVENTS: usize = 96;

/// The writer goes on while the WAL is written back, so how long it gets in the end is the disk's affair.
const PATIENCE: usize = 20;

#[test]
fn the_wal_stops_growing_when_a_long_reader_is_gone() {
    run_on(Engine::Sqlite, async |store: Store| {
        let log = store.open().await;
        let wal = store.file().with_extension("db-wal");

        let reader = Connection::open(store.file()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
        append_large(&*log, EVENTS).await;
        let under_snapshot = fs::metadata(&wal).unwrap().len();
        assert!(under_snapshot as usize > EVENTS * EVENT_BYTES, "the snapshot did not hold the WAL: {under_snapshot}");
        let before = times_begun(&wal);

        drop(reader);
        let mut rounds = 0;
        while times_begun(&wal) == before {
            assert!(
                rounds < PATIENCE,
                "the WAL has grown from {under_snapshot} to {}",
                fs::metadata(&wal).unwrap().len()
            );
            append_large(&*log, EVENTS).await;
            rounds += 1;
        }

        let history = History::of(&*log).await;
        history.assert_sound();
        assert_eq!(history.events().count(), (1 + rounds) * EVENTS);
    });
}

/// The sequence number in the WAL's header, which SQLite raises each time the WAL begins anew.
fn times_begun(wal: &Path) -> u32 {
    let mut header = [0; 16];
    File::open(wal).unwrap().read_exact(&mut header).unwrap();
    u32::from_be_bytes(header[12..].try_into().unwrap())
}

async fn append_large(log: &dyn EventLog, events: usize) {
    let stream = platform_stream("large");
    for _ in 0..events {
        log.append(Append::new(OrganizationId::PLATFORM, vec![event(&stream, vec![b'1'; EVENT_BYTES])])).await.unwrap();
    }
}

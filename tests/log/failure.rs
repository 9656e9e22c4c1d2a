//! Storage that is full, damaged, foreign or older than it was, and more work than can be done.

mod full_disk;
mod long_reader;
mod overload;
mod rewound;
mod tls;
mod unusable;

use porttask_runtime::log::LogError;
use porttask_tests::{Settings, Store, by};
use std::path::Path;
use std::time::Duration;

/// That a store is refused, and why.
async fn rejection(store: &Store) -> LogError {
    let error = store.try_open(Settings::default()).await.err();
    let error = error.unwrap_or_else(|| panic!("{} was opened", store.place()));
    println!("{error:?}");
    error
}

/// That an error names what is wrong and what to do about it.
fn assert_names(error: &LogError, words: &[&str]) {
    let message = error.to_string();
    let lower = message.to_lowercase();
    assert!(words.iter().all(|word| lower.contains(word)), "expected the words {words:?} in {message:?}");
}

/// Waits until no node of this process has the file open any more: SQLite's last connection removes the WAL.
async fn closed(file: &Path) {
    let wal = file.with_extension("db-wal");
    by(Duration::from_secs(10), "the log's file is closed", async || !wal.exists()).await;
}

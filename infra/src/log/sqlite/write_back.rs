//! Writing the WAL back into the file, beside the writer.
//!
//! The WAL begins anew, instead of growing, once all of it is written back. A thread of its own writes back nearly all
//! of it while appends go on; the writer adds the little that came meanwhile, between two batches. They take turns: a
//! thread that began again at once would keep the writer from its part, and the WAL would grow for as long as appends
//! are faster than the disk.

use std::{
    cell::Cell,
    ffi::c_int,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use porttask_app::log::LogError;
use rusqlite::{Connection, ErrorCode, hooks::Wal};

use super::error::from_sqlite;

/// The WAL is written back whenever it has grown by so many pages: 16 MiB.
const PAGES: c_int = 2048;

thread_local!(static WAL_PAGES: Cell<c_int> = const { Cell::new(0) });

/// SQLite tells the length of the WAL after each commit, on the writer's thread.
fn note_pages(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    WAL_PAGES.set(pages);
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Turn {
    Writer,
    Thread,
}

pub(super) struct WriteBack {
    /// The length of the WAL when it was last to be written back.
    last: c_int,
    turn: Turn,
    is_nearly_done: Arc<AtomicBool>,
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WriteBack {
    /// Relieves the writer's connection of it. That would by itself try after every commit for as long as an open
    /// snapshot keeps the WAL from beginning anew, and each try looks through all of it.
    pub(super) fn start(writer: &Connection) -> Result<Self, LogError> {
        let connection = Connection::open(writer.path().unwrap_or_default()).map_err(|error| from_sqlite(&error))?;
        writer.wal_hook(Some(note_pages));
        let (ask, asked) = sync_channel(1);
        let is_nearly_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_nearly_done);
        let thread = thread::Builder::new().name("log-write-back".to_owned());
        let started = thread.spawn(move || write_back_when(&asked, &connection, &done));
        let thread = started.map_err(|error| LogError::Unavailable(format!("no thread for the log: {error}")))?;
        Ok(Self { last: 0, turn: Turn::Writer, is_nearly_done, ask: Some(ask), thread: Some(thread) })
    }

    /// Looks, between two batches, whether it is time.
    pub(super) fn look(&mut self, writer: &Connection) {
        if self.is_nearly_done.swap(false, Ordering::AcqRel) {
            write_back(writer);
            self.turn = Turn::Writer;
        }
        let pages = WAL_PAGES.get();
        // A shorter WAL has begun anew.
        if pages < self.last {
            self.last = 0;
        }
        // The longer an open snapshot has made it, the rarer it is looked through in vain.
        if self.turn == Turn::Writer
            && pages - self.last >= PAGES.max(self.last / 16)
            && let Some(ask) = &self.ask
            && ask.try_send(()).is_ok()
        {
            self.last = pages;
            self.turn = Turn::Thread;
        }
    }
}

/// Waits for the thread, so that the file is closed when the log is.
impl Drop for WriteBack {
    fn drop(&mut self) {
        self.ask = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write_back_when(asked: &Receiver<()>, connection: &Connection, is_nearly_done: &AtomicBool) {
    while asked.recv().is_ok() {
        write_back(connection);
        is_nearly_done.store(true, Ordering::Release);
    }
}

/// What cannot be written back stays durable in the WAL and is tried again.
fn write_back(connection: &Connection) {
    match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
            tracing::warn!(%error, "the embedded log could not be written back");
        }
        _ => {}
    }
}

//! Checkpointing the WAL of an SQLite file, concurrently with its writer.
//!
//! SQLite reuses the WAL from its start, instead of growing it, once all of it is checkpointed. A separate thread
//! checkpoints nearly all of it while the writer continues; the writer checkpoints the small rest between two
//! transactions. They alternate: if the thread started again at once, it would keep the writer from its part, and the
//! WAL would grow as long as the writer is faster than the disk.

use std::{
    cell::Cell,
    ffi::c_int,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use porttask_runtime::supervise::{Restart, supervise_thread};
use rusqlite::{Connection, ErrorCode, hooks::Wal};

thread_local!(static WAL_PAGES: Cell<c_int> = const { Cell::new(0) });

/// SQLite reports the length of the WAL after each commit, on the committing thread.
fn note_pages(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    WAL_PAGES.set(pages);
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Turn {
    Writer,
    Thread,
}

pub(crate) struct WriteBack {
    /// The WAL is checkpointed whenever it has grown by this many pages.
    pages: c_int,
    /// The length of the WAL at the last checkpoint request.
    last: c_int,
    turn: Turn,
    is_nearly_done: Arc<AtomicBool>,
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WriteBack {
    /// Replaces the automatic checkpoints of the writer's connection. While an open snapshot prevents the WAL from
    /// being reused, those would run after every commit, and each scans the whole WAL.
    ///
    /// `beside` is another connection to the same file.
    pub(crate) fn start(writer: &Connection, beside: Connection, pages: c_int) -> io::Result<Self> {
        writer.wal_hook(Some(note_pages));
        let (ask, asked) = sync_channel(1);
        let is_nearly_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_nearly_done);
        let thread = supervise_thread("write-back", Restart::OnPanic, move || write_back_when(&asked, &beside, &done))?;
        Ok(Self { pages, last: 0, turn: Turn::Writer, is_nearly_done, ask: Some(ask), thread: Some(thread) })
    }

    /// Checks after a commit, on the writer's thread, whether a checkpoint is due.
    pub(crate) fn look(&mut self, writer: &Connection) {
        if self.is_nearly_done.swap(false, Ordering::AcqRel) {
            write_back(writer);
            self.turn = Turn::Writer;
        }
        let pages = WAL_PAGES.get();
        // A shorter WAL was restarted.
        if pages < self.last {
            self.last = 0;
        }
        // The longer the WAL has grown under an open snapshot, the rarer the futile scans.
        if self.turn == Turn::Writer
            && pages - self.last >= self.pages.max(self.last / 16)
            && let Some(ask) = &self.ask
            && ask.try_send(()).is_ok()
        {
            self.last = pages;
            self.turn = Turn::Thread;
        }
    }
}

/// Waits for the thread, so that the file is closed together with its writer.
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

/// Pages that cannot be checkpointed stay durable in the WAL and are retried.
fn write_back(connection: &Connection) {
    match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
            let file = connection.path().unwrap_or_default();
            tracing::warn!(%error, file, "the WAL could not be checkpointed");
        }
        _ => {}
    }
}

//! Writing the WAL back into an SQLite file, beside its writer.
//!
//! The WAL begins anew, instead of growing, once all of it is written back. A thread of its own writes back nearly all
//! of it while the writer goes on, who adds the little that came meanwhile, between two transactions. They take turns: a
//! thread that began again at once would keep the writer from its part, and the WAL would grow for as long as the
//! writer is faster than the disk.

use std::{
    cell::Cell,
    ffi::c_int,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, ErrorCode, hooks::Wal};

thread_local!(static WAL_PAGES: Cell<c_int> = const { Cell::new(0) });

/// SQLite tells the length of the WAL after each commit, on the thread that commits.
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
    /// The WAL is written back whenever it has grown by so many pages.
    pages: c_int,
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
    ///
    /// `beside` is another connection to the same file.
    pub(crate) fn start(writer: &Connection, beside: Connection, pages: c_int) -> io::Result<Self> {
        writer.wal_hook(Some(note_pages));
        let (ask, asked) = sync_channel(1);
        let is_nearly_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_nearly_done);
        let thread = thread::Builder::new().name("write-back".to_owned());
        let thread = thread.spawn(move || write_back_when(&asked, &beside, &done))?;
        Ok(Self { pages, last: 0, turn: Turn::Writer, is_nearly_done, ask: Some(ask), thread: Some(thread) })
    }

    /// Looks, after a commit on this thread, whether it is time.
    pub(crate) fn look(&mut self, writer: &Connection) {
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
            && pages - self.last >= self.pages.max(self.last / 16)
            && let Some(ask) = &self.ask
            && ask.try_send(()).is_ok()
        {
            self.last = pages;
            self.turn = Turn::Thread;
        }
    }
}

/// Waits for the thread, so that the file is closed when its writer is.
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
            let file = connection.path().unwrap_or_default();
            tracing::warn!(%error, file, "what is in the WAL could not be written back");
        }
        _ => {}
    }
}

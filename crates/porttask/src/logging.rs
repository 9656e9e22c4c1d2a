//! Logs and messages of the process, which never fail and never wait: whatever happens to standard error, the service
//! goes on working.
//!
//! A thread of its own writes. If it is not fast enough, because nobody reads the pipe or the disk is full, lines are
//! dropped and counted.

mod json;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use clap::ValueEnum;
use porttask_runtime::supervise::{Restart, supervise_thread};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::error::Error;

/// Lines that may wait to be written.
const MAX_LINES: usize = 4_096;
/// How long the last lines may take at the end of the process.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line of text per event.
    Text,
    /// A JSON object per line and event.
    Json,
}

/// Standard error and output, once logging was started.
static OUTPUTS: OnceLock<Outputs> = OnceLock::new();

struct Outputs {
    format: Format,
    error: Lossy,
    output: Lossy,
}

/// Starts to log to standard error, filtered as configured.
///
/// # Errors
/// If the filter is invalid, or the operating system has no more threads.
pub(crate) fn start(wanted: &str, format: Format) -> Result<(), Error> {
    let filter = EnvFilter::try_new(wanted)
        .map_err(|error| format!("PORTTASK_LOG={wanted}: {error}; expected warn, info or debug, or module=level"))?;
    let (error, output) = (Lossy::start(io::stderr)?, Lossy::start(io::stdout)?);
    let outputs = OUTPUTS.get_or_init(|| Outputs { format, error: error.clone(), output });
    let is_colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_ansi(is_colored);
    let builder = builder.with_writer(outputs.error.clone());
    match format {
        Format::Text => builder.init(),
        Format::Json => builder.event_format(json::Json).init(),
    }
    // The standard hook waits for standard error.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(())
}

/// Waits until the last lines are written, for half a second at most.
pub(crate) fn finish() {
    if let Some(outputs) = OUTPUTS.get() {
        outputs.error.flush();
        outputs.output.flush();
    }
}

/// Writes a message for the operator to standard error.
pub(crate) fn say(message: impl fmt::Display) {
    match OUTPUTS.get() {
        Some(outputs) if outputs.format == Format::Json => {
            outputs.error.write_line(&json::message(&message.to_string()))
        }
        Some(outputs) => outputs.error.write_line(&message.to_string()),
        None => _ = writeln!(io::stderr(), "{message}"),
    }
}

/// Writes a result to standard output.
pub(crate) fn print(result: impl fmt::Display) {
    match OUTPUTS.get() {
        Some(outputs) => outputs.output.write_line(&result.to_string()),
        None => _ = writeln!(io::stdout(), "{result}"),
    }
}

/// How many lines were dropped.
pub(crate) fn dropped() -> u64 {
    OUTPUTS.get().map_or(0, |outputs| outputs.error.dropped.load(Ordering::Relaxed))
}

/// A stream that drops what it cannot write at once.
#[derive(Clone)]
struct Lossy {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

enum Line {
    Bytes(Vec<u8>),
    /// All lines before it are written.
    Flushed(SyncSender<()>),
}

impl Lossy {
    fn start<W: Write>(open: impl Fn() -> W + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_LINES);
        let dropped = Arc::<AtomicU64>::default();
        // The thread may start, or start again, after lines were dropped.
        let (counted, reported) = (Arc::clone(&dropped), AtomicU64::default());
        let write = move || write_all(&waiting, (&counted, &reported), open());
        supervise_thread("log-output", Restart::OnPanic, write)?;
        Ok(Self { lines, dropped })
    }

    fn write_line(&self, line: &str) {
        self.send(format!("{line}\n").into_bytes());
    }

    fn send(&self, bytes: Vec<u8>) {
        if self.lines.try_send(Line::Bytes(bytes)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (begun, (flushed, is_flushed)) = (Instant::now(), sync_channel(1));
        let mut line = Line::Flushed(flushed);
        // The queue may be full.
        while let Err(TrySendError::Full(again)) = self.lines.try_send(line) {
            if begun.elapsed() > LAST_LINES {
                return;
            }
            line = again;
            std::thread::sleep(Duration::from_millis(1));
        }
        _ = is_flushed.recv_timeout(LAST_LINES.saturating_sub(begun.elapsed()));
    }
}

/// Writes lines until there are no more senders. A line that cannot be written is dropped.
fn write_all(waiting: &Receiver<Line>, (dropped, reported): (&AtomicU64, &AtomicU64), mut output: impl Write) {
    loop {
        match waiting.recv_timeout(Duration::from_secs(1)) {
            Ok(Line::Bytes(bytes)) => {
                if output.write_all(&bytes).and_then(|()| output.flush()).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            Ok(Line::Flushed(flushed)) => _ = flushed.send(()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let (now, before) = (dropped.load(Ordering::Relaxed), reported.load(Ordering::Relaxed));
        if now > before && writeln!(output, "{} log lines were dropped", now - before).is_ok() {
            reported.store(now, Ordering::Relaxed);
        }
    }
}

/// The formatter writes each event at once.
impl Write for Lossy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lossy {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Fails or blocks as told.
    struct Broken(Arc<Mutex<()>>, mpsc::Sender<Vec<u8>>, bool);

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.lock().unwrap());
            if self.2 {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.1.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_drops_its_lines() {
        let (written, _) = mpsc::channel();
        let lossy = Lossy::start(move || Broken(Arc::default(), written.clone(), true)).unwrap();
        (0..3).for_each(|_| lossy.write_line("lost"));
        lossy.flush();
        assert_eq!(lossy.dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_log_that_nobody_reads_delays_nobody() {
        let (written, lines) = mpsc::channel();
        let gate = Arc::<Mutex<()>>::default();
        let closed = gate.lock().unwrap();
        let shared = Arc::clone(&gate);
        let lossy = Lossy::start(move || Broken(Arc::clone(&shared), written.clone(), false)).unwrap();
        (0..2 * MAX_LINES).for_each(|_| lossy.write_line("waits"));
        assert!(lossy.dropped.load(Ordering::Relaxed) >= (MAX_LINES - 1) as u64);
        drop(closed);
        lossy.flush();
        let all: Vec<u8> = lines.try_iter().flatten().collect();
        assert!(String::from_utf8(all).unwrap().contains("log lines were dropped"));
    }
}

//! Starts and watches everything that outlives a request: nothing of a node may end silently.
//!
//! A supervised task that panics or ends early is started again, after 0.1 s doubling to 30 s. It beats: [`beat`] promises
//! the next beat within a time, and a task that breaks its promise, or waits to be started again, makes the node not
//! ready. Tasks and threads that belong to one request are not supervised.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

/// Pause before the first restart; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that ran for this long was healthy: its next pause is the first again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long a beat may be late: slow databases are no reason to take a node out of service.
const GRACE: Duration = Duration::from_secs(60);
/// Panics within [`PANIC_WINDOW`] that end the process.
const MAX_PANICS: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_secs(60);
/// How long the log has to write the last message.
const LAST_MESSAGE: Duration = Duration::from_millis(200);

/// What follows when a task ends.
#[derive(Clone)]
pub enum Restart {
    /// It is started again. For loops whose state is in the database.
    Always,
    /// It is started again, unless this signal is set.
    Until(watch::Receiver<bool>),
    /// It is started again after a panic; otherwise, its work is done.
    OnPanic,
    /// Nothing: a panic is logged.
    Never,
    /// A panic ends the process, because its work cannot be taken up again.
    Fatal,
}

/// A supervised task; dropping this value ends it.
#[must_use = "dropping it ends the task"]
pub struct Supervised(Option<JoinHandle<()>>);

/// The state of a supervised task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it does not do its work, if so.
    pub fault: Option<String>,
}

/// A task as its supervisor and [`status`] see it.
struct Entry {
    name: String,
    restarts: AtomicU64,
    /// Milliseconds after [`epoch`] until when it promised to beat; `u64::MAX` without a promise.
    beats_until: AtomicU64,
    is_down: AtomicBool,
}

static ENTRIES: Mutex<Vec<Weak<Entry>>> = Mutex::new(Vec::new());

tokio::task_local! {
    static CURRENT: Arc<Entry>;
}

/// Starts a task on the current runtime, with a name for logs, metrics and readiness. `make` is called at each start.
pub fn supervise<F>(
    name: impl Into<String>,
    restart: Restart,
    mut make: impl FnMut() -> F + Send + 'static,
) -> Supervised
where
    F: Future<Output = ()> + Send + 'static,
{
    let entry = Entry::register(name.into());
    let first = make();
    Supervised::spawn(CURRENT.scope(Arc::clone(&entry), async move {
        let mut next = Some(first);
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            // `make` runs within the guard, too.
            let ended = match next.take() {
                Some(first) => AssertUnwindSafe(first).catch_unwind().await,
                None => AssertUnwindSafe(async { make().await }).catch_unwind().await,
            };
            entry.is_done();
            let panic = ended.as_ref().err().map(|panic| message(&**panic));
            match (&restart, &panic) {
                (Restart::Until(stop), _) if *stop.borrow() => return entry.report(panic.as_deref(), None),
                (Restart::Always | Restart::Until(_), _) | (Restart::OnPanic, Some(_)) => {}
                (Restart::Fatal, Some(panic)) => fatal(&format!("{} panicked: {panic}", entry.name)),
                (Restart::OnPanic | Restart::Never | Restart::Fatal, _) => return entry.report(panic.as_deref(), None),
            }
            if begun.elapsed() >= HEALTHY_AFTER {
                pause = FIRST_PAUSE;
            }
            entry.report(Some(panic.as_deref().unwrap_or("it ended early")), Some(pause));
            entry.is_down.store(true, Ordering::Relaxed);
            match &restart {
                Restart::Until(stop) => {
                    let mut stop = stop.clone();
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        () = sleep(pause) => {}
                    }
                }
                _ => sleep(pause).await,
            }
            entry.is_down.store(false, Ordering::Relaxed);
            entry.restarts.fetch_add(1, Ordering::Relaxed);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }))
}

/// Starts a task that runs once and ends by itself, such as the driver of a connection. A panic is logged.
pub fn once(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Supervised {
    Supervised::spawn(async move {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            tracing::error!(task = name, panic = message(&*panic), "a background task panicked");
        }
    })
}

/// Starts a thread. With [`Restart::OnPanic`] it runs again after a panic; with [`Restart::Fatal`] a panic ends the
/// process.
///
/// # Errors
/// If the operating system has no more threads.
pub fn supervise_thread(
    name: &'static str,
    restart: Restart,
    mut run: impl FnMut() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    #[expect(clippy::disallowed_methods, reason = "the supervisor of threads")]
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let entry = Entry::register(name.to_owned());
        let mut pause = FIRST_PAUSE;
        while let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(&mut run)) {
            let panic = message(&*panic);
            match restart {
                Restart::Fatal => fatal(&format!("{name} panicked: {panic}")),
                Restart::Never => return entry.report(Some(&panic), None),
                Restart::Always | Restart::Until(_) | Restart::OnPanic => entry.report(Some(&panic), Some(pause)),
            }
            entry.is_down.store(true, Ordering::Relaxed);
            thread::sleep(pause);
            entry.is_down.store(false, Ordering::Relaxed);
            entry.restarts.fetch_add(1, Ordering::Relaxed);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
}

/// Promises on behalf of the current task that it beats again within `time`, its longest pause. A minute later, the node
/// is no longer ready. Without effect outside supervised tasks.
pub fn beat(time: Duration) {
    _ = CURRENT.try_with(|entry| {
        let until = epoch().elapsed().saturating_add(time).saturating_add(GRACE);
        entry.beats_until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    });
}

/// The supervised tasks of this process that can be restarted; those of the same name as one.
pub fn status() -> Vec<Status> {
    let mut all = BTreeMap::<String, Status>::new();
    let now = u64::try_from(epoch().elapsed().as_millis()).unwrap_or(u64::MAX);
    for entry in ENTRIES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
        let name = entry.name.clone();
        let status = all.entry(name.clone()).or_insert(Status { name, restarts: 0, fault: None });
        status.restarts += entry.restarts.load(Ordering::Relaxed);
        if entry.is_down.load(Ordering::Relaxed) {
            status.fault = Some(format!("{} has failed and will be restarted", entry.name));
        } else if entry.beats_until.load(Ordering::Relaxed) < now {
            status.fault = Some(format!("{} does not respond", entry.name));
        }
    }
    all.into_values().collect()
}

/// Ends the process, because it cannot do its work any more. The message is logged.
pub fn fatal(message: &str) -> ! {
    tracing::error!("{message}: the process ends, so that it is restarted");
    thread::sleep(LAST_MESSAGE);
    std::process::exit(70)
}

/// Panics of work that is isolated, such as a batch of appends. Three within a minute end the process.
#[derive(Default)]
pub struct PanicLimit(VecDeque<Instant>);

impl PanicLimit {
    /// Logs a panic of `what`, and ends the process if there were too many.
    pub fn note(&mut self, what: &str, panic: &(dyn Any + Send)) {
        let text = message(panic);
        tracing::error!(panic = text, "{what} panicked");
        if self.is_reached(Instant::now()) {
            fatal(&format!("{what} panicked {MAX_PANICS} times within a minute: {text}"));
        }
    }

    fn is_reached(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        while self.0.front().is_some_and(|at| now.duration_since(*at) > PANIC_WINDOW) {
            self.0.pop_front();
        }
        self.0.len() >= MAX_PANICS
    }
}

impl Supervised {
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the supervisor of tasks")]
        Self(Some(tokio::spawn(task)))
    }

    /// Waits until the task has ended.
    pub async fn ended(&mut self) {
        if let Some(handle) = &mut self.0 {
            _ = handle.await;
            self.0 = None;
        }
    }

    /// Leaves the task running for as long as its runtime.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

impl Entry {
    fn register(name: String) -> Arc<Self> {
        let (restarts, beats_until) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let entry = Arc::new(Self { name, restarts, beats_until, is_down: AtomicBool::new(false) });
        let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.strong_count() > 0);
        entries.push(Arc::downgrade(&entry));
        entry
    }

    fn is_done(&self) {
        self.beats_until.store(u64::MAX, Ordering::Relaxed);
    }

    fn report(&self, fault: Option<&str>, pause: Option<Duration>) {
        match (fault, pause) {
            (None, _) => {}
            (Some(fault), None) => tracing::error!(task = self.name, fault, "a background task panicked"),
            (Some(fault), Some(pause)) => {
                tracing::error!(task = self.name, fault, ?pause, "a background task failed and will be restarted");
            }
        }
    }
}

fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// The message of a panic.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    fn of(name: &str) -> Option<Status> {
        status().into_iter().find(|it| it.name == name)
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_early_is_started_again() {
        let (starts, mut started) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicU32::new(0));
        let task = supervise("ends", Restart::Always, move || {
            let (starts, start) = (starts.clone(), count.fetch_add(1, Ordering::Relaxed));
            async move {
                starts.send(Instant::now()).unwrap();
                assert!(start % 2 == 1, "the first start panics, the second ends");
            }
        });
        let mut at = Vec::new();
        for _ in 0..4 {
            at.push(started.recv().await.unwrap());
        }
        let pauses = at.windows(2).map(|pair| pair[1] - pair[0]);
        let expected = [100, 200, 400].map(Duration::from_millis);
        assert!(pauses.zip(expected).all(|(pause, expected)| pause >= expected), "{at:?}");
        let seen = of("ends").unwrap();
        assert_eq!(seen.restarts, 3);
        drop(task);
        assert!(timeout(Duration::from_secs(10), async { while started.recv().await.is_some() {} }).await.is_ok());
        assert_eq!(of("ends"), None, "dropping it ends it");
    }

    #[tokio::test]
    async fn a_task_that_was_stopped_is_not_started_again() {
        let (stop, stopped) = watch::channel(false);
        let signal = stopped.clone();
        let mut task = supervise("stops", Restart::Until(stopped), move || {
            let mut stop = signal.clone();
            async move { drop(stop.wait_for(|stop| *stop).await) }
        });
        stop.send_replace(true);
        timeout(Duration::from_secs(1), task.ended()).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_waits_to_be_started_again_or_does_not_beat_is_a_fault() {
        let _fails = supervise("fails", Restart::Always, || async { panic!("on purpose") });
        sleep(Duration::from_secs(1)).await;
        assert!(of("fails").unwrap().fault.unwrap().contains("fails has failed"));
        let _beats = supervise("beats", Restart::Always, || async {
            beat(Duration::from_secs(5));
            std::future::pending().await
        });
        sleep(Duration::from_secs(1)).await;
        let entry = ENTRIES.lock().unwrap().iter().filter_map(Weak::upgrade).find(|it| it.name == "beats").unwrap();
        assert_eq!(of("beats").unwrap().fault, None);
        entry.beats_until.store(0, Ordering::Relaxed);
        // After the first millisecond of the process.
        sleep(Duration::from_millis(5)).await;
        assert!(of("beats").unwrap().fault.unwrap().contains("beats does not respond"));
    }

    #[test]
    fn three_panics_within_a_minute_are_too_many() {
        let (mut limit, start) = (PanicLimit::default(), Instant::now());
        let seconds = |seconds| start + Duration::from_secs(seconds);
        assert!(!limit.is_reached(seconds(0)) && !limit.is_reached(seconds(30)));
        assert!(!limit.is_reached(seconds(61)), "the first is more than a minute ago");
        assert!(limit.is_reached(seconds(62)));
    }

    #[test]
    fn a_thread_that_panics_runs_again() {
        let mut runs = 0;
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = supervise_thread("panics", Restart::OnPanic, move || {
            runs += 1;
            assert!(runs > 2, "on purpose");
            sender.send(runs).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), 3);
        thread.unwrap().join().unwrap();
    }
}

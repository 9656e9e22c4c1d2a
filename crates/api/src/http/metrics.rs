//! Metrics in the OpenMetrics format. No label contains a person, an organization or a raw path, so the number of
//! series is bounded by routes, views and partitions.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use porttask_app::identity::{
    passwords::{Load, Passwords},
    sign_in::Outcomes,
};
use porttask_runtime::{
    clock::Clock,
    log::EventLog,
    reactors::{Reactors, Status},
    supervise,
    views::Views,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

/// The upper bounds of the histogram buckets, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
type Labels<const N: usize> = [(&'static str, String); N];

/// The metrics of a node.
pub(crate) struct Metrics {
    registry: Registry,
    durations: Family<Labels<3>, Histogram, fn() -> Histogram>,
    limited: Family<Labels<1>, Counter>,
    reactors: Arc<OnceLock<Arc<Reactors>>>,
    in_flight: Gauge,
    /// The number of open connections.
    pub(crate) connections: Gauge,
}

impl Metrics {
    /// Registers the metrics of a node.
    pub(crate) fn new(
        (log, views, clock): (Arc<dyn EventLog>, Arc<Views>, Arc<Clock>),
        passwords: Arc<Passwords>,
        sign_ins: Arc<Outcomes>,
        dropped_log_lines: fn() -> u64,
    ) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let (in_flight, connections) = (Gauge::default(), Gauge::default());
        let limited: Family<Labels<1>, Counter> = Family::default();
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(Timestamp::now().as_millisecond() as f64 / 1_000.0);
        let mut registry = Registry::default();
        registry.register("process_start_time_seconds", "Start of the process, in Unix time", started);
        registry.register_collector(Box::new(Process));
        let own = registry.sub_registry_with_prefix("porttask");
        let took = "Duration of requests by method, route and status class";
        own.register("http_request_duration_seconds", took, durations.clone());
        own.register("http_requests_in_flight", "Requests in progress", in_flight.clone());
        own.register("http_connections", "Open connections", connections.clone());
        own.register("rate_limited", "Requests rejected by a rate limit", limited.clone());
        own.register("build", "Version of the service", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        own.register_collector(Box::new(Node { log, views, clock, passwords, sign_ins }));
        own.register_collector(Box::new(Background { dropped_log_lines }));
        let reactors = Arc::<OnceLock<_>>::default();
        own.register_collector(Box::new(Tasks(Arc::clone(&reactors))));
        Self { registry, durations, limited, reactors, in_flight, connections }
    }

    /// The reactors of this node, once they run.
    pub(crate) fn reactors(&self) -> Option<&Arc<Reactors>> {
        self.reactors.get()
    }

    /// Includes these reactors.
    pub(crate) fn count(&self, reactors: Arc<Reactors>) {
        _ = self.reactors.set(reactors);
    }

    /// Counts a request as in progress until the result is dropped.
    pub(super) fn in_flight(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    /// Records the duration of a request.
    pub(super) fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let status = format!("{}xx", status / 100);
        let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status)];
        self.durations.get_or_create(&labels).observe(seconds);
    }

    /// Counts a request that was rejected by a rate limit.
    pub(super) fn limited(&self, policy: &'static str) {
        self.limited.get_or_create(&[("policy", policy.to_owned())]).inc();
    }

    /// All metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// Never: writing to a string does not fail.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Increments a gauge until dropped.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The state of log, views, passwords and sign-ins, collected when metrics are read.
struct Node {
    log: Arc<dyn EventLog>,
    views: Arc<Views>,
    clock: Arc<Clock>,
    passwords: Arc<Passwords>,
    sign_ins: Arc<Outcomes>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Collector for Node {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.views.status();
        let (mut offsets, mut behind, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let mut heads = BTreeMap::new();
        for view in &status {
            let head = heads.entry(view.partition.0).or_insert(0);
            *head = u64::max(*head, view.state.offset.0 + view.lag);
            let labels = || [("view", view.name.to_owned()), ("partition", view.partition.0.to_string())];
            offsets.push((labels(), view.state.offset.0));
            behind.push((labels(), view.lag));
            failed.push((labels(), u64::from(view.state.failure.is_some())));
        }
        let heads: Vec<_> =
            heads.into_iter().map(|(partition, head)| ([("partition", partition.to_string())], head)).collect();
        gauges(&mut encoder, "log_head_offset", "Last offset of a partition, as known to this node", &heads)?;
        gauges(&mut encoder, "view_offset", "Offset up to which a view has processed the log", &offsets)?;
        gauges(&mut encoder, "view_events_behind", "Number of events that a view is behind the log", &behind)?;
        gauges(&mut encoder, "view_failed", "Whether a view has stopped because it failed", &failed)?;
        let damaged = self.log.damaged_events();
        gauge(&mut encoder, "log_damaged_events", "Damaged events that reads have met since the start", damaged)?;
        let (jumps, ahead) = (self.clock.jumps(), self.clock.log_ahead().as_secs().unsigned_abs());
        counter(&mut encoder, "clock_jumps", "Jumps of the clock of this machine or of the database", jumps)?;
        let help = "Seconds by which the last recorded event is ahead of the clock";
        gauge(&mut encoder, "log_ahead_of_clock_seconds", help, ahead)?;
        let Load { at_work, waiting, rejected, done } = self.passwords.load();
        gauge(&mut encoder, "passwords_at_work", "Passwords being hashed", at_work)?;
        gauge(&mut encoder, "passwords_waiting", "Passwords waiting to be hashed", waiting)?;
        counter(&mut encoder, "passwords_refused", "Passwords rejected because too many were waiting", rejected)?;
        counter(&mut encoder, "passwords_hashed", "Passwords hashed", done)?;
        let Outcomes { succeeded, rejected, unknown, too_often } = &*self.sign_ins;
        let what = "Sign-in attempts by outcome; those with an unknown account count as refused, too.";
        let mut encoder = encoder.encode_descriptor("sign_ins", what, None, MetricType::Counter)?;
        for (outcome, count) in
            [("succeeded", succeeded), ("refused", rejected), ("unknown", unknown), ("too_often", too_often)]
        {
            let counter = ConstCounter::new(count.load(Ordering::Relaxed));
            counter.encode(encoder.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }
}

/// The supervised tasks and the log of the process, collected when metrics are read.
#[derive(Debug)]
struct Background {
    dropped_log_lines: fn() -> u64,
}

impl Collector for Background {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let dropped = (self.dropped_log_lines)();
        counter(&mut encoder, "log_lines_dropped", "Log lines that could not be written", dropped)?;
        let tasks = supervise::status();
        let failed: Vec<_> =
            tasks.iter().map(|it| ([("task", it.name.clone())], u64::from(it.fault.is_some()))).collect();
        gauges(&mut encoder, "background_task_failed", "Whether a background task does not do its work", &failed)?;
        let help = "Restarts of background tasks that failed.";
        let mut encoder = encoder.encode_descriptor("background_task_restarts", help, None, MetricType::Counter)?;
        for task in tasks {
            ConstCounter::new(task.restarts).encode(encoder.encode_family(&[("task", task.name)])?)?;
        }
        Ok(())
    }
}

/// The state of the reactors, collected when metrics are read.
struct Tasks(Arc<OnceLock<Arc<Reactors>>>);

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(reactors) = self.0.get() else { return Ok(()) };
        let status = reactors.status();
        let each = |value: fn(&Status) -> u64| -> Vec<(Labels<1>, u64)> {
            status.iter().map(|it| ([("reactor", it.name.to_owned())], value(it))).collect()
        };
        let ended = |outcome: &str, value: fn(&Status) -> u64| -> Vec<(Labels<2>, u64)> {
            let labels = |it: &Status| [("reactor", it.name.to_owned()), ("outcome", outcome.to_owned())];
            status.iter().map(|it| (labels(it), value(it))).collect()
        };
        gauges(&mut encoder, "tasks_waiting", "Pending tasks, of all nodes", &each(|it| it.left.waiting))?;
        gauges(&mut encoder, "tasks_dead_lettered", "Dead-lettered tasks, of all nodes", &each(|it| it.left.dead))?;
        gauges(
            &mut encoder,
            "reactor_held",
            "Whether a reactor is held until it is released",
            &each(|it| it.held.is_some().into()),
        )?;
        let mut encoder = encoder.encode_descriptor("tasks", "Task attempts by outcome.", None, MetricType::Counter)?;
        let outcomes = [
            ended("done", |it| it.done),
            ended("skipped", |it| it.skipped),
            ended("retried", |it| it.retried),
            ended("dead", |it| it.died),
        ];
        for (labels, value) in outcomes.concat() {
            ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Process metrics of the operating system; those not available are left out.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "process_resident_memory_bytes", "Resident memory in bytes", bytes)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", open.count() as u64)?;
        }
        Ok(())
    }
}

/// From a line such as `VmRSS:   12345 kB`.
fn resident_bytes() -> Option<u64> {
    let status: io::Result<String> = fs::read_to_string("/proc/self/status");
    let status = status.ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let value = ConstCounter::new(value);
    value.encode(encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let value = ConstGauge::new(signed(value));
    value.encode(encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?)
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(Labels<N>, u64)],
) -> Result<(), fmt::Error> {
    let mut encoder = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(signed(*value)).encode(encoder.encode_family(labels)?)?;
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

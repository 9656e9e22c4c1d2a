//! The service as a separate process, over HTTP. The load generator shares the machine with it.

mod client;
mod process;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use private_postgres::PrivatePostgres;
use serde_json::json;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

pub(crate) use self::{
    client::Client,
    process::{Organization, Service},
};
use crate::{
    Error, Figure, Options,
    report::percentile_ms,
    store::{EVENTS_PER_PERSON, Place, Store},
};

const CONNECTIONS: usize = 64;
const ORGANIZATIONS: usize = 16;
/// As many as the service creates on PostgreSQL.
pub(crate) const PARTITIONS: u16 = 8;
const STARTS: usize = 5;
const ENTRIES: usize = 1_000_000;

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for engine in Place::engines(options)? {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
        let bench = Bench { options, progress, engine, server: server.as_ref(), directory: &directory, store: &store };
        bench.run(&mut figures).await?;
    }
    Ok(figures)
}

struct Bench<'a> {
    options: &'a Options,
    progress: &'a (dyn Fn(&str) + Sync),
    engine: &'static str,
    server: Option<&'a PrivatePostgres>,
    directory: &'a TempDir,
    store: &'a Store,
}

/// The calls of the API that the page of users makes.
const PAGE_CALLS: [&str; 5] = [
    "/v1/me",
    "/v1/me/permissions",
    "/v1/sessions/current",
    "/v1/organizations/current",
    "/v1/organizations/current/users?status=deactivated&sort=-created_at&limit=25&count=true",
];

/// The result of a run with concurrent callers.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) per_second: f64,
    pub(crate) latencies: Vec<Duration>,
}

impl Run {
    fn percentile_ms(&self, percentile: usize) -> f64 {
        percentile_ms(&self.latencies, percentile)
    }
}

impl Bench<'_> {
    fn wants(&self, figures: &str) -> bool {
        self.options.figure.as_deref().is_none_or(|wanted| figures.contains(wanted))
    }

    fn is_embedded(&self) -> bool {
        self.engine == "sqlite"
    }

    async fn run(&self, figures: &mut Vec<Figure>) -> Result<(), Error> {
        (self.progress)(&format!("{}: starting the service", self.engine));
        let service = Service::start(self.server, self.directory.path()).await?;
        let organizations = service.found(self.store, ORGANIZATIONS).await?;
        service.stop().await?;
        if self.wants("cold_start idle_memory") {
            self.starts(figures).await?;
        }
        let service = Service::start(self.server, self.directory.path()).await?;
        if self.wants("loops loops_p99 views_lag_p99 loops_1 loops_16 views_lag_idle") {
            let rate = self.loops(&service, &organizations, figures).await?;
            self.lag(&service, &organizations, rate, figures).await?;
            self.few(&service, &organizations, rate, figures).await?;
        }
        if self.wants("get_user") {
            self.get_user(&service, &organizations, figures).await?;
        }
        service.stop().await?;
        if self.wants("loops_access_log") {
            self.access_log(&organizations, figures).await?;
        }
        if self.wants("users_page_p99 audit_page_p99 console_page") {
            self.pages(&organizations[0], figures).await?;
        }
        Ok(())
    }

    async fn starts(&self, figures: &mut Vec<Figure>) -> Result<(), Error> {
        let (mut starts, mut memory) = (Vec::new(), f64::NAN);
        for number in 0..STARTS {
            let service = Service::start(self.server, self.directory.path()).await?;
            starts.push(service.started_in);
            if number == STARTS - 1 {
                sleep(Duration::from_secs(3)).await;
                memory = service.memory()?;
            }
            service.stop().await?;
        }
        let starts = Run { latencies: starts, ..Run::default() };
        let (time, space) = if self.is_embedded() { (150, 40) } else { (500, 60) };
        let note = format!("until the first response, median of {STARTS}; target {time} ms");
        figures.push(Figure::alone(self.engine, "cold_start", starts.percentile_ms(50), "ms", &note));
        let note = format!("resident, three seconds after the start; target {space} MiB");
        figures.push(Figure::alone(self.engine, "idle_memory", memory, "MiB", &note));
        Ok(())
    }

    /// Runs `caller` repeatedly on each connection, for five times the configured duration.
    async fn callers<F>(
        &self,
        service: &Service,
        organizations: &[Organization],
        connections: usize,
        caller: impl Fn(Client, Organization) -> F + Clone + Send + 'static,
    ) -> Result<Run, Error>
    where
        F: Future<Output = Result<(Client, Duration), Error>> + Send,
    {
        let length = Duration::from_secs_f64(self.options.seconds * 5.0);
        callers(service, organizations, (connections, length), caller).await
    }

    async fn loops(
        &self,
        service: &Service,
        organizations: &[Organization],
        figures: &mut Vec<Figure>,
    ) -> Result<f64, Error> {
        (self.progress)(&format!("{}: user life cycles", self.engine));
        let number = Arc::new(AtomicU64::new(0));
        let caller = move |client, _| life(client, number.fetch_add(1, Ordering::Relaxed));
        let before = service.processor_time()?;
        let run = self.callers(service, organizations, CONNECTIONS, caller).await?;
        let each = (service.processor_time()? - before) / run.latencies.len() as f64 * 1_000_000.0;
        let (rate, p99) = if self.is_embedded() { (1_500, 100) } else { (1_000, 150) };
        let what = format!("invite, change role, deactivate, reactivate, read back; {CONNECTIONS} connections");
        let note = format!("{what}; {each:.0} µs of the service's CPU time each; target {rate}/s");
        figures.push(Figure::alone(self.engine, "loops", run.per_second, "loops/s", &note));
        let note = format!("per loop; target {p99} ms");
        figures.push(Figure::alone(self.engine, "loops_p99", run.percentile_ms(99), "ms", &note));
        Ok(run.per_second)
    }

    /// What the access log costs: the CPU time of a loop with it and without it, in turn.
    async fn access_log(&self, organizations: &[Organization], figures: &mut Vec<Figure>) -> Result<(), Error> {
        (self.progress)(&format!("{}: user life cycles with the access log", self.engine));
        let number = Arc::new(AtomicU64::new(5_000_000_000));
        let mut sums = [0.0, 0.0];
        for is_logged in [false, true, true, false] {
            let setting = if is_logged { "true" } else { "false" };
            let settings = [("PORTTASK_ACCESS_LOG", setting), ("PORTTASK_LOG", "warn,porttask_access=info")];
            let service = Service::start_with(self.server, self.directory.path(), &settings).await?;
            let number = Arc::clone(&number);
            let caller = move |client, _| life(client, number.fetch_add(1, Ordering::Relaxed));
            let before = service.processor_time()?;
            let run = self.callers(&service, organizations, CONNECTIONS, caller).await?;
            sums[usize::from(is_logged)] +=
                (service.processor_time()? - before) / run.latencies.len() as f64 * 500_000.0;
            service.stop().await?;
        }
        let [without, with] = sums;
        let note =
            format!("CPU time per life cycle without the access log, compared with {with:.0} µs with it; target 0.95");
        figures.push(Figure::beside(self.engine, "loops_access_log", without, "µs", with, &note));
        Ok(())
    }

    /// The same loops by few callers, who leave the processor idle if anything waits for a timer.
    async fn few(
        &self,
        service: &Service,
        organizations: &[Organization],
        rate: f64,
        figures: &mut Vec<Figure>,
    ) -> Result<(), Error> {
        for (connections, first) in [(1, 2_000_000_000), (16, 3_000_000_000_u64)] {
            (self.progress)(&format!("{}: user life cycles, {connections} at a time", self.engine));
            let number = Arc::new(AtomicU64::new(first));
            let caller = move |client, _| life(client, number.fetch_add(1, Ordering::Relaxed));
            let run = self.callers(service, organizations, connections, caller).await?;
            let note = format!(
                "compared with {CONNECTIONS} connections; p50 {:.1} ms; target at 16: 0.80",
                run.percentile_ms(50)
            );
            let name = if connections == 1 { "loops_1" } else { "loops_16" };
            figures.push(Figure::beside(self.engine, name, run.per_second, "loops/s", rate, &note));
        }
        let number = Arc::new(AtomicU64::new(4_000_000_000));
        let caller = move |client, _| seen(client, number.fetch_add(1, Ordering::Relaxed));
        let run = self.callers(service, organizations, 1, caller).await?;
        let bar = if self.is_embedded() { 2 } else { 5 };
        let note = format!("one caller, from a command's response until a read reflects it; target {bar} ms");
        figures.push(Figure::alone(self.engine, "views_lag_idle", run.percentile_ms(50), "ms", &note));
        Ok(())
    }

    /// The time from the response to a command until a read reflects it, at half the rate of the loops.
    async fn lag(
        &self,
        service: &Service,
        organizations: &[Organization],
        rate: f64,
        figures: &mut Vec<Figure>,
    ) -> Result<(), Error> {
        (self.progress)(&format!("{}: lag of the read models", self.engine));
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / (rate / 2.0));
        let number = Arc::new(AtomicU64::new(1_000_000_000));
        let caller = move |client, _| {
            let number = number.fetch_add(1, Ordering::Relaxed);
            async move {
                let start = Instant::now();
                let (client, lag) = seen(client, number).await?;
                sleep(pause.saturating_sub(start.elapsed())).await;
                Ok((client, lag))
            }
        };
        let run = self.callers(service, organizations, CONNECTIONS, caller).await?;
        let bar = if self.is_embedded() { 50 } else { 100 };
        let note = format!(
            "from a command's response until a read reflects it, {:.0} loops/s; target {bar} ms",
            run.per_second
        );
        figures.push(Figure::alone(self.engine, "views_lag_p99", run.percentile_ms(99), "ms", &note));
        Ok(())
    }

    async fn get_user(
        &self,
        service: &Service,
        organizations: &[Organization],
        figures: &mut Vec<Figure>,
    ) -> Result<(), Error> {
        (self.progress)(&format!("{}: reading one user", self.engine));
        let mut users = Vec::new();
        for organization in organizations {
            let mut client = Client::connect(service.address, Some(&organization.token)).await?;
            let session = client.get("/v1/sessions/current", None).await?.json()?;
            users.push((organization.id, session["user"].as_str().ok_or("no user")?.to_owned()));
        }
        let bare = self.callers(service, organizations, CONNECTIONS, |client, _| timed(client, "/healthz".to_owned()));
        let bare = bare.await?.per_second;
        let caller = move |client, organization: Organization| {
            let user = users.iter().find(|(id, _)| *id == organization.id).map(|(_, user)| user.clone());
            timed(client, format!("/v1/organizations/current/users/{}", user.unwrap_or_default()))
        };
        let run = self.callers(service, organizations, CONNECTIONS, caller).await?;
        let bar = if self.is_embedded() { 0.35 } else { 0.20 };
        let note = format!("with a session, compared with /healthz; target {bar:.2}");
        figures.push(Figure::beside(self.engine, "get_user", run.per_second, "1/s", bare, &note));
        Ok(())
    }

    async fn pages(&self, organization: &Organization, figures: &mut Vec<Figure>) -> Result<(), Error> {
        let entries = if self.options.quick { ENTRIES / 10 } else { ENTRIES };
        (self.progress)(&format!("{}: recording {entries} audit log entries", self.engine));
        self.store.add(organization.id, entries).await?;
        let service = Service::start(self.server, self.directory.path()).await?;
        (self.progress)(&format!("{}: folding them", self.engine));
        service.is_ready().await?;
        (self.progress)(&format!("{}: reading pages", self.engine));
        let organizations = std::slice::from_ref(organization);
        let bar = if self.is_embedded() { 10 } else { 15 };
        let users = entries / EVENTS_PER_PERSON;
        let path = "/v1/organizations/current/users?role=read_only&status=deactivated&sort=-created_at&limit=50";
        let run = self.callers(&service, organizations, 1, |client, _| timed(client, path.to_owned())).await?;
        let note =
            format!("50 of {users} users, filtered and sorted; {:.0}/s by one caller; target {bar} ms", run.per_second);
        figures.push(Figure::alone(self.engine, "users_page_p99", run.percentile_ms(99), "ms", &note));
        self.console_page(&service, organizations, figures).await?;
        let path = self.audit_page(&service, organization).await?;
        let run = self.callers(&service, organizations, 1, move |client, _| timed(client, path.clone())).await?;
        let note = format!(
            "50 of {entries} entries, by actor and time; {:.0}/s by one caller; target {bar} ms",
            run.per_second
        );
        figures.push(Figure::alone(self.engine, "audit_page_p99", run.percentile_ms(99), "ms", &note));
        service.stop().await
    }

    /// What a page of the console costs beyond the calls of the API that it makes.
    async fn console_page(
        &self,
        service: &Service,
        organizations: &[Organization],
        figures: &mut Vec<Figure>,
    ) -> Result<(), Error> {
        let median = async |path: &str| {
            let path = path.to_owned();
            let run = self.callers(service, organizations, 1, move |client, _| timed(client, path.clone())).await?;
            Ok::<_, Error>(run.percentile_ms(50))
        };
        let mut calls = 0.0;
        for path in PAGE_CALLS {
            calls += median(path).await?;
        }
        let page = median("/settings/users?status=deactivated&sort=-created_at").await?;
        let beyond = page - calls;
        let note = format!(
            "median until a list of 25 users is answered, beside the sum of its {} calls of the API one by one: {beyond:.1} ms beyond them; \
             targets 20 ms, and 3 ms beyond",
            PAGE_CALLS.len()
        );
        figures.push(Figure::beside(self.engine, "console_page", page, "ms", calls, &note));
        Ok(())
    }

    /// The path of a page of entries by one busy actor, which are not the latest ones.
    async fn audit_page(&self, service: &Service, organization: &Organization) -> Result<String, Error> {
        let mut client = Client::connect(service.address, Some(&organization.token)).await?;
        let log = "/v1/organizations/current/audit-log?action=user.invited";
        let page = client.get(&format!("{log}&limit=200"), None).await?.json()?;
        let entry = &page["items"][199];
        let (actor, at) = (&entry["actor"]["id"], &entry["recorded_at"]);
        let (actor, at) = (actor.as_str().ok_or("no actor")?, at.as_str().ok_or("no instant")?);
        let from = "2020-01-01T00:00:00Z";
        let until: jiff::Timestamp = at.parse()?;
        let until = until + jiff::SignedDuration::from_secs(1);
        Ok(format!("/v1/organizations/current/audit-log?actor={actor}&from={from}&until={until}&limit=50"))
    }
}

/// Runs `caller` repeatedly on this many connections, for this long.
pub(crate) async fn callers<F>(
    service: &Service,
    organizations: &[Organization],
    (connections, length): (usize, Duration),
    caller: impl Fn(Client, Organization) -> F + Clone + Send + 'static,
) -> Result<Run, Error>
where
    F: Future<Output = Result<(Client, Duration), Error>> + Send,
{
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for number in 0..connections {
        let organization = organizations[number % organizations.len()].clone();
        let mut client = Client::connect(service.address, Some(&organization.token)).await?;
        let caller = caller.clone();
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < length {
                let latency;
                (client, latency) = caller(client, organization.clone()).await?;
                latencies.push(latency);
            }
            Ok::<_, Error>(latencies)
        });
    }
    let mut run = Run::default();
    while let Some(latencies) = callers.join_next().await {
        run.latencies.append(&mut latencies??);
    }
    run.per_second = run.latencies.len() as f64 / start.elapsed().as_secs_f64();
    Ok(run)
}

async fn timed(mut client: Client, path: String) -> Result<(Client, Duration), Error> {
    let start = Instant::now();
    client.get(&path, None).await?.ok()?;
    Ok((client, start.elapsed()))
}

/// Invites a user, changes the role, deactivates and reactivates the account, and reads it back.
async fn life(mut client: Client, number: u64) -> Result<(Client, Duration), Error> {
    let start = Instant::now();
    let users = "/v1/organizations/current/users";
    let user = invite(&mut client, number).await?;
    let path = format!("{users}/{user}");
    client.send("PATCH", &path, None, Some(&json!({"role": "read_only"}))).await?.ok()?;
    client.post(&format!("{path}/deactivate"), &json!({})).await?.ok()?;
    client.post(&format!("{path}/reactivate"), &json!({})).await?.ok()?;
    let shown = client.get(&path, None).await?.json()?;
    if shown["role"] != "read_only" {
        return Err(format!("the user reads back as {shown}").into());
    }
    Ok((client, start.elapsed()))
}

async fn invite(client: &mut Client, number: u64) -> Result<String, Error> {
    let body = json!({"name": format!("Cleo {}", letters(number)), "email": format!("c{number}@acme.example"), "role": "agent"});
    let made = client.post("/v1/organizations/current/users", &body).await?.json()?;
    Ok(made["id"].as_str().ok_or("no id")?.to_owned())
}

/// The same life cycle; returns how long a read took that waited for the last change.
async fn seen(mut client: Client, number: u64) -> Result<(Client, Duration), Error> {
    let user = invite(&mut client, number).await?;
    let path = format!("/v1/organizations/current/users/{user}");
    client.send("PATCH", &path, None, Some(&json!({"role": "read_only"}))).await?.ok()?;
    client.post(&format!("{path}/deactivate"), &json!({})).await?.ok()?;
    let changed = client.post(&format!("{path}/reactivate"), &json!({})).await?.ok()?;
    let start = Instant::now();
    client.get(&path, changed.position.as_deref()).await?.ok()?;
    Ok((client, start.elapsed()))
}

/// A number spelled in letters, for use in a name.
fn letters(number: u64) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

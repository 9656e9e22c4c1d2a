//! Sign-in, authenticated requests, and the search among a million users.

use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    Error, Figure, Options, metering,
    report::percentile_ms,
    service::{Client, Organization, Service, callers},
    store::{Place, Store},
};

/// As many as the service creates on PostgreSQL.
const PARTITIONS: u16 = 8;
const ORGANIZATIONS: usize = 16;
/// Enough to keep all CPUs busy, and fewer than the queue of password comparisons holds.
const SIGNING_IN: usize = 32;
const OTHERS: usize = 8;
/// The pause between two requests of the other callers.
const PAUSE: Duration = Duration::from_millis(50);
const CONNECTIONS: usize = 64;
const PASSWORD: &str = "correct horse battery";
/// The number of users per organization.
const USERS_EACH: usize = 999;
const ORGANIZATIONS_SEARCHED: usize = 1_001;

/// The searches: common and rare names, parts of words, email addresses, organizations, and words without a match.
const SEARCHES: [&str; 14] = [
    "q=ana",
    "q=souza+ana",
    "q=quillfeather",
    "q=illfea",
    "q=zi",
    "q=a",
    "q=ana.souza.77@",
    "q=ana.souza.77@org500.example",
    "q=org50.example",
    "q=org500.example",
    "q=%C3%89lodie&status=invited&role=agent",
    "q=xqzw",
    "q=souza&organization=org500.example",
    "q=ana&organization=Harbour+500",
];

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for engine in Place::engines(options)? {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
        let wants = |names: &str| options.figure.as_deref().is_none_or(|wanted| names.contains(wanted));
        let mut service = Service::start(server.as_ref(), directory.path()).await?;
        if wants("sign_ins others_p99 session_requests key_requests metering_overhead") {
            progress(&format!("{engine}: signing in"));
            let organizations = service.found(&store, ORGANIZATIONS).await?;
            sign_ins(options, engine, &service, &organizations, &mut figures).await?;
            progress(&format!("{engine}: requests with a session and with an API key"));
            let tokens = requests(options, engine, &service, &organizations, &mut figures).await?;
            progress(&format!("{engine}: metering"));
            metering::overhead(options, engine, &store, &tokens, &mut figures).await?;
        }
        if wants("search_p99") {
            service.stop().await?;
            let organizations =
                if options.quick { ORGANIZATIONS_SEARCHED.div_ceil(10) } else { ORGANIZATIONS_SEARCHED };
            let users = organizations * USERS_EACH;
            progress(&format!("{engine}: recording {users} users"));
            for number in 0..organizations {
                // Never: a million invitations that expire would compete with the searches.
                store.populate(number, USERS_EACH, |_| Timestamp::MAX).await?;
            }
            progress(&format!("{engine}: folding them"));
            service = Service::start(server.as_ref(), directory.path()).await?;
            service.is_ready().await?;
            progress(&format!("{engine}: searching"));
            search(options, engine, &service, users, &mut figures).await?;
        }
        service.stop().await?;
    }
    Ok(figures)
}

/// Sign-ins, compared with the maximum rate of password comparisons, while other callers send cheap requests.
async fn sign_ins(
    options: &Options,
    engine: &'static str,
    service: &Service,
    organizations: &[Organization],
    figures: &mut Vec<Figure>,
) -> Result<(), Error> {
    let length = Duration::from_secs_f64(options.seconds * 5.0);
    // Before and after, because the speed of machines drifts.
    let before = comparisons(length / 2).await?;
    let sign_in = |mut client: Client, organization: Organization| async move {
        let start = Instant::now();
        let body = json!({"email": organization.admin, "password": PASSWORD});
        client.post("/v1/sessions", &body).await?.ok()?;
        Ok((client, start.elapsed()))
    };
    let other = |mut client: Client, _: Organization| async move {
        sleep(PAUSE).await;
        let start = Instant::now();
        client.get("/v1/organizations/current", None).await?.ok()?;
        Ok((client, start.elapsed()))
    };
    let (signed_in, others) = tokio::join!(
        callers(service, organizations, (SIGNING_IN, length), sign_in),
        callers(service, organizations, (OTHERS, length), other),
    );
    let (signed_in, others) = (signed_in?, others?);
    let best = f64::midpoint(before, comparisons(length / 2).await?);
    let note =
        format!("{SIGNING_IN} at a time, compared with argon2id with the same parameters on all CPUs; target 0.85");
    figures.push(Figure::beside(engine, "sign_ins", signed_in.per_second, "1/s", best, &note));
    let note = format!("of {:.0} other requests per second meanwhile; target 50 ms", others.per_second);
    figures.push(Figure::alone(engine, "others_p99", percentile_ms(&others.latencies, 99), "ms", &note));
    Ok(())
}

/// Password comparisons per second on otherwise idle CPUs.
async fn comparisons(length: Duration) -> Result<f64, Error> {
    let hash = Argon2::default().hash_password(PASSWORD.as_bytes()).map_err(|error| error.to_string())?;
    let threads: Vec<_> = (0..std::thread::available_parallelism()?.get())
        .map(|_| {
            let hash = hash.clone();
            tokio::task::spawn_blocking(move || {
                let (start, mut count) = (Instant::now(), 0_u32);
                while start.elapsed() < length {
                    count += u32::from(Argon2::default().verify_password(PASSWORD.as_bytes(), &hash).is_ok());
                }
                f64::from(count) / start.elapsed().as_secs_f64()
            })
        })
        .collect();
    let mut rate = 0.0;
    for thread in threads {
        rate += thread.await?;
    }
    Ok(rate)
}

/// The same request with a session and with an API key, compared with `/healthz`; returns the tokens of the keys.
async fn requests(
    options: &Options,
    engine: &'static str,
    service: &Service,
    organizations: &[Organization],
    figures: &mut Vec<Figure>,
) -> Result<Vec<String>, Error> {
    let length = Duration::from_secs_f64(options.seconds * 5.0);
    let mut with_keys = Vec::with_capacity(organizations.len());
    for organization in organizations {
        let mut client = Client::connect(service.address, Some(&organization.token)).await?;
        let made = client.post("/v1/organizations/current/api-keys", &json!({"name": "robot"})).await?.json()?;
        let token = made["token"].as_str().ok_or("no token")?.to_owned();
        with_keys.push(Organization { token, ..organization.clone() });
    }
    let ask = |path: &'static str| {
        move |mut client: Client, _: Organization| async move {
            let start = Instant::now();
            client.get(path, None).await?.ok()?;
            Ok((client, start.elapsed()))
        }
    };
    let nothing = callers(service, organizations, (CONNECTIONS, length), ask("/healthz")).await?.per_second;
    for (name, callers_of) in [("session_requests", organizations), ("key_requests", &with_keys)] {
        let run = callers(service, callers_of, (CONNECTIONS, length), ask("/v1/organizations/current")).await?;
        let note = format!("reading one's organization, {CONNECTIONS} connections; compared with /healthz");
        figures.push(Figure::beside(engine, name, run.per_second, "1/s", nothing, &note));
    }
    Ok(with_keys.into_iter().map(|organization| organization.token).collect())
}

/// The search for users in all organizations.
async fn search(
    options: &Options,
    engine: &'static str,
    service: &Service,
    users: usize,
    figures: &mut Vec<Figure>,
) -> Result<(), Error> {
    let token = service.sign_in_as_staff().await?;
    let mut client = Client::connect(service.address, Some(&token)).await?;
    let rounds = (options.seconds * 50.0) as usize;
    let (mut all, mut slowest) = (Vec::new(), (0.0, ""));
    for search in SEARCHES {
        let path = format!("/v1/platform/users?{search}&limit=50");
        client.get(&path, None).await?.ok()?;
        let mut latencies = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let start = Instant::now();
            client.get(&path, None).await?.ok()?;
            latencies.push(start.elapsed());
        }
        let p99 = percentile_ms(&latencies, 99);
        eprintln!("  {engine} {search}: p50 {:.2} ms, p99 {p99:.2} ms", percentile_ms(&latencies, 50));
        if p99 > slowest.0 {
            slowest = (p99, search);
        }
        all.append(&mut latencies);
    }
    let note = format!(
        "50 of {users} users, {} searches in turn by one caller; the slowest is {} with {:.1} ms; target 20 ms",
        SEARCHES.len(),
        slowest.1,
        slowest.0
    );
    figures.push(Figure::alone(engine, "search_p99", percentile_ms(&all, 99), "ms", &note));
    Ok(())
}

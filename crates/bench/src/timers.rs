//! Timers on three nodes: many that are due at once, and how late single ones are carried out.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::{organizations::StatusAllows, timers::LinkExpiry};
use porttask_domain::{DomainEvent, OrganizationId, identity::user, uuid_of};
use porttask_projections::{ReadModel, platform::timer};
use porttask_runtime::{
    clock::Clock,
    execute::Executor,
    lease::Holder,
    ledger::Database,
    log::{Offset, PartitionId, RecordedEvent},
    timers::{TimerHandler, TimerPolicy, Timers},
    views::Views,
};
use private_postgres::PrivatePostgres;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    Error, Figure, Options,
    report::percentile_ms,
    store::{Place, Store},
};

/// As many as the service creates on PostgreSQL.
const PARTITIONS: u16 = 8;
const NODES: usize = 3;
const ORGANIZATIONS: usize = 40;
/// The number of timers per organization that are due at once.
const DUE_AT_ONCE: usize = 250;
/// The number of timers that become due one after the other, and their distance.
const ONE_BY_ONE: usize = 200;
const APART: SignedDuration = SignedDuration::from_millis(20);
/// How long before the first of them is due they are scheduled.
const AHEAD: SignedDuration = SignedDuration::from_secs(3);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Maximum time for read models to catch up, and for timers to be carried out.
const PATIENCE: Duration = Duration::from_secs(600);
const EXPIRED: &str = "user.link_expired.v1";

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    let wants = |name: &str| options.figure.as_deref().is_none_or(|wanted| name.contains(wanted));
    let (wants_many, wants_delay) = (wants("timers_due_at_once"), wants("timer_delay_p99"));
    if !wants_many && !wants_delay {
        return Ok(figures);
    }
    let each = if options.quick { DUE_AT_ONCE / 5 } else { DUE_AT_ONCE };
    for engine in Place::engines(options)? {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
        if wants_many {
            progress(&format!("{engine}: scheduling {} timers", ORGANIZATIONS * each));
            let tomorrow = Timestamp::now() + DAY;
            let due_at = |place: usize| tomorrow + SignedDuration::from_secs(place as i64);
            for number in 0..ORGANIZATIONS {
                store.populate(number, each, due_at).await?;
            }
        }
        let nodes =
            Node::several(store, server.as_ref(), directory.path(), PARTITIONS, vec![Arc::new(LinkExpiry)]).await?;
        if wants_delay {
            progress(&format!("{engine}: {ONE_BY_ONE} timers, one after the other"));
            figures.push(one_by_one(engine, &nodes).await?);
        }
        if wants_many {
            progress(&format!("{engine}: {} timers at once", ORGANIZATIONS * each));
            figures.push(at_once(engine, &nodes, ORGANIZATIONS * each).await?);
        }
        let stopped = join_all(nodes.iter().map(|node| node.timers.shutdown(PATIENCE))).await;
        if stopped.contains(&false) {
            return Err("timers did not stop".into());
        }
    }
    Ok(figures)
}

/// A node that folds read models and carries out timers.
pub(crate) struct Node {
    pub(crate) store: Store,
    pub(crate) clock: Arc<Clock>,
    pub(crate) views: Arc<Views>,
    pub(crate) timers: Arc<Timers>,
}

impl Node {
    /// The nodes on a store, with read models that have caught up. Timers start on all of them at the same time.
    pub(crate) async fn several(
        first: Store,
        server: Option<&PrivatePostgres>,
        directory: &Path,
        partitions: u16,
        handlers: Vec<Arc<dyn TimerHandler>>,
    ) -> Result<Vec<Self>, Error> {
        let mut nodes = vec![Self::on(first, server, directory, handlers.clone()).await?];
        while nodes.len() < NODES {
            let store = Store::join(server, directory, partitions).await?;
            nodes.push(Self::on(store, server, directory, handlers.clone()).await?);
        }
        for node in &nodes {
            node.views.catch_up(timer::Timers::NAME, PATIENCE).await?;
        }
        let holders: Vec<Holder> = (0..NODES).map(|place| Holder::new(format!("node {place}"))).collect();
        try_join_all(nodes.iter().zip(&holders).map(|(node, holder)| node.timers.run(holder))).await?;
        Ok(nodes)
    }

    async fn on(
        store: Store,
        server: Option<&PrivatePostgres>,
        directory: &Path,
        handlers: Vec<Arc<dyn TimerHandler>>,
    ) -> Result<Self, Error> {
        let (views, clock) = (store.views(server, directory).await?, Arc::new(Clock::new()));
        views.run();
        // Simulated from the start: idle nodes look for an advance of the clock twice a second, not every 10 s.
        clock.simulate(Some(SignedDuration::ZERO));
        let (database, vault) = (Arc::<dyn Database>::clone(&store.log), Arc::clone(&store.vault));
        let executor = Executor::new(database, vault, Arc::new(StatusAllows), Arc::clone(&clock));
        let timers = Timers::new(Arc::clone(&views), executor, handlers, TimerPolicy::default());
        Ok(Self { store, clock, views, timers })
    }
}

/// The rate at which timers that are all due at once are carried out, including up to half a second until the nodes
/// notice that the clock was advanced.
async fn at_once(engine: &'static str, nodes: &[Node], timers: usize) -> Result<Figure, Error> {
    let done = || nodes.iter().map(|node| node.timers.counts().done.load(Ordering::Relaxed)).collect::<Vec<u64>>();
    let failed = || nodes.iter().map(|node| node.timers.counts().failed.load(Ordering::Relaxed)).sum::<u64>();
    let log = nodes[0].store.log.as_ref();
    let (done_before, failed_before, expected) = (done(), failed(), recorded(log).await? + timers as u64);
    let start = Instant::now();
    for node in nodes {
        node.clock.simulate(Some(DAY * 7));
    }
    while recorded(log).await? < expected {
        if start.elapsed() > PATIENCE {
            return Err(format!("{engine}: not all timers were carried out within {PATIENCE:?}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let rate = timers as f64 / start.elapsed().as_secs_f64();
    // Until all attempts have ended: one of them could record an event a second time.
    sleep(Duration::from_secs(1)).await;
    check(&nodes[0].store, timers).await?;
    let shares: Vec<String> =
        done().iter().zip(done_before).map(|(after, before)| (after - before).to_string()).collect();
    let target = if engine == "postgres" { "; target 500/s" } else { "" };
    let note = format!(
        "{timers} timers of {ORGANIZATIONS} organizations, without a lane; each once, in order within its organization; \
         {NODES} nodes in this process carried out {}, with {} failed attempts{target}",
        shares.join(" + "),
        failed() - failed_before,
    );
    Ok(Figure::alone(engine, "timers_due_at_once", rate, "timers/s", &note))
}

/// How late timers are recorded that become due one after the other, before the clock is advanced.
async fn one_by_one(engine: &'static str, nodes: &[Node]) -> Result<Figure, Error> {
    let (store, clock) = (&nodes[0].store, &nodes[0].clock);
    let first = clock.now() + AHEAD;
    let due_at = |place: usize| first + APART * (place as i32);
    let organization = store.populate(ORGANIZATIONS, ONE_BY_ONE, due_at).await?;
    if clock.now() > first {
        return Err("the timers were due before all of them were scheduled".into());
    }
    let home = store.log.partition_of(organization).await?.ok_or("the organization has no partition")?;
    let observers = nodes.iter().map(|node| observe(node.store.log.as_ref(), home, organization, clock));
    let seen = timeout(PATIENCE, try_join_all(observers)).await??;
    let due: HashMap<Uuid, Timestamp> = schedule(store, home, organization).await?;
    // Nodes learn of the appends of others later.
    let mut delays: HashMap<Uuid, Duration> = HashMap::new();
    for (user, at) in seen.into_iter().flatten() {
        let delay = at.duration_since(*due.get(&user).ok_or("a timer was carried out that was not scheduled")?);
        let delay = Duration::try_from(delay).map_err(|_| format!("{engine}: a timer was carried out too early"))?;
        delays.entry(user).and_modify(|known| *known = delay.min(*known)).or_insert(delay);
    }
    let delays: Vec<Duration> = delays.into_values().collect();
    let note = format!(
        "{ONE_BY_ONE} timers of one organization, {} ms apart, from due until recorded; p50 {:.1} ms, maximum {:.1} ms",
        APART.as_millis(),
        percentile_ms(&delays, 50),
        percentile_ms(&delays, 100),
    );
    Ok(Figure::alone(engine, "timer_delay_p99", percentile_ms(&delays, 99), "ms", &note))
}

/// When a node read that the links of an organization's users had expired.
async fn observe(
    log: &dyn Database,
    partition: PartitionId,
    organization: OrganizationId,
    clock: &Clock,
) -> Result<Vec<(Uuid, Timestamp)>, Error> {
    let mut head = log.subscribe(partition).ok_or("there is no such partition")?;
    let (mut seen, mut after) = (Vec::new(), Offset::START);
    while seen.len() < ONE_BY_ONE {
        while after < *head.borrow_and_update() {
            let page = log.read_partition(partition, after, 1_000).await?;
            let at = clock.now();
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            let expired = page.iter().filter(|event| event.stream.organization == organization && is_expiry(event));
            seen.extend(expired.filter_map(|event| Some((uuid_of(event.stream.name.id())?, at))));
        }
        if seen.len() < ONE_BY_ONE {
            head.changed().await?;
        }
    }
    Ok(seen)
}

/// When the invitations of an organization expire, by user.
async fn schedule(
    store: &Store,
    partition: PartitionId,
    organization: OrganizationId,
) -> Result<HashMap<Uuid, Timestamp>, Error> {
    let expiries = expiries(store, partition).await?;
    Ok(expiries.into_iter().filter(|it| it.organization == organization).map(|it| (it.user, it.due_at)).collect())
}

/// An invitation that expires.
struct Expiry {
    organization: OrganizationId,
    user: Uuid,
    due_at: Timestamp,
    /// Where its expiry was recorded.
    recorded: Vec<Offset>,
}

/// The invitations of a partition.
async fn expiries(store: &Store, partition: PartitionId) -> Result<Vec<Expiry>, Error> {
    let (mut expiries, mut after): (HashMap<Uuid, Expiry>, _) = (HashMap::new(), Offset::START);
    loop {
        let page = store.log.read_partition(partition, after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.position.offset;
        for (event, decoded) in page.iter().zip(store.vault.domain_events(&page).await?) {
            let Some(user) = uuid_of(event.stream.name.id()) else { continue };
            if let DomainEvent::User(user::Event::Invited { expires_at: due_at, .. }) = decoded {
                let organization = event.stream.organization;
                expiries.insert(user, Expiry { organization, user, due_at, recorded: Vec::new() });
            } else if is_expiry(event) {
                let expiry = expiries.get_mut(&user).ok_or("a user expired who was not invited")?;
                expiry.recorded.push(event.position.offset);
            }
        }
    }
    Ok(expiries.into_values().collect())
}

/// Checks that each timer was carried out exactly once, and in order of due within its organization.
async fn check(store: &Store, at_least: usize) -> Result<(), Error> {
    let mut checked = 0;
    for head in store.log.heads().await? {
        let mut organizations = BTreeMap::<OrganizationId, Vec<(Offset, Timestamp)>>::new();
        for Expiry { organization, user, due_at, recorded } in expiries(store, head.position.partition).await? {
            let &[position] = recorded.as_slice() else {
                return Err(format!("the timer of {user} was carried out {} times", recorded.len()).into());
            };
            organizations.entry(organization).or_default().push((position, due_at));
            checked += 1;
        }
        for (organization, mut timers) in organizations {
            timers.sort_unstable();
            if !timers.is_sorted_by_key(|(_, due_at)| *due_at) {
                return Err(format!("the timers of {organization} were not carried out in order of due").into());
            }
        }
    }
    if checked < at_least {
        return Err(format!("{checked} timers were scheduled, not {at_least}").into());
    }
    Ok(())
}

fn is_expiry(event: &RecordedEvent) -> bool {
    event.event_type.as_str() == EXPIRED
}

/// The number of events in the log.
async fn recorded(log: &dyn Database) -> Result<u64, Error> {
    Ok(log.heads().await?.iter().map(|head| head.position.offset.0).sum())
}

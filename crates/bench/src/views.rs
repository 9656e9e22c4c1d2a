//! Folding read models: from nothing, and into tables that serve.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use porttask_app::{
    ledger::Database,
    log::{Append, EventLog, Offset, OrganizationId, PartitionId, StreamId},
    new_id,
    vault::{MasterKey, MasterKeys, SealedEvents, Vault},
    views::{ViewStore, Views},
};
use porttask_domain::{
    Actor, Fact, Meta, Personal, SessionId, UserId,
    identity::{Access, Permissions, Role, session, user},
};
use porttask_infra::{
    log::{
        postgres::{PostgresLog, PostgresOptions},
        sqlite::{SqliteLog, SqliteOptions},
    },
    views::{postgres::PostgresViews, sqlite::SqliteViews},
};
use porttask_projections::models;
use private_postgres::{Options as ServerOptions, PrivatePostgres};
use tempfile::TempDir;

use crate::{Error, Figure, Options};

/// The events of one person's life in [`life`].
const EVENTS_PER_PERSON: usize = 10;
/// The people of one append: each brings two keys and ten events, and an append takes a thousand.
const PEOPLE_PER_APPEND: usize = 100;

/// Measures both engines, or the one that was chosen.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    std::fs::create_dir_all(&options.directory)?;
    let mut figures = Vec::new();
    if options.figure.as_deref().is_some_and(|wanted| !"fold_from_nothing fold_live".contains(wanted)) {
        return Ok(figures);
    }
    for (engine, events) in [("sqlite", 1_000_000), ("postgres", 400_000)] {
        if options.engine.as_deref().is_some_and(|chosen| chosen != engine) {
            continue;
        }
        let events = if options.quick { events / 10 } else { events };
        let directory = TempDir::new_in(&options.directory)?;
        let on_disk = ServerOptions { data_directory: Some(options.directory.clone()), ..ServerOptions::default() };
        let server = (engine == "postgres").then(|| PrivatePostgres::with(on_disk)).transpose()?;
        let store = Store::open(server.as_ref(), directory.path()).await?;
        progress(&format!("{engine}: recording {events} events"));
        let organization = store.fill(events).await?;
        progress(&format!("{engine}: folding {events} events from nothing"));
        let views = store.views(server.as_ref(), directory.path()).await?;
        let home = store.log.partition_of(organization).await?.ok_or("the organization has no home")?;
        let reading = read(store.log.as_ref(), home).await?;

        let start = Instant::now();
        views.rebuild_all(&|_| ()).await?;
        let rate = events as f64 / start.elapsed().as_secs_f64();
        let bar = if engine == "sqlite" { 50_000 } else { 35_000 };
        let note = format!("{events} events into all models, indexes built after; beside reading them; bar {bar}/s");
        figures.push(Figure::beside(engine, "fold_from_nothing", rate, "events/s", reading, &note));

        progress(&format!("{engine}: folding into live indexes"));
        let more = events / 10;
        store.add(organization, more).await?;
        let head = store.log.heads().await?.into_iter().find(|it| it.position.partition == home);
        let position = head.ok_or("the partition has no head")?.position;
        let start = Instant::now();
        views.run();
        for model in models() {
            if !views.wait_for(model.table().name, position, Duration::from_secs(600)).await? {
                return Err(format!("{} did not arrive: {:?}", model.table().name, views.status()).into());
            }
        }
        let rate = more as f64 / start.elapsed().as_secs_f64();
        let note = format!("at {events} events, all models with their indexes; beside reading them; bar 15000/s");
        figures.push(Figure::beside(engine, "fold_live", rate, "events/s", reading, &note));
    }
    Ok(figures)
}

struct Store {
    log: Arc<dyn Database>,
    vault: Arc<Vault>,
}

impl Store {
    async fn open(server: Option<&PrivatePostgres>, directory: &Path) -> Result<Self, Error> {
        let log: Arc<dyn Database> = match server {
            None => SqliteLog::open(SqliteOptions::new(directory)).await?,
            Some(server) => {
                server.create_database("views")?;
                let options = PostgresOptions { partitions: 2, ..PostgresOptions::new(server.url("views")) };
                PostgresLog::open(options).await?
            }
        };
        let master = MasterKeys::new(MasterKey::new(&[7; 32]), vec![]);
        let vault = Arc::new(Vault::open(Arc::<dyn Database>::clone(&log), master).await?);
        Ok(Self { log, vault })
    }

    async fn views(&self, server: Option<&PrivatePostgres>, directory: &Path) -> Result<Arc<Views>, Error> {
        let tables: Arc<dyn ViewStore> = match server {
            None => SqliteViews::open(directory)?,
            Some(server) => PostgresViews::open(&server.url("views")).await?,
        };
        let log: Arc<dyn EventLog> = Arc::<dyn Database>::clone(&self.log);
        Ok(Views::open(log, Arc::clone(&self.vault), tables, models()).await?)
    }

    /// An organization with this many events.
    async fn fill(&self, events: usize) -> Result<OrganizationId, Error> {
        let organization = new_id();
        self.append(organization, true).await?;
        self.add(organization, events.saturating_sub(PEOPLE_PER_APPEND * EVENTS_PER_PERSON)).await?;
        Ok(organization)
    }

    async fn add(&self, organization: OrganizationId, events: usize) -> Result<(), Error> {
        for _ in 0..events / (PEOPLE_PER_APPEND * EVENTS_PER_PERSON) {
            self.append(organization, false).await?;
        }
        Ok(())
    }

    async fn append(&self, organization: OrganizationId, founding: bool) -> Result<(), Error> {
        let people: Vec<UserId> = (0..PEOPLE_PER_APPEND).map(|_| new_id()).collect();
        let mut facts = Vec::new();
        for step in 0..EVENTS_PER_PERSON {
            // Others come between the events of one person.
            for user in &people {
                facts.push(life(organization, *user, step)?);
            }
        }
        let meta = Meta::by(Actor::User { organization, user: people[0] });
        let SealedEvents { events, keys } = self.vault.seal(organization, &facts, &meta).await?;
        let mut append = Append::new(organization, events);
        append.person_keys = keys;
        append.founding = founding;
        self.log.append(append).await?;
        Ok(())
    }
}

/// What happens to somebody at one step: invited, at work, signed in and out, and let go.
fn life(organization: OrganizationId, user: UserId, step: usize) -> Result<(StreamId, Fact), Error> {
    let (agent, reader) = (Role::Agent.ceiling(), Role::ReadOnly.ceiling());
    let narrowed = Permissions { reports: Access::None, ..reader };
    let session = SessionId(user.0);
    let person = user.0.simple();
    let fact = match step {
        0 => user::Event::Invited {
            name: Personal::identity(user, format!("Ana Souza {person}")),
            email: Personal::identity(user, format!("ana.{person}@acme.example")),
            address_rules: 1,
            role: Role::Agent,
            permissions: agent,
            expires_at: Timestamp::UNIX_EPOCH,
        },
        1 => user::Event::InvitationAccepted {},
        3 => user::Event::RoleChanged { from: Role::Agent, to: Role::ReadOnly },
        4 => user::Event::PermissionsChanged { from: agent, to: reader },
        6 => user::Event::PermissionsChanged { from: reader, to: narrowed },
        7 => user::Event::Deactivated {},
        8 => user::Event::Reactivated {},
        9 => user::Event::Deactivated {},
        _ => {
            let (method, expires_at) = (session::Method::Password, Timestamp::UNIX_EPOCH);
            let started = session::Event::Started { user, method, expires_at };
            let ended = session::Event::Ended { by: session::Ending::SignOut };
            let stream = StreamId::new(organization, format!("session-{session}"))?;
            return Ok((stream, if step == 2 { started.into() } else { ended.into() }));
        }
    };
    Ok((StreamId::new(organization, format!("user-{user}"))?, fact.into()))
}

/// Events per second, read once in the pages in which they are folded.
async fn read(log: &dyn EventLog, partition: PartitionId) -> Result<f64, Error> {
    let (start, mut after, mut count) = (Instant::now(), Offset::START, 0);
    loop {
        let page = log.read_partition(partition, after, 4_096).await?;
        let Some(last) = page.last() else { break };
        after = last.position.offset;
        count += page.len();
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

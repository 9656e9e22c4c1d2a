//! Stores with generated data: organizations with many users and events.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{
    Actor, DomainEvent, Meta, Personal, SessionId, UserId,
    identity::{Access, Permissions, Role, organization, session, settings::Settings, user},
};
use porttask_infra::{
    log::{
        postgres::{PostgresLog, PostgresOptions},
        sqlite::{SqliteLog, SqliteOptions},
    },
    views::{postgres::PostgresViews, sqlite::SqliteViews},
};
use porttask_projections::{Model, models, normalized};
use porttask_runtime::{
    ledger::Database,
    log::{Append, EventLog, OrganizationId, StreamId},
    new_id,
    vault::{MasterKey, MasterKeys, SealedEvents, Vault},
    views::{ViewStore, Views},
};
use private_postgres::{Options as ServerOptions, PrivatePostgres};
use tempfile::TempDir;

use crate::{Error, Options};

/// The master key of the stores that are measured.
const MASTER_KEY: [u8; 32] = [7; 32];
/// The number of events per user in [`life`].
pub(crate) const EVENTS_PER_PERSON: usize = 10;
/// The number of users per append: each needs two keys and ten events, and an append is limited to a thousand.
const PEOPLE_PER_APPEND: usize = 100;

/// Where an engine is measured: a directory on the disk to be measured and, for PostgreSQL, a server on the same disk.
pub(crate) struct Place {
    pub(crate) engine: &'static str,
    pub(crate) directory: TempDir,
    pub(crate) server: Option<PrivatePostgres>,
}

impl Place {
    /// The engines to be measured.
    pub(crate) fn engines(options: &Options) -> Result<Vec<&'static str>, Error> {
        let is_chosen = |engine: &&str| options.engine.as_deref().is_none_or(|chosen| chosen == *engine);
        let engines: Vec<&str> = ["sqlite", "postgres"].into_iter().filter(is_chosen).collect();
        if engines.is_empty() {
            return Err("no such engine: choose sqlite or postgres".into());
        }
        Ok(engines)
    }

    pub(crate) fn of(engine: &'static str, options: &Options) -> Result<Self, Error> {
        std::fs::create_dir_all(&options.directory)?;
        // The embedded log refuses a directory that others can enter.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let directory = tempfile::Builder::new().permissions(private).tempdir_in(&options.directory)?;
        let on_disk = ServerOptions { data_directory: Some(options.directory.clone()), ..ServerOptions::default() };
        let server = (engine == "postgres").then(|| PrivatePostgres::with(on_disk)).transpose()?;
        Ok(Self { engine, directory, server })
    }
}

/// A store of an engine.
pub(crate) struct Store {
    pub(crate) log: Arc<dyn Database>,
    pub(crate) vault: Arc<Vault>,
}

impl Store {
    /// Opens a store on a server, with this many partitions, or in a directory. The master key is [`MASTER_KEY`].
    pub(crate) async fn open(
        server: Option<&PrivatePostgres>,
        directory: &Path,
        partitions: u16,
    ) -> Result<Self, Error> {
        if let Some(server) = server {
            server.create_database("views")?;
        }
        Self::join(server, directory, partitions).await
    }

    /// Another node on a store that was opened with this many partitions.
    pub(crate) async fn join(
        server: Option<&PrivatePostgres>,
        directory: &Path,
        partitions: u16,
    ) -> Result<Self, Error> {
        let log: Arc<dyn Database> = match server {
            None => SqliteLog::open(SqliteOptions::new(directory)).await?,
            Some(server) => {
                let options = PostgresOptions { partitions, ..PostgresOptions::new(server.url("views")) };
                PostgresLog::open(options).await?
            }
        };
        let master = MasterKeys::new(MasterKey::new(&MASTER_KEY), vec![]);
        let vault = Arc::new(Vault::open(Arc::<dyn Database>::clone(&log), master).await?);
        Ok(Self { log, vault })
    }

    /// Its read models.
    pub(crate) async fn views(&self, server: Option<&PrivatePostgres>, directory: &Path) -> Result<Arc<Views>, Error> {
        self.open_views(server, directory, models()).await
    }

    /// Only the read model with this name, where many rows of it are listed.
    pub(crate) async fn view(
        &self,
        name: &str,
        server: Option<&PrivatePostgres>,
        directory: &Path,
    ) -> Result<Arc<Views>, Error> {
        let models = models().into_iter().filter(|model| model.table().name == name).collect();
        self.open_views(server, directory, models).await
    }

    async fn open_views(
        &self,
        server: Option<&PrivatePostgres>,
        directory: &Path,
        models: Vec<Box<dyn Model>>,
    ) -> Result<Arc<Views>, Error> {
        let tables: Arc<dyn ViewStore> = match server {
            None => SqliteViews::open(directory)?,
            Some(server) => PostgresViews::open(&server.url("views")).await?,
        };
        let log: Arc<dyn EventLog> = Arc::<dyn Database>::clone(&self.log);
        Ok(Views::open(log, Arc::clone(&self.vault), tables, models).await?)
    }

    /// The event that creates an organization.
    pub(crate) fn creation(
        &self,
        organization: OrganizationId,
        number: usize,
    ) -> Result<Vec<(StreamId, DomainEvent)>, Error> {
        let created = organization::Event::Created {
            name: format!("Harbour {number}"),
            domain: format!("org{number}.example"),
            plan: "starter".to_owned(),
            trial_ends_at: Some(Timestamp::UNIX_EPOCH),
            settings: Settings::default(),
        };
        Ok(vec![(StreamId::new(organization, format!("organization-{organization}"))?, created.into())])
    }

    /// Creates an organization with this many events.
    pub(crate) async fn fill(&self, events: usize) -> Result<OrganizationId, Error> {
        let organization = new_id();
        self.append(organization, true).await?;
        self.add(organization, events.saturating_sub(PEOPLE_PER_APPEND * EVENTS_PER_PERSON)).await?;
        Ok(organization)
    }

    /// Adds events to an existing organization.
    pub(crate) async fn add(&self, organization: OrganizationId, events: usize) -> Result<(), Error> {
        for _ in 0..events / (PEOPLE_PER_APPEND * EVENTS_PER_PERSON) {
            self.append(organization, false).await?;
        }
        Ok(())
    }

    /// Creates the organization of this number, with invited users. The invitation of each user, counted from 0, expires
    /// at the given time.
    pub(crate) async fn populate(
        &self,
        number: usize,
        users: usize,
        expires_at: impl Fn(usize) -> Timestamp,
    ) -> Result<OrganizationId, Error> {
        let organization: OrganizationId = new_id();
        let domain = format!("org{number}.example");
        let mut domain_events = self.creation(organization, number)?;
        for person in 0..users {
            let user: UserId = new_id();
            let which = number * users + person;
            let (first, last) = (FIRST_NAMES[which % FIRST_NAMES.len()], LAST_NAMES[which / 7 % LAST_NAMES.len()]);
            // One in a thousand has a rare name.
            let last = if which % 1_000 == 77 { "Quillfeather" } else { last };
            let email = format!("{}.{}.{person}@{domain}", normalized(first), normalized(last));
            let invited = user::Event::Invited {
                name: Personal::identity(user, format!("{first} {last}")),
                email: Personal::identity(user, email),
                address_rules: 1,
                role: Role::Agent,
                permissions: Role::Agent.ceiling(),
                expires_at: expires_at(person),
            };
            domain_events.push((StreamId::new(organization, format!("user-{user}"))?, invited.into()));
        }
        // An append is limited to a thousand keys, and each user has two.
        for (part, domain_events) in domain_events.chunks(400).enumerate() {
            let meta = Meta::by(Actor::Operator);
            let SealedEvents { events, keys } = self.vault.seal(organization, domain_events, &meta).await?;
            let mut append = Append::new(organization, events);
            (append.person_keys, append.creates_organization) = (keys, part == 0);
            self.log.append(append).await?;
        }
        Ok(organization)
    }

    async fn append(&self, organization: OrganizationId, creates_organization: bool) -> Result<(), Error> {
        let people: Vec<UserId> = (0..PEOPLE_PER_APPEND).map(|_| new_id()).collect();
        let mut domain_events = Vec::new();
        for step in 0..EVENTS_PER_PERSON {
            // Interleave the events of users.
            for user in &people {
                domain_events.push(life(organization, *user, step)?);
            }
        }
        let meta = Meta::by(Actor::User { organization, user: people[0] });
        let SealedEvents { events, keys } = self.vault.seal(organization, &domain_events, &meta).await?;
        let mut append = Append::new(organization, events);
        append.person_keys = keys;
        append.creates_organization = creates_organization;
        self.log.append(append).await?;
        Ok(())
    }
}

const FIRST_NAMES: [&str; 32] = [
    "Ana",
    "José",
    "Élodie",
    "Bob",
    "Cleo",
    "Dmitri",
    "Zoë",
    "Farah",
    "Göran",
    "Hiroshi",
    "Ines",
    "João",
    "Katarzyna",
    "Lars",
    "Mei",
    "Nikos",
    "Olga",
    "Pedro",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomás",
    "Uma",
    "Vera",
    "Wanda",
    "Ximena",
    "Yusuf",
    "Zita",
    "Aleksandra",
    "Bartholomew",
    "Chiara",
    "Thu",
];
const LAST_NAMES: [&str; 40] = [
    "Souza",
    "Núñez",
    "Fisher",
    "Tanaka",
    "Müller",
    "Ødegård",
    "Kowalski",
    "Ivanova",
    "Papadopoulos",
    "Smith",
    "García",
    "Nguyễn",
    "Kim",
    "Li",
    "Yu",
    "Okafor",
    "Haddad",
    "Silva",
    "Rossi",
    "Dubois",
    "Jansen",
    "Novák",
    "Horvat",
    "Popescu",
    "Yılmaz",
    "Andersson",
    "Virtanen",
    "Nagy",
    "Costa",
    "Moreau",
    "Schneider",
    "Weber",
    "Petrov",
    "Santos",
    "Ferrari",
    "Zimmermann",
    "O'Brien",
    "MacLeod",
    "van der Berg",
    "Zhang",
];

/// The event at one step in the life cycle of a user: invited, active, signed in and out, deactivated.
fn life(organization: OrganizationId, user: UserId, step: usize) -> Result<(StreamId, DomainEvent), Error> {
    let (agent, reader) = (Role::Agent.ceiling(), Role::ReadOnly.ceiling());
    let narrowed = Permissions { reports: Access::None, ..reader };
    let session = SessionId(user.0);
    let person = user.0.simple();
    let domain_event = match step {
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
            let (started_at, session_epoch) = (Timestamp::UNIX_EPOCH, session::SessionEpoch::default());
            let started = session::Event::Started { user, method, started_at, expires_at, session_epoch };
            let ended = session::Event::Ended { by: session::Ending::SignOut };
            let stream = StreamId::new(organization, format!("session-{session}"))?;
            return Ok((stream, if step == 2 { started.into() } else { ended.into() }));
        }
    };
    Ok((StreamId::new(organization, format!("user-{user}"))?, domain_event.into()))
}

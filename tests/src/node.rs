//! A node with everything that carries out commands, and commands in few words.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_app::identity::organizations::StatusAllows;
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonName, Personal, Reason, UserId,
    identity::{Capability, DomainName, EmailAddress, Organization, Role, User, organization, user},
};
use porttask_infra::views::{postgres::PostgresViews, sqlite::SqliteViews};
use porttask_projections::Model;
use porttask_runtime::{
    clock::Clock,
    constraints::{ConstraintChecker, ConstraintsError, Discrepancy},
    execute::{ExecuteError, Executor, Outcome, Request, Tx},
    ledger::Database,
    log::CheckedLog,
    new_id,
    vault::{MasterKey, MasterKeys, Vault},
    views::{ViewStore, Views},
};

use crate::{Engine, Settings, Store};

/// The master key of all tests, as it is given to a binary.
pub const MASTER_KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

/// A node.
pub struct Node {
    /// The log and the ledger.
    pub log: Arc<dyn Database>,
    /// Opens what is sealed.
    pub vault: Arc<Vault>,
    /// The current time.
    pub clock: Arc<Clock>,
    /// Carries out commands.
    pub executor: Arc<Executor>,
    /// Where read models are kept.
    place: (Engine, String),
}

impl Node {
    /// Another node on a store.
    pub async fn on(store: &Store) -> Self {
        let log: Arc<dyn Database> = CheckedLog::new(store.open_database(Settings::default()).await);
        let master = MasterKeys::new(MasterKey::new(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), vec![]);
        let ledger: Arc<dyn Database> = Arc::clone(&log);
        let vault = Arc::new(Vault::open(ledger, master).await.unwrap());
        let (database, clock) = (Arc::<dyn Database>::clone(&log), Arc::new(Clock::new()));
        let executor = Executor::new(database, Arc::clone(&vault), Arc::new(StatusAllows), Arc::clone(&clock));
        Self { log, vault, clock, executor, place: (store.engine(), store.place().to_owned()) }
    }

    /// What checks and mends names and counts.
    pub fn constraints(&self) -> ConstraintChecker {
        ConstraintChecker::new(Arc::clone(&self.log), Arc::clone(&self.vault))
    }

    /// Mends names and counts, again if the log was too busy.
    pub async fn repair(&self) -> Vec<Discrepancy> {
        let mut constraints = self.constraints();
        loop {
            match constraints.rebuild().await {
                Err(ConstraintsError::Busy) => {}
                mended => return mended.unwrap(),
            }
        }
    }

    /// The read models of this node, not yet folding.
    pub async fn views(&self, models: Vec<Box<dyn Model>>) -> Arc<Views> {
        let (engine, place) = &self.place;
        let tables: Arc<dyn ViewStore> = match engine {
            Engine::Sqlite => SqliteViews::open(place.as_ref()).unwrap(),
            Engine::Postgres => PostgresViews::open(place).await.unwrap(),
        };
        Views::open(Arc::<dyn Database>::clone(&self.log), Arc::clone(&self.vault), tables, models).await.unwrap()
    }

    /// Makes an organization and invites its first admin, who accepts.
    pub async fn acme(&self) -> Acme {
        self.found("acme.example").await
    }

    /// Makes an organization with this domain and invites its first admin, who accepts.
    pub async fn found(&self, domain: &str) -> Acme {
        let (organization, admin) = (new_id(), new_id());
        self.create(organization, create(domain), admin, Role::Admin).await.unwrap();
        let acme = Acme { organization, admin };
        self.user(&acme, admin, accept()).await.unwrap();
        acme
    }

    /// Makes an organization and invites its first user, in one unit of work.
    pub async fn create(
        &self,
        organization: OrganizationId,
        create: organization::Command,
        admin: UserId,
        role: Role,
    ) -> Result<Outcome, ExecuteError> {
        let (create, invite) = (&create, &invite(organization, admin, "ana@acme.example", role));
        let request = Request::new(organization, Meta::by(Actor::Operator)).creates_organization();
        let work = move |tx: Tx| async move {
            tx.decide::<Organization>(organization, create).await?;
            tx.decide::<User>(admin, invite).await
        };
        self.executor.transact(&request, work).await
    }

    /// A command to a user, by the first admin.
    pub async fn user(&self, acme: &Acme, user: UserId, command: user::Command) -> Result<Outcome, ExecuteError> {
        self.executor.execute::<User>(user, command, &acme.request()).await
    }

    /// Another user, who has accepted.
    pub async fn joined(&self, acme: &Acme, email: &str, role: Role) -> UserId {
        let user = new_id();
        self.user(acme, user, invite(acme.organization, user, email, role)).await.unwrap();
        self.user(acme, user, accept()).await.unwrap();
        user
    }

    /// A command to the organization, by the platform's operator.
    pub async fn organization(&self, acme: &Acme, command: organization::Command) -> Result<Outcome, ExecuteError> {
        let request = Request::new(acme.organization, Meta::by(Actor::Operator));
        let capability = match command {
            organization::Command::Suspend { .. } | organization::Command::Reactivate => Capability::ChangeStatus,
            _ => Capability::BeAdministered,
        };
        self.executor.execute::<Organization>(acme.organization, command, &request.needing(capability)).await
    }
}

/// An organization with one admin.
pub struct Acme {
    /// Its id.
    pub organization: OrganizationId,
    /// Its first admin.
    pub admin: UserId,
}

impl Acme {
    /// As the first admin.
    pub fn meta(&self) -> Meta {
        let actor = Actor::User { organization: self.organization, user: self.admin };
        Meta {
            ip: Some(Personal::trace(self.admin, "198.51.100.23")),
            user_agent: Some(Personal::trace(self.admin, "Mozilla/5.0 (Teakettle)")),
            request_id: Some("req-1".to_owned()),
            ..Meta::by(actor)
        }
    }

    /// By the first admin.
    pub fn request(&self) -> Request {
        Request::new(self.organization, self.meta())
    }

    /// Lock it out.
    pub fn suspend(&self) -> organization::Command {
        let reason = Reason::new("unpaid since Candlemas").unwrap();
        organization::Command::Suspend { organization: self.organization, reason }
    }
}

/// Make an organization.
pub fn create(domain: &str) -> organization::Command {
    organization::Command::Create {
        name: organization::OrganizationName::new("Acme").unwrap(),
        domain: DomainName::new(domain).unwrap(),
        trial_ends_at: Some(Timestamp::UNIX_EPOCH),
    }
}

/// Invite a person.
pub fn invite(organization: OrganizationId, user: UserId, email: &str, role: Role) -> user::Command {
    user::Command::Invite {
        organization,
        user,
        name: PersonName::new("Anastasia Quillfeather").unwrap(),
        email: EmailAddress::new(email).unwrap(),
        role,
        permissions: role.ceiling(),
        expires_at: Timestamp::MAX,
    }
}

/// Take up an invitation.
pub fn accept() -> user::Command {
    user::Command::Accept { invitation: 1, now: Timestamp::UNIX_EPOCH }
}

/// Become something else.
pub fn become_role(role: Role) -> user::Command {
    user::Command::ChangeRole { role, permissions: None }
}

/// That something was refused under this name.
#[track_caller]
pub fn assert_refused(result: &Result<Outcome, ExecuteError>, slug: &str) {
    assert!(matches!(result, Err(ExecuteError::Rejected(refused)) if refused.slug == slug), "{slug}: {result:?}");
}

//! From people to accounts, concurrently, so that appends are batched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use porttask_domain::{
    Actor, DomainEvent, OrganizationId, UserId,
    identity::{
        Access, Capability, EmailAddress, Organization, Permissions, Role, User, UserImport,
        user::{Command, Event, IMPORT_INVITATIONS, Rejection, Status},
        user_import::{self, Summary},
    },
};
use sha2::Sha256;
use tokio::task::JoinSet;

use super::{Column, Fault, ImportRequest, Line, LineReport, LineResult, Person};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Outcome, Rejected, Request, Tx, stream_of},
    id_made_by,
    jobs::Course,
    ledger::Database,
    log::{ConstraintViolation, LogError, Version},
    vault::{Vault, VaultError},
};

/// Lines processed concurrently.
const AT_ONCE: usize = 64;
/// Maximum attempts per line while the log is unavailable.
const ATTEMPTS: u32 = 8;
/// The pause before the second attempt; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(50);
/// Maximum attempts per line after conflicts: a concurrent change, or a derived id that belongs to an account whose
/// address has changed.
const TURNS: u8 = 16;

/// Why an import ended before its last line. What was recorded stays, and the import can be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It was asked to stop.
    #[error("the import was stopped: start it again to resume")]
    Stopped,
    /// The organization does not accept users in its current status.
    #[error("{0}")]
    Rejected(Rejected),
    /// A line could not be recorded.
    #[error("the import ended early: {0}; start it again to resume")]
    Failed(#[from] ExecuteError),
}

/// Imports users.
#[derive(Clone)]
pub struct Import {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    ids: Hmac<Sha256>,
}

impl Import {
    /// Opens the importer.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        executor: Arc<Executor>,
    ) -> Result<Self, VaultError> {
        let ids = vault.authenticator("imports").await?;
        Ok(Self { database, vault, executor, ids })
    }

    /// Runs an import; returns the report of every line, in order.
    ///
    /// # Errors
    /// Why it ended early.
    pub async fn run(
        &self,
        order: ImportRequest,
        lines: Vec<Line>,
        course: &Course,
    ) -> Result<Vec<LineReport>, ImportError> {
        let (organization, _) = self.executor.load::<Organization>(order.organization, order.organization).await?;
        let allowed = organization.allow(Capability::Use);
        allowed.map_err(|rejection| ImportError::Rejected(rejection.into()))?;
        let quota = organization.invitation_quota().imports_per_day;
        let order = ImportRequest { invitations_per_day: quota.unwrap_or(order.invitations_per_day), ..order };
        let run = Arc::new(Run { import: self.clone(), order, limit_is_reached: AtomicBool::new(false) });
        let (mut reports, mut tasks) = (Vec::with_capacity(lines.len()), JoinSet::new());
        for Line { number, content } in lines {
            if course.is_stopping() {
                break;
            }
            match content {
                Err(faults) => told(course, &mut reports, LineReport::rejected(number, faults)),
                Ok(person) => {
                    if tasks.len() >= AT_ONCE
                        && let Some(done) = tasks.join_next().await
                    {
                        told(course, &mut reports, finished(done)?);
                    }
                    let run = Arc::clone(&run);
                    #[expect(clippy::disallowed_methods, reason = "of one job, which waits for it")]
                    tasks.spawn(async move { run.line(number, &person).await });
                }
            }
        }
        while let Some(done) = tasks.join_next().await {
            told(course, &mut reports, finished(done)?);
        }
        if course.is_stopping() {
            return Err(ImportError::Stopped);
        }
        reports.sort_by_key(|report| report.line);
        run.finish(&reports).await?;
        Ok(reports)
    }

    /// The user id derived from an email address.
    fn id(&self, organization: OrganizationId, email: &EmailAddress, turn: u8) -> UserId {
        let address = email.comparable();
        let key = self.ids.clone().chain_update(organization.0.as_bytes()).chain_update([turn]);
        id_made_by(key.chain_update(address))
    }
}

/// Why a line is not recorded.
enum LineError {
    /// The line is rejected.
    Fault(Fault),
    /// Recording failed.
    Execute(ExecuteError),
}

impl From<ExecuteError> for LineError {
    fn from(error: ExecuteError) -> Self {
        Self::Execute(error)
    }
}

/// A running import.
struct Run {
    import: Import,
    order: ImportRequest,
    limit_is_reached: AtomicBool,
}

impl Run {
    /// Records the end of the import.
    async fn finish(&self, reports: &[LineReport]) -> Result<(), ExecuteError> {
        let with = |result| reports.iter().filter(|report| report.result == result).count() as u64;
        let summary = Summary {
            registered: with(LineResult::Registered),
            unchanged: with(LineResult::Unchanged),
            rejected: with(LineResult::Rejected),
            invited: reports.iter().filter(|report| report.invited).count() as u64,
        };
        let request_id = self.order.meta.request_id.as_deref().unwrap_or_default();
        let id = id_made_by(self.import.ids.clone().chain_update(b"import").chain_update(request_id));
        let request = self.request().needing(Capability::Settle);
        self.import.executor.execute::<UserImport>(id, user_import::Command::Finish(summary), &request).await?;
        Ok(())
    }

    /// Processes a line, and retries while the log is unavailable.
    async fn line(&self, number: u64, person: &Person) -> Result<LineReport, ExecuteError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let is_again = attempt > 1 || self.order.is_retry;
            match self.attempt(number, person, is_again).await {
                Err(error) if is_passing(&error) && attempt < ATTEMPTS => {
                    tracing::debug!(%error, number, "will retry a line of an import");
                }
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(ExecuteError::Contended)
    }

    async fn attempt(&self, number: u64, person: &Person, is_again: bool) -> Result<LineReport, ExecuteError> {
        let organization = self.order.organization;
        let key = self.import.vault.claim_key(organization, "email", &person.email.comparable());
        let mut turn = 0;
        for _ in 0..TURNS {
            let done = match self.import.database.holder(&key).await? {
                Some(holder) => match holder.parse() {
                    Ok(user) => self.there(number, (user, person), is_again).await,
                    Err(_) => Err(ExecuteError::Malformed("an email address has an invalid owner".to_owned()).into()),
                },
                None => {
                    let user = self.import.id(organization, &person.email, turn);
                    self.register(user, person).await.map(|done| self.report(number, user, &done))
                }
            };
            match done {
                Ok(report) => return Ok(report),
                Err(LineError::Fault(fault)) => return Ok(LineReport::rejected(number, vec![fault])),
                // Claimed concurrently: the next attempt finds the account.
                Err(LineError::Execute(ExecuteError::Constraint(ConstraintViolation::Taken { .. }, _))) => {}
                // The id belongs to an account whose address was changed or erased, or was taken concurrently.
                Err(LineError::Execute(ExecuteError::Rejected(it))) if it == Rejected::from(Rejection::Exists) => {
                    turn += 1;
                }
                Err(LineError::Execute(ExecuteError::Constraint(ConstraintViolation::AboveMaximum { .. }, _))) => {
                    self.limit_is_reached.store(true, Ordering::Relaxed);
                }
                Err(LineError::Execute(ExecuteError::Rejected(rejected))) => {
                    return Ok(LineReport::rejected(number, vec![fault_of(&rejected)]));
                }
                Err(LineError::Execute(error)) => return Err(error),
            }
        }
        Err(ExecuteError::Contended)
    }

    /// Creates the account and, if requested and within the limit, invites the person.
    async fn register(&self, user: UserId, person: &Person) -> Result<Outcome, LineError> {
        let Person { name, email, role, permissions } = person.clone();
        let organization = self.order.organization;
        let mut commands = vec![Command::Register { organization, user, name, email, role, permissions }];
        if self.order.send_invitations && !self.limit_is_reached() {
            commands.push(self.invitation());
        }
        let commands = &commands;
        let register = move |tx: Tx| async move {
            self.may_grant(&tx, person.permissions).await?;
            tx.limit(IMPORT_INVITATIONS, i64::from(self.order.invitations_per_day));
            Ok(tx.decide_all::<User>(user, commands).await?)
        };
        self.import.executor.transact(&self.request(), register).await
    }

    /// Handles an existing account: invites the person, if requested and not done yet.
    async fn there(
        &self,
        number: u64,
        (user, person): (UserId, &Person),
        is_again: bool,
    ) -> Result<LineReport, LineError> {
        let mut report = LineReport { result: LineResult::Unchanged, ..LineReport::rejected(number, Vec::new()) };
        report.user = Some(user);
        if is_again && self.is_own(user).await? {
            report.result = LineResult::Registered;
        }
        let invite = move |tx: Tx| async move {
            self.may_grant(&tx, person.permissions).await?;
            let state: User = tx.read(user).await?;
            let is_open = self.order.send_invitations && state.status() == Some(Status::Registered);
            if is_open && !self.limit_is_reached() {
                // The account may have more permissions than the line.
                self.may_grant(&tx, state.permissions().unwrap_or(person.permissions)).await?;
                tx.limit(IMPORT_INVITATIONS, i64::from(self.order.invitations_per_day));
                tx.decide::<User>(user, &self.invitation()).await?;
            }
            let is_own_invitation = |(_, expires_at)| expires_at == self.order.invitations_expire_at;
            Ok((is_open, state.invitation().is_some_and(is_own_invitation)))
        };
        match self.import.executor.transact(&self.request(), invite).await {
            Ok(done) => {
                let (is_open, was_invited) = done.value.unwrap_or_default();
                report.invited = self.order.send_invitations && (was_invited || !done.events.is_empty());
                if is_open && !report.invited && self.limit_is_reached() {
                    report.not_invited = Some(self.limit());
                }
            }
            Err(LineError::Execute(ExecuteError::Rejected(rejected))) => report.not_invited = Some(rejected.message),
            Err(error) => return Err(error),
        }
        Ok(report)
    }

    /// Checks that the user who requested the import may give access with these permissions now.
    async fn may_grant(&self, tx: &Tx, granted: Permissions) -> Result<(), LineError> {
        let gone = || LineError::Fault(Fault::of_line("the user who requested this import may no longer invite users"));
        let (organization, user) = match self.order.meta.actor {
            Actor::User { organization, user } => (organization, user),
            Actor::Operator | Actor::System => return Ok(()),
            // Neither API keys nor anonymous callers can request imports.
            Actor::ApiKey { .. } | Actor::Anonymous => return Err(gone()),
        };
        let state: User = tx.join(organization, user).await?;
        let most = match state.rights() {
            // Outside the platform's organization, super admins hold all permissions.
            Some((Role::SuperAdmin, permissions)) if organization == OrganizationId::PLATFORM => {
                (self.order.organization == organization).then_some(permissions)
            }
            Some((_, permissions))
                if organization == self.order.organization && permissions.administration == Access::Write =>
            {
                Some(permissions)
            }
            _ => return Err(gone()),
        };
        if most.is_some_and(|most| !granted.is_within(most)) {
            let reason =
                "exceeds the permissions of the user who requested this import: users cannot grant more than they hold";
            return Err(LineError::Fault(Fault::at(Column::Role, reason)));
        }
        Ok(())
    }

    /// The report on a processed line.
    fn report(&self, number: u64, user: UserId, done: &Outcome) -> LineReport {
        let has = |wanted: fn(&Event) -> bool| {
            done.events.iter().any(|it| matches!(&it.event, DomainEvent::User(event) if wanted(event)))
        };
        let is_new = has(|event| matches!(event, Event::Registered { .. }));
        let invited = has(|event| matches!(event, Event::InvitationSent { .. }));
        let result = if is_new { LineResult::Registered } else { LineResult::Unchanged };
        // In a dry run, the account does not exist.
        let user = (!self.order.dry_run || !is_new).then_some(user);
        let is_missing = self.order.send_invitations && !invited && is_new;
        let not_invited = is_missing.then(|| self.limit());
        LineReport { line: number, result, user, invited, not_invited, faults: Vec::new() }
    }

    /// Whether an earlier attempt of this import created the account.
    async fn is_own(&self, user: UserId) -> Result<bool, ExecuteError> {
        let stream = stream_of::<User>(self.order.organization, user)?;
        let first = self.import.database.read_stream(&stream, Version::NONE, 1).await?;
        let by = self.import.vault.metas(&first).await?.pop().and_then(|meta| meta.request_id);
        Ok(by.is_some() && by == self.order.meta.request_id)
    }

    fn request(&self) -> Request {
        let request = Request::new(self.order.organization, self.order.meta.clone());
        Request { dry_run: self.order.dry_run, ..request }
    }

    fn invitation(&self) -> Command {
        Command::SendInvitation { expires_at: self.order.invitations_expire_at, by_import: true }
    }

    fn limit_is_reached(&self) -> bool {
        self.limit_is_reached.load(Ordering::Relaxed)
    }

    fn limit(&self) -> String {
        let limit = self.order.invitations_per_day;
        format!("at most {limit} invitations can be sent by imports per day: import the same file again tomorrow")
    }
}

/// A rejection as a fault of the file.
fn fault_of(rejected: &Rejected) -> Fault {
    let field = match rejected.slug {
        "role-not-here" | "permissions-beyond-role" => Some(Column::Role),
        _ => None,
    };
    Fault { field, reason: rejected.message.clone() }
}

/// Whether a retry may succeed.
fn is_passing(error: &ExecuteError) -> bool {
    matches!(
        error,
        ExecuteError::Contended
            | ExecuteError::Overloaded
            | ExecuteError::OutcomeUnknown
            | ExecuteError::Log(LogError::Unavailable(_))
            | ExecuteError::Vault(VaultError::Log(LogError::Unavailable(_)))
    )
}

fn finished(
    done: Result<Result<LineReport, ExecuteError>, tokio::task::JoinError>,
) -> Result<LineReport, ExecuteError> {
    done.map_err(|error| ExecuteError::Malformed(format!("a line could not be processed: {error}")))?
}

/// Adds a report and updates the progress.
fn told(course: &Course, reports: &mut Vec<LineReport>, report: LineReport) {
    let invited = if report.invited { &["invited"][..] } else { &[] };
    course.one_more(&[&[report.result.name()], invited].concat());
    reports.push(report);
}

//! From people to accounts, many at a time, so that they are recorded together.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use porttask_domain::{
    Actor, DomainEvent, OrganizationId, UserId,
    identity::{
        Access, Capability, EmailAddress, Organization, Permissions, Role, User,
        user::{Command, Event, INVITATIONS, Rejection, Status},
    },
};
use sha2::Sha256;
use tokio::task::JoinSet;

use super::{Column, Fault, ImportOrder, Line, LineReport, LineResult, Person};
use porttask_runtime::{
    execute::{Commands, ExecuteError, Executor, Outcome, Rejected, Request, stream_of},
    id_made_by,
    jobs::Course,
    ledger::Database,
    log::{ConstraintViolation, Expected, LogError, Version},
    vault::{Vault, VaultError},
};

/// How many lines are carried out at a time.
const AT_ONCE: usize = 64;
/// How often a line is tried while the log cannot take it.
const ATTEMPTS: u32 = 8;
/// The pause before the second attempt; it doubles with every further one.
const PAUSE: Duration = Duration::from_millis(50);
/// How often to look again because somebody else was faster, or an id is that of an account that has another address now.
const TURNS: u8 = 16;

/// Why an import ended before its last line. What was recorded stays, and the import may be begun again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It was told to stop.
    #[error("the import was stopped: begin it again, and it goes on where it was")]
    Stopped,
    /// The organization takes nobody in.
    #[error("{0}")]
    Rejected(Rejected),
    /// A line could not be recorded.
    #[error("the import ended early: {0}; begin it again, and it goes on where it was")]
    Failed(#[from] ExecuteError),
}

/// Brings users in.
#[derive(Clone)]
pub struct Import {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    ids: Hmac<Sha256>,
}

impl Import {
    /// To this log.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        executor: Arc<Executor>,
    ) -> Result<Self, VaultError> {
        let ids = vault.authenticator("imports").await?;
        Ok(Self { database, vault, executor, ids })
    }

    /// Carries an order out; answers what became of every line, in their order.
    ///
    /// # Errors
    /// Why it ended early.
    pub async fn run(
        &self,
        order: ImportOrder,
        lines: Vec<Line>,
        course: &Course,
    ) -> Result<Vec<LineReport>, ImportError> {
        let (organization, _) = self.executor.load::<Organization>(order.organization, order.organization).await?;
        let allowed = organization.allow(Capability::Use);
        allowed.map_err(|rejection| ImportError::Rejected(rejection.into()))?;
        let mandate = Mutex::new(self.mandate(&order).await?);
        let run = Arc::new(Run { import: self.clone(), order, mandate, limit_is_reached: AtomicBool::new(false) });
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
        Ok(reports)
    }

    /// The id that an address makes.
    fn id(&self, organization: OrganizationId, email: &EmailAddress, turn: u8) -> UserId {
        let address = email.comparable();
        let key = self.ids.clone().chain_update(organization.0.as_bytes()).chain_update([turn]);
        id_made_by(key.chain_update(address))
    }

    /// What whoever ordered it may do as they are now.
    async fn mandate(&self, order: &ImportOrder) -> Result<Mandate, ExecuteError> {
        let (organization, user) = match order.meta.actor {
            Actor::User { organization, user } => (organization, user),
            Actor::Operator | Actor::System => {
                return Ok(Mandate { is_held: true, most: None, expected: Vec::new() });
            }
            // No program orders an import, nor does somebody unknown.
            Actor::ApiKey { .. } | Actor::Anonymous => {
                return Ok(Mandate { is_held: false, most: None, expected: Vec::new() });
            }
        };
        let stream = stream_of::<User>(organization, user)?;
        let (state, version) = self.executor.load::<User>(organization, user).await?;
        let (is_held, most) = match state.rights() {
            // Elsewhere than at home, staff hold everything.
            Some((Role::SuperAdmin, permissions)) if organization == OrganizationId::PLATFORM => {
                (true, (order.organization == organization).then_some(permissions))
            }
            Some((_, permissions)) if organization == order.organization => {
                (permissions.administration == Access::Write, Some(permissions))
            }
            _ => (false, None),
        };
        Ok(Mandate { is_held, most, expected: vec![Expected { stream, version }] })
    }
}

/// What whoever ordered an import may do.
#[derive(Debug, Clone)]
struct Mandate {
    /// Whether they may bring users in.
    is_held: bool,
    /// The most that they may grant; `None`: anything.
    most: Option<Permissions>,
    /// The versions by which this is known.
    expected: Vec<Expected>,
}

/// An import under way.
struct Run {
    import: Import,
    order: ImportOrder,
    mandate: Mutex<Mandate>,
    limit_is_reached: AtomicBool,
}

impl Run {
    /// Carries a line out, again while the log cannot take it.
    async fn line(&self, number: u64, person: &Person) -> Result<LineReport, ExecuteError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let is_again = attempt > 1 || self.order.is_retry;
            match self.attempt(number, person, is_again).await {
                Err(error) if is_passing(&error) && attempt < ATTEMPTS => {
                    tracing::debug!(%error, number, "a line of an import waits");
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
            let mandate = self.mandate.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(fault) = mandate.fault(person) {
                return Ok(LineReport::rejected(number, vec![fault]));
            }
            if let Some(holder) = self.import.database.holder(&key).await? {
                return match holder.parse() {
                    Ok(user) => self.there(number, user, &mandate, is_again).await,
                    Err(_) => Err(ExecuteError::Malformed("an address is held by no user".to_owned())),
                };
            }
            let user = self.import.id(organization, &person.email, turn);
            match self.register(user, person, &mandate).await {
                Ok(done) => return Ok(self.report(number, user, &done)),
                // By somebody who was faster.
                Err(ExecuteError::Constraint(ConstraintViolation::Taken { .. }, _)) => {}
                // The account that this id belonged to has another address now, or none; or somebody was faster.
                Err(ExecuteError::Rejected(rejected)) if rejected == Rejected::from(Rejection::Exists) => turn += 1,
                Err(ExecuteError::Outdated(_)) => self.look_again().await?,
                Err(ExecuteError::Constraint(ConstraintViolation::AboveMaximum { .. }, _)) => self.reach_limit(),
                Err(ExecuteError::Rejected(rejected)) => {
                    return Ok(LineReport::rejected(number, vec![fault_of(&rejected)]));
                }
                Err(error) => return Err(error),
            }
        }
        Err(ExecuteError::Contended)
    }

    /// Makes the account and, if that is asked for and may be, invites the person.
    async fn register(&self, user: UserId, person: &Person, mandate: &Mandate) -> Result<Outcome, ExecuteError> {
        let Person { name, email, role, permissions } = person.clone();
        let organization = self.order.organization;
        let mut commands =
            Commands::new().on::<User>(user, Command::Register { organization, user, name, email, role, permissions });
        if self.order.send_invitations && !self.limit_is_reached() {
            commands = commands.on::<User>(user, self.invitation());
        }
        self.import.executor.execute_all(&commands, &self.request(mandate)).await
    }

    /// Of an account that is there already: invites the person if nobody has done so yet.
    async fn there(
        &self,
        number: u64,
        user: UserId,
        mandate: &Mandate,
        is_again: bool,
    ) -> Result<LineReport, ExecuteError> {
        let mut report = LineReport { result: LineResult::Unchanged, ..LineReport::rejected(number, Vec::new()) };
        report.user = Some(user);
        if is_again && self.is_own(user).await? {
            report.result = LineResult::Registered;
        }
        if !self.order.send_invitations {
            return Ok(report);
        }
        let (state, _) = self.import.executor.load::<User>(self.order.organization, user).await?;
        let is_own_invitation = |(_, expires_at)| expires_at == self.order.invitations_expire_at;
        report.invited = state.invitation().is_some_and(is_own_invitation);
        if state.status() != Some(Status::Registered) {
            return Ok(report);
        }
        if !self.limit_is_reached() {
            let request = self.request(mandate);
            match self.import.executor.execute::<User>(user, self.invitation(), &request).await {
                Ok(_) => report.invited = true,
                Err(ExecuteError::Constraint(ConstraintViolation::AboveMaximum { .. }, _)) => self.reach_limit(),
                Err(ExecuteError::Outdated(_)) => {
                    self.look_again().await?;
                    return Err(ExecuteError::Contended);
                }
                Err(ExecuteError::Rejected(rejected)) => report.not_invited = Some(rejected.message),
                Err(error) => return Err(error),
            }
        }
        if self.limit_is_reached() && !report.invited {
            report.not_invited = Some(self.limit());
        }
        Ok(report)
    }

    /// What became of a line that was carried out.
    fn report(&self, number: u64, user: UserId, done: &Outcome) -> LineReport {
        let has = |wanted: fn(&Event) -> bool| {
            done.events.iter().any(|it| matches!(&it.event, DomainEvent::User(event) if wanted(event)))
        };
        let is_new = has(|event| matches!(event, Event::Registered { .. }));
        let invited = has(|event| matches!(event, Event::InvitationSent { .. }));
        let result = if is_new { LineResult::Registered } else { LineResult::Unchanged };
        // In a dry run, there is no such account.
        let user = (!self.order.dry_run || !is_new).then_some(user);
        let is_missing = self.order.send_invitations && !invited && is_new;
        let not_invited = is_missing.then(|| self.limit());
        LineReport { line: number, result, user, invited, not_invited, faults: Vec::new() }
    }

    /// Whether this very import has made an account, in an earlier attempt.
    async fn is_own(&self, user: UserId) -> Result<bool, ExecuteError> {
        let stream = stream_of::<User>(self.order.organization, user)?;
        let first = self.import.database.read_stream(&stream, Version::NONE, 1).await?;
        let by = self.import.vault.metas(&first).await?.pop().and_then(|meta| meta.request_id);
        Ok(by.is_some() && by == self.order.meta.request_id)
    }

    /// Looks anew at what whoever ordered it may do.
    async fn look_again(&self) -> Result<(), ExecuteError> {
        let mandate = self.import.mandate(&self.order).await?;
        *self.mandate.lock().unwrap_or_else(PoisonError::into_inner) = mandate;
        Ok(())
    }

    fn request(&self, mandate: &Mandate) -> Request {
        let mut request = Request::new(self.order.organization, self.order.meta.clone());
        request.expected.clone_from(&mandate.expected);
        request.limits = vec![(INVITATIONS, i64::from(self.order.invitations_per_day))];
        request.dry_run = self.order.dry_run;
        request
    }

    fn invitation(&self) -> Command {
        Command::SendInvitation { expires_at: self.order.invitations_expire_at }
    }

    fn limit_is_reached(&self) -> bool {
        self.limit_is_reached.load(Ordering::Relaxed)
    }

    fn reach_limit(&self) {
        self.limit_is_reached.store(true, Ordering::Relaxed);
    }

    fn limit(&self) -> String {
        let limit = self.order.invitations_per_day;
        format!("no more than {limit} invitations may be sent in a day: import the same file again tomorrow")
    }
}

impl Mandate {
    /// Why they may not make this account.
    fn fault(&self, person: &Person) -> Option<Fault> {
        if !self.is_held {
            return Some(Fault::of_line("whoever ordered this import may not invite users any more"));
        }
        let is_beyond = self.most.is_some_and(|most| !person.permissions.is_within(most));
        is_beyond.then(|| {
            let reason =
                "goes beyond the permissions of whoever ordered this import: nobody grants more than they hold";
            Fault::at(Column::Role, reason)
        })
    }
}

/// A refusal by the rules, in terms of the file.
fn fault_of(rejected: &Rejected) -> Fault {
    let field = match rejected.slug {
        "role-not-here" | "permissions-beyond-role" => Some(Column::Role),
        _ => None,
    };
    Fault { field, reason: rejected.message.clone() }
}

/// Whether the same may succeed a little later.
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
    done.map_err(|error| ExecuteError::Malformed(format!("a line could not be carried out: {error}")))?
}

/// Takes a report, and tells of it.
fn told(course: &Course, reports: &mut Vec<LineReport>, report: LineReport) {
    let invited = if report.invited { &["invited"][..] } else { &[] };
    course.one_more(&[&[report.result.name()], invited].concat());
    reports.push(report);
}

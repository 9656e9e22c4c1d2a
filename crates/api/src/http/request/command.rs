//! Command requests: caller, body, precondition, idempotency key.

use axum::{
    RequestPartsExt,
    extract::{FromRequest, MatchedPath, Request},
    http::{StatusCode, request::Parts},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use jiff::SignedDuration;
use porttask_domain::{Capability, OrganizationId, Registered, billing::Subscription, identity::User};
use porttask_runtime::{
    execute::{self, Outcome, Tx, stream_of},
    id_made_by,
    log::{IdempotencyKey, PartitionId, StreamId},
    new_id,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Authorized, Id, body, etag::EntityTags, query};
use crate::http::{
    app::App,
    permissions::{Permission, SignedIn, is_staff},
    problem::{LastChange, Problem},
    read_only::is_refused,
    response::CommandResult,
};

/// How long an idempotency key is remembered.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A command by a caller with this permission.
pub(crate) struct CommandRequest<R, B> {
    pub(crate) caller: Authorized<R>,
    pub(crate) body: B,
    if_match: Option<EntityTags>,
    idempotency_key: Option<IdempotencyKey>,
    /// Which part of a bulk request is being executed.
    part: Option<usize>,
    pub(crate) dry_run: bool,
    /// What the organization's status must allow.
    capability: Capability,
    creates_organization: bool,
    /// Whether it is refused while the organization's subscription is read-only.
    needs_subscription: bool,
    /// The route; for a creation, the path of the collection.
    collection: String,
}

/// The parameters of a command, beside its body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CommandParameters {
    /// Dry run: validate, return what would happen, and record nothing.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

impl<R: Permission, B: DeserializeOwned> FromRequest<App> for CommandRequest<R, B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = parts.extract_with_state::<Authorized<R>, _>(app).await?;
        let CommandParameters { dry_run } = query::parse(parts.uri.query().unwrap_or_default())?;
        let bytes = body::read(app, body).await?;
        let idempotency_key = idempotency_key(app, &parts, &caller, &bytes)?;
        let if_match = EntityTags::of(&parts.headers)?;
        let body = body::parse(&parts.headers, &bytes)?;
        let collection = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let needs_subscription = is_refused(&parts.method, &collection);
        let (part, capability, creates_organization) = (None, Capability::Use, false);
        Ok(Self {
            caller,
            body,
            if_match,
            idempotency_key,
            part,
            dry_run,
            capability,
            creates_organization,
            needs_subscription,
            collection,
        })
    }
}

impl<R: Permission, B> CommandRequest<R, B> {
    /// A new id. With an `Idempotency-Key`, a repetition gets the same one, and so finds the organization in which the
    /// first request was recorded.
    pub(crate) fn new_id<T: From<Uuid>>(&self, app: &App) -> T {
        id(app, self.key().as_ref(), b"")
    }

    /// Starts a part of a bulk request. Each part has its own idempotency key, derived from that of the request.
    pub(crate) fn begin_part(&mut self, place: usize) {
        self.part = Some(place);
    }

    /// The idempotency key of what is being executed.
    fn key(&self) -> Option<IdempotencyKey> {
        let idempotency_key = self.idempotency_key.clone()?;
        Some(match self.part {
            Some(place) => IdempotencyKey { scope: format!("{} #{place}", idempotency_key.scope), ..idempotency_key },
            None => idempotency_key,
        })
    }

    /// Requires another capability of the organization.
    pub(crate) fn needing(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// Lets the request create its organization.
    pub(crate) fn creating(mut self, organization: OrganizationId) -> Self {
        self.caller.organization = organization;
        self.creates_organization = true;
        self
    }

    /// Records it in the platform's own organization: for what staff does about another one.
    pub(crate) fn in_the_platform(mut self) -> Self {
        (self.caller.organization, self.caller.partition) = (OrganizationId::PLATFORM, PartitionId::PLATFORM);
        self
    }

    /// Rejects dry runs: for operations that check passwords or create secrets.
    ///
    /// # Errors
    /// If it is a dry run.
    pub(crate) fn must_be_real(&self) -> Result<(), Problem> {
        match self.dry_run {
            true => Err(Problem::invalid("dry_run", "this operation has no dry run, because it handles secrets")),
            false => Ok(()),
        }
    }

    /// Requires an idempotency key: for operations that move money, or issue what is worth some.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn must_have_key(&self) -> Result<(), Problem> {
        match self.idempotency_key {
            Some(_) => Ok(()),
            None if self.dry_run => Ok(()),
            None => Err(Problem::invalid("Idempotency-Key", "is required: a retry must not do it twice")),
        }
    }

    /// Creates an aggregate with one command.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn create<A: Registered>(
        &self,
        app: &App,
        id: A::Id,
        command: A::Command,
    ) -> Result<Response, Problem> {
        let command = &command;
        self.create_with::<A, _>(app, id, move |tx| async move { Ok(tx.decide_new::<A>(id, command).await?) }).await
    }

    /// Creates an aggregate in a unit of work. `Location` is the collection and the id.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn create_with<A: Registered, F: Future<Output = Result<(), Problem>>>(
        &self,
        app: &App,
        id: A::Id,
        body: impl Fn(Tx) -> F,
    ) -> Result<Response, Problem> {
        Ok(self.run::<A, F>(app, id, body).await?.created(&self.place()))
    }

    /// Changes an aggregate with one command.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn change<A: Registered>(
        &self,
        app: &App,
        id: &Id<A>,
        command: A::Command,
    ) -> Result<CommandResult, Problem> {
        self.change_all::<A>(app, id.get()?, &[command]).await
    }

    /// Changes an aggregate with several commands.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn change_all<A: Registered>(
        &self,
        app: &App,
        id: A::Id,
        commands: &[A::Command],
    ) -> Result<CommandResult, Problem> {
        self.run::<A, _>(app, id, move |tx| async move { Ok(tx.decide_all::<A>(id, commands).await?) }).await
    }

    /// Executes a unit of work, and returns its result for one aggregate.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn run<A: Registered, F: Future<Output = Result<(), Problem>>>(
        &self,
        app: &App,
        id: A::Id,
        body: impl Fn(Tx) -> F,
    ) -> Result<CommandResult, Problem> {
        let subject = stream_of::<A>(self.caller.organization, id)?;
        let outcome = self.transact(app, &subject, body).await?;
        CommandResult::of(app, &outcome, (&subject, self.viewer()), self.dry_run).await
    }

    /// Executes a unit of work; `If-Match` applies to `subject`. The caller is identified in it, so that revocations take
    /// effect at once.
    ///
    /// # Errors
    /// If the request is rejected or fails.
    pub(crate) async fn transact<T, F: Future<Output = Result<T, Problem>>>(
        &self,
        app: &App,
        subject: &StreamId,
        body: impl Fn(Tx) -> F,
    ) -> Result<Outcome<T>, Problem> {
        let body = &body;
        let work = move |tx: Tx| async move {
            self.caller.authorize(app, &tx).await?;
            if let Some(tags) = &self.if_match {
                tx.require(subject.clone(), tags.version(app, subject).await?);
            }
            body(tx).await
        };
        let outcome = match app.executor.transact(&self.unit_of_work(), work).await {
            Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
                return Err(self.explain_outdated(app, subject, problem).await);
            }
            Err(problem) => return Err(reached_limit(app, self.caller.organization, problem).await),
            Ok(outcome) => outcome,
        };
        if self.dry_run {
            self.caller.asker.shows_state();
        }
        if let Some(position) = outcome.position {
            app.last_changes.insert(self.caller.identity.credential.id(), position);
        }
        Ok(outcome)
    }

    /// The problem of an outdated request, with the current version and the change that made it, for those who may read
    /// the resource: all who may change it. Among one's own resources, ids of others' may be given.
    async fn explain_outdated(&self, app: &App, subject: &StreamId, problem: Problem) -> Problem {
        let own = stream_of::<User>(self.caller.organization, self.caller.identity.user);
        let Some(tags) = &self.if_match else { return problem };
        if R::NAME == SignedIn::NAME && own.as_ref() != Ok(subject) {
            return problem;
        }
        let versions = app.database.versions(std::slice::from_ref(subject)).await.unwrap_or_default();
        let Some(version) = versions.first().copied().filter(|it| it.0 > 0 && !tags.contains(*it)) else {
            return problem;
        };
        let found = app.audit_log.of_version(subject, version, is_staff(&self.caller.identity)).await;
        let entry = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the last change of a resource could not be read");
            None
        });
        self.caller.asker.shows_state();
        let last_change = entry.map(|entry| LastChange {
            actor: entry.actor_in_words(),
            occurred_at: entry.occurred_at,
            summary: entry.description.summary,
        });
        problem.since(version.0, last_change)
    }

    /// The organization of the caller, for whom positions are sealed.
    pub(crate) fn viewer(&self) -> OrganizationId {
        self.caller.identity.organization
    }

    /// The path of the collection.
    pub(crate) fn place(&self) -> String {
        self.collection.replace("/{org}", &format!("/{}", self.caller.organization))
    }

    /// Its unit of work, for what is not executed here.
    pub(crate) fn unit_of_work(&self) -> execute::Request {
        let request = execute::Request::new(self.caller.organization, self.caller.meta.clone());
        execute::Request {
            capability: self.capability,
            creates_organization: self.creates_organization,
            needs_subscription: self.needs_subscription,
            idempotency_key: self.key(),
            dry_run: self.dry_run,
            ..request
        }
    }
}

/// A limit that was reached, with the plan that sets it and what can be done.
pub(crate) async fn reached_limit(app: &App, organization: OrganizationId, problem: Problem) -> Problem {
    if problem.limit.is_none() {
        return problem;
    }
    match app.executor.load::<Subscription>(organization, organization.into()).await {
        Ok((subscription, _)) => problem.of_plan(&subscription, app.clock.now()),
        Err(_) => problem,
    }
}

/// A new id, or the one derived from an idempotency key `within` its scope.
pub(super) fn id<T: From<Uuid>>(app: &App, idempotency_key: Option<&IdempotencyKey>, within: &[u8]) -> T {
    let Some(idempotency_key) = idempotency_key else { return new_id() };
    let seal = app.seal.clone().chain_update(b"id").chain_update((idempotency_key.scope.len() as u64).to_be_bytes());
    let seal = seal.chain_update(&idempotency_key.scope).chain_update(&idempotency_key.key);
    id_made_by(seal.chain_update(within))
}

/// The value of `Idempotency-Key`, if present, with a hash of the request.
pub(super) fn idempotency_key<R: Permission>(
    app: &App,
    parts: &Parts,
    caller: &Authorized<R>,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(key) = parts.headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::invalid("Idempotency-Key", "must have 1 to 255 visible ASCII characters"));
    }
    let operation = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let mut seal = app.seal.clone();
    for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), body] {
        seal.update(&(part.len() as u64).to_be_bytes());
        seal.update(part);
    }
    // The key is the client's choice, so it may be personal: only a keyed hash of it is stored.
    let hidden = app.seal.clone().chain_update(b"idempotency key").chain_update(key).finalize().into_bytes();
    Ok(Some(IdempotencyKey {
        scope: format!("{} {} {operation}", caller.identity.doer(), parts.method),
        key: URL_SAFE_NO_PAD.encode(hidden),
        request_hash: seal.finalize().into_bytes().into(),
        kept_for: KEY_LIFETIME,
    }))
}

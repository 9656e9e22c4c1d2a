//! A command as it comes over HTTP: who asks, what for, and what makes it safe to repeat.

use axum::{
    RequestPartsExt,
    extract::{FromRequest, MatchedPath, Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use hmac::Mac;
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::Caller;
use porttask_runtime::{
    execute::{self, Commands, ExecuteError, Outcome},
    id_made_by,
    log::{Expected, IdempotencyKey, StreamId, Version},
    new_id,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Authorized, body};
use crate::http::{app::App, permissions::Permission, problem::Problem};

/// How long a repetition is known as one.
const ONCE: SignedDuration = SignedDuration::from_hours(24);

/// How often a caller is looked at anew.
const ATTEMPTS: u32 = 4;

/// A command by a caller who has this right.
pub(crate) struct CommandRequest<R, B> {
    pub(crate) caller: Authorized<R>,
    pub(crate) body: B,
    if_match: Option<Version>,
    idempotency_key: Option<IdempotencyKey>,
    /// Which part of the request is being carried out, if it is one of many.
    part: Option<usize>,
    pub(crate) dry_run: bool,
}

/// What can be said beside the body of a command.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CommandParameters {
    /// Decide, tell what would happen, and record nothing.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

impl<R: Permission, B: DeserializeOwned> FromRequest<App> for CommandRequest<R, B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = parts.extract_with_state::<Authorized<R>, _>(app).await?;
        let parameters = parts.extract::<Query<CommandParameters>>().await;
        let Query(CommandParameters { dry_run }) =
            parameters.map_err(|_| Problem::invalid("dry_run", "the only parameter is dry_run: true or false"))?;
        let bytes = body::read(app, body).await?;
        let idempotency_key = idempotency_key(app, &parts, &caller, &bytes)?;
        let if_match = if_match(&parts.headers)?;
        let body = body::parse(&parts.headers, &bytes)?;
        Ok(Self { caller, body, if_match, idempotency_key, part: None, dry_run })
    }
}

impl<R: Permission, B> CommandRequest<R, B> {
    /// The id of something new. With an `Idempotency-Key`, a repetition makes the same one: it finds the organization in
    /// which the first request was recorded.
    pub(crate) fn new_id<T: From<Uuid>>(&self, app: &App) -> T {
        id(app, self.mark().as_ref(), b"")
    }

    /// From now on, this part of the request is carried out: a repetition of the request is one of each of its parts.
    pub(crate) fn begin_part(&mut self, place: usize) {
        self.part = Some(place);
    }

    /// The mark of what is being carried out.
    fn mark(&self) -> Option<IdempotencyKey> {
        let idempotency_key = self.idempotency_key.clone()?;
        Some(match self.part {
            Some(place) => IdempotencyKey { scope: format!("{} #{place}", idempotency_key.scope), ..idempotency_key },
            None => idempotency_key,
        })
    }

    /// Where passwords are tried or secrets made, nobody asks what would happen.
    ///
    /// # Errors
    /// If it is a dry run.
    pub(crate) fn must_be_real(&self) -> Result<(), Problem> {
        match self.dry_run {
            true => Err(Problem::invalid("dry_run", "this has no dry run: it deals with secrets")),
            false => Ok(()),
        }
    }

    /// Carries out commands; `subject` is what `If-Match` speaks of. If the caller has changed meanwhile, they are looked
    /// at anew: a revoked right holds at once.
    pub(crate) async fn execute(
        &self,
        app: &App,
        subject: &StreamId,
        commands: &Commands,
        prepare: impl Fn(execute::Request) -> execute::Request,
    ) -> Result<Outcome, Problem> {
        let mut caller = self.caller.caller.clone();
        for _ in 0..ATTEMPTS {
            let request = prepare(self.request(&caller, subject));
            match app.executor.execute_all(commands, &request).await {
                Err(ExecuteError::Outdated(stream)) if self.if_match.is_none() || stream != *subject => {
                    caller = self.caller.look_again(app).await?;
                }
                done => {
                    let done = done?;
                    if let Some(position) = done.position {
                        app.last_changes.insert(caller.credential.id(), position);
                    }
                    return Ok(done);
                }
            }
        }
        Err(ExecuteError::Contended.into())
    }

    fn request(&self, caller: &Caller, subject: &StreamId) -> execute::Request {
        let mut request = self.caller.request_of(caller);
        request.idempotency_key = self.mark();
        request.dry_run = self.dry_run;
        if let Some(version) = self.if_match {
            request.expected.retain(|it| it.stream != *subject);
            request.expected.push(Expected { stream: subject.clone(), version });
        }
        request
    }
}

/// An id of something new, or the one that a mark and what it is good within make.
pub(super) fn id<T: From<Uuid>>(app: &App, idempotency_key: Option<&IdempotencyKey>, within: &[u8]) -> T {
    let Some(idempotency_key) = idempotency_key else { return new_id() };
    let seal = app.seal.clone().chain_update(b"id").chain_update((idempotency_key.scope.len() as u64).to_be_bytes());
    let seal = seal.chain_update(&idempotency_key.scope).chain_update(&idempotency_key.key);
    id_made_by(seal.chain_update(within))
}

/// The idempotency key of `Idempotency-Key`, if there is one.
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
    Ok(Some(IdempotencyKey {
        scope: format!("{} {} {operation}", caller.caller.doer(), parts.method),
        key: key.to_owned(),
        request_hash: seal.finalize().into_bytes().into(),
        expires_at: Timestamp::now() + ONCE,
    }))
}

/// The version that `If-Match` demands.
fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let version = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|digits| digits.parse().ok());
    let wrong = || Problem::invalid("If-Match", "must be the ETag that you read, as in \"3\"");
    version.map(|version| Some(Version(version))).ok_or_else(wrong)
}

//! Problem details (RFC 9457), and the one mapping from errors to HTTP statuses.

use std::num::NonZeroU64;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::{
    billing::metering::{LimitReached, NotAdmitted},
    compliance::audit_log::{AskedError, AuditLogError},
    identity::{access::AccessError, passwords::PasswordError, sign_in::SignInError},
};
use porttask_domain::{
    Kind,
    billing::{Subscription, terms::Meter},
    identity::user::SEATS,
    operations::{document::STORAGE_BYTES, port_call::PORT_CALLS},
};
use porttask_runtime::{
    execute::{ExecuteError, Rejected},
    log::ConstraintViolation,
    views::ViewError,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request failed (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The stable identifier of the problem type: `urn:porttask:problem:` and a slug.
    #[serde(rename = "type")]
    #[schema(example = "urn:porttask:problem:last-admin")]
    name: String,
    /// The reason phrase of the status.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What is wrong and what to do, as human-readable text.
    detail: String,
    /// What is wrong with each invalid field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Of an outdated request: what it did not expect.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Outdated)]
    outdated: Option<Box<Outdated>>,
    /// Of a limit that was reached: which, and what can be done.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReachedLimit)]
    pub(super) limit: Option<Box<ReachedLimit>>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

/// A limit of the plan that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReachedLimit {
    /// What is limited.
    #[schema(required = false)]
    pub(crate) meter: Meter,
    /// The limit.
    #[schema(required = false)]
    pub(crate) limit: u64,
    /// What is used.
    #[schema(required = false)]
    pub(crate) used: u64,
    /// The name of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
    /// When the counter starts again; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) resets_at: Option<Timestamp>,
    /// What can be done.
    #[schema(required = false)]
    pub(crate) ways_out: Vec<WayOut>,
}

/// What can be done when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WayOut {
    /// Choose a larger plan.
    Upgrade,
    /// Buy extra seats.
    BuySeats,
    /// Deactivate users, or delete documents.
    Free,
    /// Wait until the counter starts again.
    Wait,
}

impl ReachedLimit {
    /// The limit of a counter that would exceed its maximum; `None` if no plan limits it.
    fn of(violation: &ConstraintViolation) -> Option<Box<Self>> {
        let ConstraintViolation::AboveMaximum { key, value, maximum } = violation else { return None };
        let meter = match key.name.split(' ').next()? {
            SEATS => Meter::Users,
            PORT_CALLS => Meter::PortCalls,
            STORAGE_BYTES => Meter::StorageBytes,
            _ => return None,
        };
        let (limit, used) = (u64::try_from(*maximum).unwrap_or_default(), u64::try_from(*value).unwrap_or_default());
        Some(Box::new(Self { meter, limit, used, plan: None, resets_at: None, ways_out: Vec::new() }))
    }
}

/// What an outdated request did not expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Outdated {
    /// The current version of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, example = 4)]
    current_version: Option<NonZeroU64>,
    /// The change that made this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_change: Option<LastChange>,
}

/// The last change of a resource, as in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LastChange {
    /// Who made it: the name of a user, the number of a member of the platform's staff, the id of an API key, or
    /// `operator`, `system` or `anonymous`.
    #[schema(example = "Ana Souza")]
    pub(crate) actor: String,
    pub(crate) occurred_at: Timestamp,
    /// What it was, in a sentence.
    #[schema(example = "changed the name from Acme to Acme Shipping")]
    pub(crate) summary: String,
}

/// A validation error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer into the body (RFC 6901), or the name of a parameter or header.
    #[schema(example = "/email")]
    pub(crate) pointer: String,
    /// What is wrong. The value itself is not repeated.
    pub(crate) detail: String,
}

impl Problem {
    /// A problem with this status and slug.
    pub(crate) fn new(status: StatusCode, slug: &str, detail: impl Into<String>) -> Self {
        Self {
            name: format!("urn:porttask:problem:{slug}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            outdated: None,
            limit: None,
            retry_after_seconds: None,
        }
    }

    /// The slug of its type.
    pub(crate) fn slug(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// What is wrong and what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What is wrong with each invalid field.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The HTTP status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same problem, with `Retry-After`.
    #[must_use]
    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Missing or invalid credentials.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "Authentication required: send a valid session token or API key as `Authorization: Bearer …`.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// The caller lacks a permission.
    pub(crate) fn forbidden(permission: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("You lack the permission `{permission}`."))
    }

    /// The plan lacks a feature.
    pub(crate) fn without_feature(feature: &str, plans: &str) -> Self {
        let detail = format!("Your plan does not include {feature}. These plans do: {plans}.");
        Self::new(StatusCode::FORBIDDEN, "feature-not-in-plan", detail)
    }

    /// The resource does not exist or is not visible to the caller.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("{what}-not-found"), format!("There is no such {what}."))
    }

    /// A field or parameter is invalid.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Fields are invalid.
    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = "Validation failed; see `errors`.";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", detail) }
    }

    /// The resource has changed since the caller read it.
    pub(crate) fn outdated() -> Self {
        let detail = "The resource has changed since you read it. Read it again and retry.";
        Self::new(StatusCode::PRECONDITION_FAILED, "outdated", detail)
    }

    /// The same problem, with the current version and the change that made it.
    #[must_use]
    pub(crate) fn since(mut self, current_version: u64, last_change: Option<LastChange>) -> Self {
        let current_version = NonZeroU64::new(current_version);
        self.outdated = Some(Box::new(Outdated { current_version, last_change }));
        self
    }

    /// A request with an API key is not admitted.
    pub(crate) fn not_admitted(error: NotAdmitted, now: Timestamp) -> Self {
        let reached = match error {
            NotAdmitted::LimitReached(reached) => *reached,
            NotAdmitted::Failed(error) => return error.into(),
        };
        let LimitReached { meter, limit, used, plan, resets_at } = reached;
        let detail = match limit {
            0 => "The plan includes no requests with API keys. Choose a larger plan.".to_owned(),
            _ => format!(
                "The {limit} requests with API keys of this usage month are used up. Retry after {resets_at}, or choose a \
                 larger plan."
            ),
        };
        let seconds = resets_at.duration_since(now).as_millis().div_euclid(1_000) + 1;
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "limit-reached", detail);
        let (plan, resets_at, ways_out) = (Some(plan), Some(resets_at), vec![WayOut::Upgrade, WayOut::Wait]);
        let limit = Some(Box::new(ReachedLimit { meter, limit, used, plan, resets_at, ways_out }));
        Self { limit, ..problem }.after(u32::try_from(seconds).unwrap_or(1))
    }

    /// The same problem of a reached limit, with the plan that sets the limit and what can be done.
    #[must_use]
    pub(crate) fn of_plan(mut self, subscription: &Subscription, now: Timestamp) -> Self {
        if let Some(limit) = &mut self.limit {
            limit.plan = subscription.terms().map(|terms| terms.name.clone());
            let month = subscription.usage_month(now).ok().flatten();
            (limit.resets_at, limit.ways_out) = match limit.meter {
                Meter::PortCalls | Meter::ApiCalls => {
                    (month.map(|month| month.ends_at), vec![WayOut::Upgrade, WayOut::Wait])
                }
                Meter::Users => (None, vec![WayOut::Upgrade, WayOut::BuySeats, WayOut::Free]),
                Meter::StorageBytes => (None, vec![WayOut::Upgrade, WayOut::Free]),
            };
        }
        self
    }

    /// A failure that the caller cannot fix. The cause is logged, not sent.
    pub(crate) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let detail = "The service is temporarily unavailable. Retry after a pause.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).after(1)
    }

    fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed because of an internal error");
        let detail = "Internal error. It was logged: quote the X-Request-Id when you report it.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry = self.retry_after_seconds;
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let status = match rejected.kind {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            // Waiting does not help against the limit of a plan.
            Kind::LimitReached if rejected.slug == "limit-reached" => StatusCode::CONFLICT,
            Kind::LimitReached => StatusCode::TOO_MANY_REQUESTS,
        };
        let problem = Self::new(status, rejected.slug, rejected.message);
        Self { retry_after_seconds: rejected.retry_after_seconds, ..problem }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        let (status, slug) = match &error {
            ExecuteError::Rejected(rejected) => return rejected.clone().into(),
            ExecuteError::Constraint(violation, rejected) => {
                let problem = Self::from((**rejected).clone());
                return Self { limit: ReachedLimit::of(violation), ..problem };
            }
            ExecuteError::Outdated(_) => return Self::outdated(),
            ExecuteError::AnotherRequest => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
            ExecuteError::Contended => (StatusCode::SERVICE_UNAVAILABLE, "contended"),
            ExecuteError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            ExecuteError::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"),
            ExecuteError::ForeignEvent(_) | ExecuteError::Malformed(_) => return Self::internal(&error),
            ExecuteError::Vault(_) | ExecuteError::Log(_) => return Self::unavailable(&error),
        };
        let problem = Self::new(status, slug, error.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.after(1) } else { problem }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unknown => Self::unauthenticated(),
            AccessError::Rejected(rejected) => Self::new(StatusCode::FORBIDDEN, rejected.slug, rejected.message),
            AccessError::Elsewhere(_) => Self::new(StatusCode::FORBIDDEN, "address-not-allowed", error.to_string()),
            AccessError::OwnerInactive => Self::new(StatusCode::FORBIDDEN, "api-key-owner-inactive", error.to_string()),
            AccessError::Failed(error) => error.into(),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", error.to_string()).after(1)
            }
            PasswordError::Failed(_) | PasswordError::Log(_) => Self::unavailable(&error),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::new(StatusCode::UNAUTHORIZED, "sign-in-refused", error.to_string()),
            SignInError::TooOften(seconds) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", error.to_string()).after(seconds)
            }
            SignInError::Rejected(rejected) => Self::new(StatusCode::FORBIDDEN, rejected.slug, rejected.message),
            SignInError::Overloaded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", error.to_string()).after(1)
            }
            SignInError::Failed(error) => error.into(),
            SignInError::Unavailable(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<AskedError> for Problem {
    fn from(error: AskedError) -> Self {
        match error {
            AskedError::Invalid { field: "text", reason } => Self::invalid("q", reason),
            AskedError::Invalid { field, reason } => Self::invalid(field, reason),
            AskedError::Log(error) => Self::unavailable(&error),
            AskedError::View(error) => Self::unavailable(&error),
        }
    }
}

impl From<AuditLogError> for Problem {
    fn from(error: AuditLogError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        Self::unavailable(&error)
    }
}

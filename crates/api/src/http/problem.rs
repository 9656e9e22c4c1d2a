//! Why a request was not carried out, as RFC 9457 has it. The one table from denial_log to statuses.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use porttask_app::{
    compliance::audit_log::AuditLogError,
    identity::{access::AccessError, passwords::PasswordError, sign_in::SignInError},
};
use porttask_domain::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Rejected},
    views::ViewError,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not carried out (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Its stable name: `urn:porttask:problem:` and words joined by hyphens.
    #[serde(rename = "type")]
    #[schema(example = "urn:porttask:problem:last-admin")]
    name: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What is wrong and what to do, for people.
    detail: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where it is in the body (RFC 6901), or the name of a parameter.
    #[schema(example = "/email")]
    pub(crate) pointer: String,
    /// What is wrong. The value itself is not repeated.
    pub(crate) detail: String,
}

impl Problem {
    /// A problem of this status, by its stable name.
    pub(crate) fn new(status: StatusCode, slug: &str, detail: impl Into<String>) -> Self {
        Self {
            name: format!("urn:porttask:problem:{slug}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// The words of its name.
    pub(crate) fn slug(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// The status with which it is answered.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same problem, which may be over after a pause.
    #[must_use]
    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Nobody is known by what was shown.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "sign in: there is no valid token in the header Authorization (Bearer pts_…)";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// The caller is known and may not.
    pub(crate) fn forbidden(right: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("this needs the right {right}"))
    }

    /// There is none, or none that the caller may know of.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("{what}-not-found"), format!("there is no such {what}"))
    }

    /// A field is not as it must be.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Fields are not as they must be.
    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = "some fields are not as they must be: see errors";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", detail) }
    }

    /// What the caller saw has changed since.
    pub(crate) fn outdated() -> Self {
        let detail = "it has changed since you read it: read it again, then decide";
        Self::new(StatusCode::PRECONDITION_FAILED, "outdated", detail)
    }

    /// Something that the caller cannot help. The cause is logged, not sent.
    pub(crate) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let detail = "the service cannot answer now: retry after a pause";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).after(1)
    }

    fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed for a defect of this program");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed here; it was logged")
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
            ExecuteError::Constraint(_, rejected) => return rejected.clone().into(),
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

//! The OpenAPI document: the declarations of the routes, completed with what all operations share.

mod example;

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use porttask_domain::id_prefix;
use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, ContentBuilder, Header, Object, ObjectBuilder, OpenApi as Document, OpenApiBuilder, PathItem, Ref,
        RefOr, Required, Response, ResponseBuilder, Schema, Type,
        header::HeaderBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::router::OpenApiRouter;

use self::example::Examples;
use super::{app::App, permissions::accepts_keys, problem::Problem, read_only::is_refused, request::ListFormat};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "PortTask Admin",
        description = "Organizations, users and access of PortTask. Every change is an event in an immutable log.",
        contact(name = "PortTask"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This service")),
    security(("session" = [])),
    components(schemas(Problem, ListFormat)),
    modifiers(&Security)
)]
struct Frame;

/// The base document, to which modules add their routes.
pub(crate) fn frame() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Frame::openapi())
}

/// An empty router that declares a tag.
pub(crate) fn tagged(tag: &str, description: &str) -> OpenApiRouter<App> {
    let tag = TagBuilder::new().name(tag).description(Some(description)).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().tags(Some([tag])).build())
}

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let scheme = |what: &str| {
            let mut bearer = Http::new(HttpAuthScheme::Bearer);
            bearer.description = Some(what.to_owned());
            SecurityScheme::Http(bearer)
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", scheme("The token of a session, `pts_…`, or an API key, `ptk_…`."));
        components.add_security_scheme("metrics", scheme("The token that is configured as PORTTASK_METRICS_TOKEN."));
    }
}

const UNAUTHENTICATED: &str = "The token is missing or invalid; or the session has ended or expired; or the API key was \
                               revoked, has expired, belongs to an inactive user, or is used from another network.";
const NO_SESSION: &str = "The token of a session is missing or invalid, or the session has ended or expired. API keys are \
                          not accepted: a valid one gets 403.";
const SIGN_IN_REFUSED: &str = "Email address, password and organization do not match, or the organization is required.";

/// Problems that many operations share: status, component name, description, slug of the example.
const PROBLEMS: [(u16, &str, &str, &str); 14] = [
    (400, "MalformedRequest", "The body is not valid JSON.", "malformed-json"),
    (401, "Unauthenticated", UNAUTHENTICATED, "unauthenticated"),
    (401, "NoSession", NO_SESSION, "unauthenticated"),
    (401, "SignInRefused", SIGN_IN_REFUSED, "sign-in-refused"),
    (403, "Forbidden", "The caller lacks a permission, or the link is invalid or has expired.", "forbidden"),
    (404, "NotFound", "The resource does not exist or is not visible to the caller.", "organization-not-found"),
    (408, "BodyTimeout", "The body did not arrive in time.", "body-timeout"),
    (409, "Conflict", "The request conflicts with the current state of the resource.", "last-admin"),
    (412, "Outdated", "The resource has changed since the version in If-Match.", "outdated"),
    (413, "BodyTooLarge", "The body is too large.", "body-too-large"),
    (415, "UnsupportedMediaType", "The Content-Type of the body is not supported.", "unsupported-media-type"),
    (422, "InvalidFields", "The body, a parameter or a header is invalid; see `errors`.", "invalid-fields"),
    (429, "RateLimited", "Rate limit exceeded or another limit reached: retry after Retry-After.", "rate-limited"),
    (503, "Unavailable", "The service is temporarily unavailable: retry after Retry-After.", "unavailable"),
];

/// Header parameters: component name, header, pattern, description.
const PARAMETERS: [(&str, &str, &str, &str); 4] = [
    (
        "IdempotencyKey",
        "Idempotency-Key",
        "^[!-~]{1,255}$",
        "Makes retries safe: within 24 hours, requests with the same key are executed once.",
    ),
    (
        "IfMatch",
        "If-Match",
        r#"^("[0-9]{1,18}"|\*)$"#,
        "The ETag of the version you read: if the resource has changed since, the request is rejected (412).",
    ),
    (
        "AtLeast",
        "Porttask-At-Least",
        "^pos_[A-Za-z0-9_-]{43}$",
        "The Porttask-Position of a change that the response must include; waits up to 2 s.",
    ),
    (
        "Background",
        "Porttask-Background",
        "^true$",
        "Says that no person asked for this request: it does not count as use of the session.",
    ),
];

/// Path parameters that are not named like a category: name, description, prefix of the ids.
const PATH_PARAMETERS: [(&str, &str, &str); 5] = [
    ("org", "The organization: its id, or `current` for the caller's own", "org"),
    ("key", "The API key", "key"),
    ("job", "The job", "job"),
    ("discount", "The discount", "dsc"),
    ("activation", "The activation", "act"),
];

/// Completes the document with what all operations share.
pub(crate) fn complete(mut document: Document) -> Document {
    let components = document.components.get_or_insert_default();
    for (status, name, what, slug) in PROBLEMS {
        components.responses.insert(name.to_owned(), problem(status, what, slug).into());
    }
    for (name, header, form, what) in PARAMETERS {
        components.parameters.insert(name.to_owned(), parameter(header, form, what).into());
    }
    let undemanding: BTreeSet<String> =
        components.schemas.iter().filter(|(_, schema)| demands_nothing(schema)).map(|(name, _)| name.clone()).collect();
    let examples = Examples::of(components);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            need_no_body(operation, &undemanding);
            examples.add(operation);
            let is_public = is_public(operation);
            add_path_parameters(path, operation);
            if UNLIMITED.contains(&path.as_str()) {
                complete_probe(operation);
            } else {
                complete_operation(path, method, is_public, operation);
            }
        }
    }
    without_unused(document)
}

fn demands_nothing(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.required.is_empty())
}

/// A missing body is read as an empty object: where that is valid, the body is optional.
fn need_no_body(operation: &mut Operation, undemanding: &BTreeSet<String>) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let is_undemanding = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
            schema.ref_location.rsplit('/').next().is_some_and(|name| undemanding.contains(name))
        }
        RefOr::T(_) | RefOr::Ref(_) => false,
    };
    if body.content.values().all(is_undemanding) {
        body.required = Some(Required::False);
    }
}

/// Drops schemas that nothing refers to.
fn without_unused(mut document: Document) -> Document {
    let text = document.to_json().unwrap_or_default();
    let is_used = |name: &str| text.contains(&format!("\"#/components/schemas/{name}\""));
    if let Some(components) = &mut document.components {
        components.schemas.retain(|name, _| is_used(name));
    }
    document
}

/// Operations with a body that decide nothing: they take neither a version nor a key.
const QUESTIONS: [&str; 4] = [
    "/subscription/preview",
    "/payment-methods/setup",
    "/payments/{payment}/confirm",
    "/payments/{payment}/simulate-confirmation",
];

/// Probes have no rate limit and fail only before they are routed.
const UNLIMITED: [&str; 2] = ["/healthz", "/readyz"];

fn complete_probe(operation: &mut Operation) {
    let what = "The head of the request is too large. The response has no body.";
    add(operation, 431, Response::new(what).into());
}

/// Declares the path parameters, so that handlers need not.
fn add_path_parameters(path: &str, operation: &mut Operation) {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let declared = operation.parameters.take().unwrap_or_default();
    let mut parameters = Vec::new();
    for name in names {
        let known = PATH_PARAMETERS.iter().find(|(it, ..)| *it == name);
        let (description, prefix) = match known {
            Some((_, description, prefix)) => ((*description).to_owned(), (*prefix).to_owned()),
            None => (format!("The {}", name.replace('_', " ")), id_prefix(name).unwrap_or_default()),
        };
        let id = format!("{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}");
        let pattern = if name == "org" { format!("^(current|{id})$") } else { format!("^{id}$") };
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        parameters.push(RefOr::T(parameter.description(Some(description)).schema(Some(schema)).build()));
    }
    parameters.extend(declared);
    operation.parameters = Some(parameters).filter(|it| !it.is_empty());
}

fn complete_operation(path: &str, method: &str, is_public: bool, operation: &mut Operation) {
    let is_question = QUESTIONS.iter().any(|question| path.ends_with(question));
    let is_command = method != "get" && !is_public && !is_question;
    let has_body = operation.request_body.is_some();
    mark_read_only(path, method, operation);
    let is_of_something = path.contains('{');
    let accepts_keys = operation_accepts_keys(path, operation);
    for (status, name, ..) in PROBLEMS {
        let is_possible = match status {
            400 | 408 | 413 | 415 => has_body,
            401 => match name {
                "SignInRefused" => path == "/v1/sessions",
                "NoSession" => !is_public && !accepts_keys,
                _ => !is_public && accepts_keys,
            },
            403 => !is_public || has_body,
            404 => is_of_something || path.starts_with("/v1/payment-providers/") || path.ends_with("/seller/logo"),
            409 => is_command || is_question || (is_public && has_body) || path.ends_with("/jobs/{job}/report"),
            412 => is_command && is_of_something,
            422 => has_body || !is_public,
            _ => true,
        };
        if is_possible {
            add(operation, status, RefOr::Ref(Ref::from_response_name(name)));
        }
    }
    if is_command && let Some(RefOr::T(mut made)) = operation.responses.responses.get("201").cloned() {
        made.description = "Nothing was created: a dry run, or the command had already taken effect.".to_owned();
        add(operation, 200, made.into());
    }
    let mut ask = |name: &str| {
        let reference = RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")));
        operation.parameters.get_or_insert_default().push(reference);
    };
    if is_command && method == "post" {
        ask("IdempotencyKey");
    }
    if is_command && is_of_something {
        ask("IfMatch");
    }
    if method == "get" && !is_public {
        ask("AtLeast");
        ask("Background");
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = if status == "201" { "Created." } else { "Success." }.to_owned();
        }
        if is_command && status.starts_with('2') {
            response.headers.insert("ETag".to_owned(), header("The current version.").into());
            let what = "The position of the change, for Porttask-At-Least; absent if nothing was recorded.";
            response.headers.insert("Porttask-Position".to_owned(), header(what).into());
        }
    }
}

/// Says which operations are refused while the subscription of the organization is read-only.
fn mark_read_only(path: &str, method: &str, operation: &mut Operation) {
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
    if method.is_ok_and(|method| is_refused(&method, path)) {
        let description = operation.description.get_or_insert_default();
        description.push_str("\n\nRefused while the subscription is read-only.");
    }
}

/// Operations with a permission that API keys can hold, which need a session nevertheless: they last longer than a key.
const WITHOUT_KEYS: [&str; 1] = ["/v1/organizations/{org}/users/import"];

/// Whether API keys can hold the permission that the description names; without one, it is for users only.
fn operation_accepts_keys(path: &str, operation: &Operation) -> bool {
    let description = operation.description.as_deref().unwrap_or_default();
    let needed = description.rsplit_once("Needs").and_then(|(_, rest)| rest.split('`').nth(1));
    needed.is_some_and(accepts_keys) && !WITHOUT_KEYS.contains(&path)
}

fn add(operation: &mut Operation, status: u16, response: RefOr<Response>) {
    operation.responses.responses.entry(status.to_string()).or_insert(response);
}

/// Whether no token is required.
fn is_public(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|security| security.contains(&SecurityRequirement::default()))
}

pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Paths whose POST requires no token: they check passwords and links, so attempts are limited.
pub(crate) fn public_post_paths(document: &Document) -> BTreeSet<String> {
    let is_public_post = |item: &PathItem| item.post.as_ref().is_some_and(is_public);
    let paths = document.paths.paths.iter();
    paths.filter(|(_, item)| is_public_post(item)).map(|(path, _)| path.clone()).collect()
}

fn problem(status: u16, what: &str, slug: &str) -> Response {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let example = json!({
        "type": format!("urn:porttask:problem:{slug}"), "title": title, "status": status, "detail": what
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(Some(example));
    let mut response =
        ResponseBuilder::new().description(what).content("application/problem+json", content.build()).build();
    if matches!(status, 429 | 503) {
        response.headers.insert("Retry-After".to_owned(), header("Seconds to wait before retrying.").into());
    }
    if status == 429 {
        let policy = "The quota `q` and its window `w` in seconds.";
        response.headers.insert("RateLimit-Policy".to_owned(), header(policy).into());
        let left = "The remaining quota `r` and the seconds `t` until the next request is allowed.";
        response.headers.insert("RateLimit".to_owned(), header(left).into());
    }
    response
}

fn header(what: &str) -> Header {
    HeaderBuilder::new().schema(Some(text())).description(Some(what)).build()
}

fn parameter(name: &str, form: &str, what: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(form)).build()))
        .build()
}

fn text() -> Object {
    Object::with_type(Type::String)
}

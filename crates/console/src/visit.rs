//! Who requests a page, and what the frame around every page shows.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{FromRequestParts, OriginalUri, RawPathParams},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::try_join;
use jiff::{Timestamp, tz::TimeZone};
use maud::Markup;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Console,
    api::{BACKGROUND, Call, Client, Problem},
    assets,
    cookies::Cookie,
    failure::Failure,
    ui::frame,
};

/// What handlers of pages return.
pub(crate) type Answered = Result<Response, Failure>;

/// The cookie in which `early.js` says in which time zone the browser is.
const ZONE_COOKIE: &str = "zone=";
/// Which links browsers may fetch in advance.
const SPECULATION_RULES: HeaderName = HeaderName::from_static("speculation-rules");

/// What whoever acts as somebody else may do beside reading.
const IMPERSONABLE: [&str; 2] = ["account:own", "organization:write"];

/// A request for a page by somebody who is signed in.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) console: Console,
    pub(crate) client: Client,
    pub(crate) frame: Arc<Frame>,
    /// The ids in the page's address, by the names that routes give them.
    params: Arc<Vec<(String, String)>>,
}

/// What the frame of a page shows: who is signed in, where, with which permissions.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) me: Me,
    pub(crate) role: String,
    pub(crate) rights: BTreeSet<String>,
    /// The organization whose pages these are.
    pub(crate) organization: Organization,
    pub(crate) scope: Scope,
    pub(crate) impersonation: Option<Impersonation>,
    /// The path and query of the page.
    pub(crate) url: String,
    pub(crate) zone: TimeZone,
    pub(crate) message: Option<Message>,
    pub(crate) now: Timestamp,
    /// Whether a script asks, which takes a part of the page.
    pub(crate) is_scripted: bool,
}

/// The frame, once it is known who asks; pages that report a failure use it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(pub(crate) Arc<OnceLock<Arc<Frame>>>);

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Me {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) pending_email: Option<String>,
    pub(crate) locale: Option<String>,
    #[serde(default)]
    pub(crate) time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct MyPermissions {
    role: String,
    rights: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct CurrentSession {
    impersonation: Option<Impersonation>,
}

/// That staff acts as the user.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Impersonation {
    pub(crate) expires_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Organization {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) business_hours: BusinessHours,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BusinessHours {
    pub(crate) time_zone: String,
}

/// Whose pages are shown: one's own organization's, or that of another one by staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The organization in paths of the API: `current` or an id.
    pub(crate) organization: String,
    /// Where its settings are: `/settings`, or below `/admin/organizations/`.
    pub(crate) base: String,
}

impl Scope {
    fn own() -> Self {
        Self { organization: "current".to_owned(), base: "/settings".to_owned() }
    }

    fn of(organization: &str) -> Self {
        Self { organization: organization.to_owned(), base: format!("/admin/organizations/{organization}") }
    }

    /// Whether these are the pages of one's own organization.
    pub(crate) fn is_own(&self) -> bool {
        self.organization == "current"
    }
}

/// What the next page says: what was done, and how to undo it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
    /// Where the change is found in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<String>,
}

/// The operation that undoes a change, as the API names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) body: Value,
}

impl Visit {
    /// Whether the reader has a permission, such as `users:write`.
    pub(crate) fn may(&self, right: &str) -> bool {
        self.frame.may(right)
    }

    /// Refuses a page that only leads to what the reader may not do, as the API would refuse the act.
    ///
    /// # Errors
    /// If the reader lacks the permission.
    pub(crate) fn require(&self, right: &str) -> Result<(), Failure> {
        if self.may(right) {
            return Ok(());
        }
        let reason = if self.frame.impersonation.is_some() { " while you act as somebody else" } else { "" };
        Err(Problem::new(StatusCode::FORBIDDEN, format!("You lack the permission `{right}`{reason}.")).into())
    }

    /// An id in the page's address.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The path in the API of something of the organization whose pages these are.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/organizations/{}{rest}", self.frame.scope.organization)
    }

    /// The address of a page of the settings of that organization.
    pub(crate) fn url(&self, rest: &str) -> String {
        self.frame.url_of(rest)
    }

    /// Reads something of that organization.
    pub(crate) fn get(&self, rest: &str) -> Call<'_> {
        self.client.get(self.path(rest))
    }

    /// A page with its frame.
    pub(crate) fn page(&self, title: &str, crumbs: &[(&str, &str)], content: Markup) -> Response {
        let mut response = frame::page(&self.frame, title, crumbs, content).into_response();
        // Reads by staff are recorded: none is made before somebody asks for it.
        if self.frame.impersonation.is_none() && self.frame.scope.is_own() {
            let rules = format!("\"{}\"", assets::url("prefetch.json"));
            response.headers_mut().extend(HeaderValue::from_str(&rules).ok().map(|it| (SPECULATION_RULES, it)));
        }
        if self.frame.message.is_some() {
            response.headers_mut().append("set-cookie", self.console.cookies.delete(Cookie::Message));
        }
        response
    }

    /// A page with a form, and what is wrong with what was submitted.
    pub(crate) fn page_with(
        &self,
        problem: Option<&Problem>,
        title: &str,
        crumbs: &[(&str, &str)],
        content: Markup,
    ) -> Response {
        let mut response = self.page(title, crumbs, content);
        if let Some(status) = problem.and_then(|problem| StatusCode::from_u16(problem.status).ok()) {
            *response.status_mut() = status;
        }
        response
    }

    /// Leads to another page. A form in a dialog was sent by a script, which is told where to go.
    pub(crate) fn redirect(&self, to: &str) -> Response {
        match self.frame.is_scripted {
            true => [("hx-redirect", to)].into_response(),
            false => see_other(to).into_response(),
        }
    }

    /// Leads to another page, which says what was done.
    pub(crate) fn done(&self, to: &str, message: &Message) -> Response {
        let text = serde_json::to_string(message).unwrap_or_default();
        let cookie = self.console.cookies.set(Cookie::Message, &text);
        ([("set-cookie", cookie)], self.redirect(to)).into_response()
    }
}

/// Leads to another page of the console.
pub(crate) fn see_other(to: &str) -> axum::response::Redirect {
    axum::response::Redirect::to(to)
}

impl Frame {
    pub(crate) fn may(&self, right: &str) -> bool {
        self.rights.contains(right)
    }

    /// Whether the reader belongs to the platform's staff, and does not act as somebody else.
    pub(crate) fn is_staff(&self) -> bool {
        self.may("organizations:read") && self.may("users:search")
    }

    /// Whether the reader gets notices of what vendors answer. Staff that impersonates a user does not: what it reads is recorded.
    pub(crate) fn is_notified(&self) -> bool {
        self.may("operations:read") && !self.is_staff() && self.impersonation.is_none()
    }

    pub(crate) fn url_of(&self, rest: &str) -> String {
        format!("{}{rest}", self.scope.base)
    }

    /// The first page of one's navigation.
    pub(crate) fn start(&self) -> &'static str {
        match () {
            () if self.is_staff() => "/admin/organizations",
            () if self.may("platform_audit_log:read") => "/admin/audit-log",
            () if self.may("users:read") => "/settings/users",
            () if self.may("operations:read") => "/operations/port-calls",
            () => "/me",
        }
    }
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let token = console.cookies.token(&parts.headers);
        let Some(token) = token else { return Err(Failure::SignedOut) };
        let client = Client::new(console, parts, Some(&token));
        let params = RawPathParams::from_request_parts(parts, console).await.ok();
        let params = params.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let params: Vec<(String, String)> = params.collect();
        let organization = params.iter().find(|(name, _)| name == "org");
        let scope = organization.map_or_else(Scope::own, |(_, organization)| Scope::of(organization));
        let path = format!("/v1/organizations/{}", scope.organization);
        let found = try_join!(
            client.get("/v1/me").send::<Me>(),
            client.get("/v1/me/permissions").send::<MyPermissions>(),
            client.get("/v1/sessions/current").send::<CurrentSession>(),
        );
        let (me, mut permissions, session) = match found {
            Ok((me, permissions, session)) => (me.body, permissions.body, session.body),
            Err(problem) => return Err(problem.into()),
        };
        if session.impersonation.is_some() {
            permissions.rights.retain(|right| right.ends_with(":read") || IMPERSONABLE.contains(&right.as_str()));
        }
        // Auditors of the platform may not read its organization.
        let organization = match permissions.rights.contains("organization:read") {
            true => client.get(path).send::<Organization>().await?.body,
            false => Organization::unreadable(),
        };
        let message = console.cookies.get(&parts.headers, Cookie::Message);
        let wanted =
            [me.time_zone.clone(), zone_of(&parts.headers), Some(organization.business_hours.time_zone.clone())];
        let frame = Arc::new(Frame {
            zone: wanted.into_iter().flatten().find_map(|zone| TimeZone::get(&zone).ok()).unwrap_or(TimeZone::UTC),
            me,
            role: permissions.role,
            rights: permissions.rights,
            organization,
            scope,
            impersonation: session.impersonation,
            // Nested routes see a part of the path only.
            url: parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.to_string(), |uri| uri.0.to_string()),
            // Shown once, and not to a page that nobody sees.
            message: message
                .and_then(|text| serde_json::from_str(&text).ok())
                .filter(|_| parts.method == Method::GET && !is_unseen(&parts.headers)),
            now: Timestamp::now(),
            is_scripted: parts.headers.contains_key("hx-request"),
        });
        let slot = parts.extensions.get_or_insert_default::<Slot>().clone();
        // One request has one frame.
        _ = slot.0.set(Arc::clone(&frame));
        Ok(Self { console: console.clone(), client, frame, params: Arc::new(params) })
    }
}

impl Organization {
    /// What an auditor of the platform sees of its organization.
    fn unreadable() -> Self {
        Self {
            name: "PortTask".to_owned(),
            domain: String::new(),
            business_hours: BusinessHours { time_zone: "UTC".to_owned() },
        }
    }
}

/// Whether a browser fetches a page before its reader asks for it.
pub(crate) fn is_in_advance(headers: &HeaderMap) -> bool {
    headers.get("sec-purpose").and_then(|it| it.to_str().ok()).is_some_and(|it| it.contains("prefetch"))
}

/// Whether a page is fetched in advance, or by a script that compares it.
fn is_unseen(headers: &HeaderMap) -> bool {
    is_in_advance(headers) || headers.contains_key(BACKGROUND)
}

/// The time zone of the browser.
fn zone_of(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all("cookie").iter().filter_map(|line| line.to_str().ok());
    let zone = lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(ZONE_COOKIE))?;
    Some(percent_encoding::percent_decode_str(zone).decode_utf8().ok()?.into_owned())
}

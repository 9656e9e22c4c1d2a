//! Users & roles: who has access, and to what?
//!
//! | file | pages |
//! |---|---|
//! | `list.rs` | lists of users |
//! | `show.rs` | one user |
//! | `invite.rs` | inviting |
//! | `change.rs` | role, permissions, name, and other commands |

mod change;
mod invite;
mod list;
mod show;

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::session;
use crate::{
    Console,
    api::Page,
    compliance::audit_log,
    ui::{self, icon, time, words},
    visit::Visit,
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/users", get(list::list))
        .route("/users/export", get(list::export))
        .route("/users/invite", get(invite::invite_form).post(invite::invite))
        .route("/users/invite-several", get(invite::several_form).post(invite::invite_several))
        .route("/users/{user}", get(show::show))
        .route("/users/{user}/role", get(change::role_form).post(change::change_role))
        .route("/users/{user}/edit", get(change::edit_form).post(change::edit))
        .route("/users/{user}/{command}", get(change::command_form).post(change::run_command))
        .merge(session::settings())
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/users", get(list::search))
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) pending_email: Option<String>,
    pub(crate) role: String,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) status: String,
    pub(crate) created_at: Timestamp,
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) invitation_expires_at: Option<Timestamp>,
    pub(crate) last_signed_in_at: Option<Timestamp>,
    pub(crate) locked_until: Option<Timestamp>,
    pub(crate) email_delivery: Option<EmailDelivery>,
    #[serde(default)]
    pub(crate) organization_name: Option<String>,
}

/// What happened to the latest emails to a user.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EmailDelivery {
    state: String,
    error: Option<String>,
    next_attempt_at: Option<Timestamp>,
}

impl User {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("Erased user")
    }

    fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }
}

/// What can be done with a user: nothing that the reader may not, or that their status does not allow.
fn actions(visit: &Visit, user: &User) -> Markup {
    let url = |rest: &str| visit.url(&format!("/users/{}{rest}", user.id));
    let link = |rest: &str, sign: &str, text: &str| ui::sheet_link(&url(rest), "", sign, text);
    let (writes, is_pending) = (visit.may("users:write"), matches!(user.status.as_str(), "invited" | "registered"));
    html! {
        a href=(url("")) { (icon("user")) "Open" }
        @if visit.may("roles:write") && user.status != "deactivated" { (link("/role", "shield-check", "Change role and permissions…")) }
        @if writes && is_pending {
            (link("/edit", "pencil", "Correct name or address…"))
            (link("/invite", "mail", if user.status == "invited" { "Send the invitation again…" } else { "Send an invitation…" }))
            @if user.status == "invited" { (link("/revoke-invitation", "circle-x", "Revoke the invitation…")) }
        }
        @if writes && user.status == "active" {
            (link("/reset-password", "lock", "Send a password link…"))
            @if user.is_locked(visit.frame.now) { (link("/unlock", "lock-open", "Unlock…")) }
        }
        @if visit.may("users:impersonate") && user.status == "active" { (link("/impersonate", "eye", "Impersonate…")) }
        @if visit.may("audit_log:read") { a href=(visit.url(&format!("/audit-log?target={}", user.id))) { (icon("scroll-text")) "History" } }
        @if writes {
            hr;
            @if user.status == "deactivated" { (link("/reactivate", "rotate-ccw", "Reactivate…")) }
            @else { a.bad href=(url("/deactivate")) data-sheet { (icon("user-x")) "Deactivate…" } }
            @if is_pending { a.bad href=(url("/remove")) data-sheet { (icon("trash-2")) "Remove…" } }
        }
    }
}

async fn history(visit: &Visit, id: &str) -> Option<Markup> {
    if !visit.may("audit_log:read") {
        return None;
    }
    let entries =
        visit.get("/audit-log").query([("target", id), ("limit", "6")]).send::<Page<audit_log::Entry>>().await.ok()?;
    Some(audit_log::trail(&visit.frame, &visit.frame.zone, &entries.body.items))
}

fn facts(visit: &Visit, user: &User) -> Markup {
    let frame = &visit.frame;
    html! { dl.facts {
        dt { "Email address" } dd { (user.email()) @if let Some(pending) = &user.pending_email { br; span.soft { "to become " (pending) " once confirmed" } } }
        dt { "Role" } dd { (words::role(&user.role)) }
        @if user.status == "invited" { dt { "Invitation" } dd { "valid until " (time::maybe(frame, user.invitation_expires_at, "unknown")) } }
        @if let Some(delivery) = &user.email_delivery { dt { "Email" } dd { (words::status(&delivery.state))
            @if let Some(error) = &delivery.error { br; span.soft { (error) } }
            @if let Some(next) = delivery.next_attempt_at { br; span.soft { "next attempt " (time::instant(frame, next)) } }
        } }
        @if user.is_locked(frame.now) { dt { "Locked" } dd { "until " (time::maybe(frame, user.locked_until, "")) ", after too many wrong passwords" } }
        dt { "Last sign-in" } dd { (time::maybe(frame, user.last_signed_in_at, "never")) }
        dt { "Joined" } dd { (time::maybe(frame, user.accepted_at, "not yet")) }
        dt { "Added" } dd { (time::instant(frame, user.created_at)) }
        dt { "Id" } dd { (ui::id(&user.id)) }
    } }
}

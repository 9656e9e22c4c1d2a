//! What surrounds the pages of somebody who is signed in: navigation, breadcrumbs, who acts, what was done.

use maud::{DOCTYPE, Markup, html};

use super::{face, hidden, icon, time, words};
use crate::{
    assets,
    form::VERSION,
    visit::{Frame, Message},
};

/// An entry of the navigation: address, icon, name, and the permission that it needs.
struct Entry(String, &'static str, &'static str, &'static str);

/// The platform's own organization.
pub(crate) const PLATFORM: &str = "org_00000000000000000000000000";

/// The head of every document.
pub(crate) fn document_head(title: &str) -> Markup {
    html! { head {
        meta charset="utf-8";
        title { (title) " · PortTask" }
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="htmx-config" content=r#"{"includeIndicatorCSS":false,"defaultSwap":"outerMorph","history":true}"#;
        link rel="stylesheet" href=(assets::url("console.css"));
        link rel="icon" href=(assets::url("mark.svg")) type="image/svg+xml";
        link rel="preload" href=(assets::url(assets::LATIN)) as="font" type="font/woff2" crossorigin;
        script src=(assets::url("early.js")) {}
        script src=(assets::url("htmx.min.js")) defer {}
        script src=(assets::url("console.js")) defer {}
    } }
}

/// The navigation: nothing that the reader may not open.
fn sections(frame: &Frame) -> Vec<(&'static str, Vec<Entry>)> {
    let entry = |url: &str, sign, name, right| Entry(url.to_owned(), sign, name, right);
    // The platform pays nothing for itself.
    let pays = frame.scope.organization != PLATFORM;
    let settings = |name: &'static str| {
        let of = |rest: &str, sign, name, right| Entry(frame.url_of(rest), sign, name, right);
        let entries = vec![
            of("/general", "settings", "General", "organization:read"),
            of("/users", "users", "Users & roles", "users:read"),
            of("/integrations", "plug", "Integrations", "api_keys:read"),
            of("/audit-log", "scroll-text", "Audit log", "audit_log:read"),
            of("/billing", "credit-card", "Billing", "billing:read"),
            of("/usage", "chart-line", "Usage", "usage:read"),
            of("/tickets", "ticket", "Tickets", "tickets:read"),
        ];
        let is_shown = |it: &Entry| pays || !["Billing", "Usage"].contains(&it.2);
        (name, entries.into_iter().filter(is_shown).collect())
    };
    let administration = (
        "Administration",
        vec![
            entry("/admin/organizations", "building-2", "Organizations", "organizations:read"),
            entry("/admin/users", "users", "Users", "users:search"),
            entry("/admin/tickets", "ticket", "Tickets", "tickets:manage"),
            entry("/admin/revenue", "chart-line", "Revenue", "billing:administer"),
            entry("/admin/subscriptions", "receipt", "Subscriptions", "billing:administer"),
            entry("/admin/invoices", "receipt", "Invoices", "billing:administer"),
            entry("/admin/credit-notes", "receipt", "Credit notes", "billing:administer"),
            entry("/admin/receivables", "clock", "Receivables", "billing:administer"),
            entry("/admin/tax-report", "scroll-text", "Tax report", "billing:administer"),
            entry("/admin/payments", "credit-card", "Payments", "billing:administer"),
            entry("/admin/usage", "chart-line", "Usage", "billing:administer"),
            entry("/admin/plans", "badge-check", "Plans", "plans:write"),
            entry("/admin/coupons", "flag", "Coupons", "billing:administer"),
            entry("/admin/seller", "building-2", "Seller", "billing:administer"),
            entry("/admin/licences", "file-key", "Licences", "billing:administer"),
            entry("/admin/licence-signing-keys", "key-round", "Signing keys", "licences:write"),
            entry("/admin/super-admins", "shield-check", "Super admins", "super_admins:read"),
            entry("/admin/audit-log", "scroll-text", "Platform audit log", "platform_audit_log:read"),
            entry("/settings/integrations", "key-round", "System API keys", "organizations:read"),
            entry("/admin/system", "activity", "System health", "system:read"),
        ],
    );
    let operations = (
        "Operations",
        vec![
            entry("/operations/port-calls", "ship", "Port calls", "operations:read"),
            entry("/operations/service-orders", "package", "Service orders", "operations:read"),
            entry("/operations/documents", "book-open", "Documents", "operations:read"),
            entry("/operations/vendors", "truck", "Vendors", "vendors:read"),
        ],
    );
    let all = match (frame.is_staff() || frame.may("platform_audit_log:read"), frame.scope.is_own()) {
        (true, true) => vec![administration],
        (true, false) => vec![settings("Settings"), administration],
        (false, _) => vec![operations, settings("Settings")],
    };
    let allowed = |entries: Vec<Entry>| entries.into_iter().filter(|it| frame.may(it.3)).collect::<Vec<_>>();
    let sections = all.into_iter().map(|(name, entries)| (name, allowed(entries)));
    sections.filter(|(_, entries)| !entries.is_empty()).collect()
}

/// Whether a page belongs to an entry of the navigation. What is below an organization is not below the list of them.
fn is_current(frame: &Frame, url: &str) -> bool {
    let path = frame.url.split('?').next().unwrap_or_default();
    let is_below = path.strip_prefix(url).is_some_and(|rest| rest.starts_with('/'));
    path == url || (is_below && (frame.scope.is_own() || url != "/admin/organizations"))
}

/// A page of somebody who is signed in.
pub(crate) fn page(frame: &Frame, title: &str, crumbs: &[(&str, &str)], content: Markup) -> Markup {
    let name = frame.me.name.clone().unwrap_or_else(|| "Erased user".to_owned());
    let sections = sections(frame);
    html! { (DOCTYPE) html lang="en" { (document_head(title)) body data-notices=[frame.is_notified().then_some(frame.now)] {
        a.skip href="#main" { "Skip to content" }
        div.shell {
            aside.side #side popover aria-label="Navigation" {
                div.org { span.mark { (icon("anchor")) } span { b { (frame.organization.name) } small { (frame.organization.domain) } } }
                nav.nav aria-label="Main" { @for (heading, entries) in &sections {
                    h2 { (heading) }
                    ul.list { @for Entry(url, sign, text, _) in entries {
                        li { a href=(url) aria-current=[is_current(frame, url).then_some("page")] { (icon(sign)) (text) } }
                    } }
                } }
                footer {
                    a.who href="/me" { (face(&name, "")) span { b { (name) } small { (words::role_name(&frame.role)) } } }
                    form method="post" action="/sign-out" { (hidden(frame)) button.btn.icon type="submit" aria-label="Sign out" { (icon("log-out")) } }
                }
            }
            div.main {
                header.bar {
                    button.btn.icon.nav-toggle type="button" popovertarget="side" aria-label="Menu" { (icon("menu")) }
                    nav.crumbs aria-label="Breadcrumb" { @for (text, url) in crumbs {
                        @if url.is_empty() { span aria-current="page" { (text) } }
                        @else { a.only-wide href=(url) { (text) } span.only-wide aria-hidden="true" { "/" } }
                    } }
                    span.space {}
                    a.find href="/search" data-palette aria-label="Go to a page" { (icon("search")) span.only-wide { "Go to a page" } kbd.only-wide { "Ctrl K" } }
                    button.btn.icon.need-js type="button" data-theme-next aria-label="Colour scheme: system" { (icon("monitor")) }
                    a.btn.icon href="/help" aria-label="Help and keyboard shortcuts" { (icon("life-buoy")) }
                }
                @if let Some(impersonation) = &frame.impersonation { section.band aria-label="Impersonation" { (icon("eye"))
                    span { "You act as " b { (name) } ", " (frame.organization.name) ". It is recorded, and ends " (time::instant(frame, impersonation.expires_at)) "." }
                    form method="post" action="/impersonation/end" { (hidden(frame)) button.btn.edge type="submit" { "End" } }
                } }
                @if frame.is_staff() && !frame.scope.is_own() { section.band aria-label="Access by staff" { (icon("eye"))
                    span { "You see " b { (frame.organization.name) } " as platform staff. What you open is recorded in their audit log." }
                    a href="/admin/organizations" { "Back" }
                } }
                main.page #main tabindex="-1" { (content) }
            }
        }
        div #toasts role="status" aria-live="polite" { @if let Some(message) = &frame.message { (toast(frame, message)) } }
        dialog #sheet aria-label="Dialog" {}
        dialog #palette aria-label="Go to a page" { (palette(frame, "", "palette")) }
    } } }
}

/// What was done, with a way to undo it and to find it in the audit log.
fn toast(frame: &Frame, message: &Message) -> Markup {
    html! { div.toast { (icon("circle-check")) span { (message.text) }
        @if let Some(undo) = &message.undo { form method="post" action="/undo" { (hidden(frame))
            input type="hidden" name="method" value=(undo.method);
            input type="hidden" name="path" value=(undo.path);
            input type="hidden" name="body" value=(undo.body);
            input type="hidden" name="back" value=(frame.url);
            input type="hidden" name=(VERSION) value="";
            button type="submit" { "Undo" }
        } }
        @if let Some(url) = message.audit.as_ref().filter(|_| frame.may("audit_log:read")) { a href=(url) { "Audit log" } }
        button.need-js type="button" data-dismiss aria-label="Dismiss" { (icon("x")) }
    } }
}

/// The pages of the navigation whose names or sections contain the words, and a field to search for them. With a script, the list
/// in the dialog follows what is typed without a request.
pub(crate) fn palette(frame: &Frame, words: &str, id: &str) -> Markup {
    let sections = sections(frame);
    let own = (
        "Account",
        vec![
            Entry("/me".to_owned(), "user", "Your account", ""),
            Entry("/help".to_owned(), "life-buoy", "Help and keyboard shortcuts", ""),
        ],
    );
    let wanted = words.to_lowercase();
    html! {
        form.find-form method="get" action="/search" role="search" {
            label.hide for=(format!("{id}-q")) { "Page or id" }
            input id=(format!("{id}-q")) name="q" type="search" autocomplete="off" placeholder="Page or id" value=(words);
            button.hide type="submit" tabindex="-1" { "Search" }
        }
        ul.list { @for (section, entries) in sections.iter().chain([&own]) { @for Entry(url, sign, name, _) in entries {
            @if format!("{name}{section}").to_lowercase().contains(&wanted) { li { a href=(url) { (icon(sign)) (name) small { (section) } } } }
        } } }
    }
}

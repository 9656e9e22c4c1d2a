//! Who can open which page.

use std::{collections::BTreeSet, path::PathBuf};

use porttask_tests::{Store, on_both_engines};

use crate::{
    browser::{Browser, Page},
    openapi::{UNKNOWN_ORGANIZATION, UNKNOWN_USER},
    people::{self, Ids},
    service::Service,
};

on_both_engines!(
    strangers_are_led_to_the_sign_in_page_and_back,
    every_page_opens_for_those_who_have_its_permission,
    what_belongs_to_another_organization_looks_like_what_does_not_exist,
);

/// Pages for everybody.
pub(crate) const PUBLIC: [&str; 8] = [
    "/sign-in",
    "/forgot-password",
    "/setup",
    "/invitation",
    "/password-reset",
    "/address-change",
    "/address-change-cancellation",
    "/vendor-response",
];

/// Pages that need a session, with the permission that they need; none for those that everybody has who is signed in.
pub(crate) const PAGES: [(&str, &str); 98] = [
    ("/me", ""),
    ("/me/password", ""),
    ("/me/address", ""),
    ("/me/sessions/end", ""),
    ("/help", ""),
    ("/search", ""),
    ("/notices", "operations:read"),
    ("/operations/port-calls", "operations:read"),
    ("/operations/port-calls/export", "operations:read"),
    ("/operations/port-calls/new", "operations:write"),
    ("/operations/port-calls/import", "operations:write"),
    ("/operations/port-calls/{call}", "operations:read"),
    ("/operations/port-calls/{call}/edit", "operations:write"),
    ("/operations/port-calls/{call}/status", "operations:write"),
    ("/operations/port-calls/{call}/revert-status", "operations:write"),
    ("/operations/port-calls/{call}/cancel", "operations:write"),
    ("/operations/port-calls/{call}/reopen", "operations:manage"),
    ("/operations/port-calls/{call}/delete", "operations:write"),
    ("/operations/documents", "operations:read"),
    ("/operations/documents/new", "operations:write"),
    ("/operations/documents/export", "operations:read"),
    ("/operations/documents/{document}/content", "operations:read"),
    ("/operations/documents/{document}/delete", "operations:write"),
    ("/operations/port-calls/{call}/order", "operations:write"),
    ("/operations/service-orders", "operations:read"),
    ("/operations/service-orders/export", "operations:read"),
    ("/operations/service-orders/{order}", "operations:read"),
    ("/operations/service-orders/{order}/edit", "operations:write"),
    ("/operations/service-orders/{order}/assign", "operations:write"),
    ("/operations/service-orders/{order}/ask-again", "operations:write"),
    ("/operations/service-orders/{order}/answer", "operations:write"),
    ("/operations/service-orders/{order}/start", "operations:write"),
    ("/operations/service-orders/{order}/cancel", "operations:write"),
    ("/operations/vendors", "vendors:read"),
    ("/operations/vendors/export", "vendors:read"),
    ("/operations/vendors/new", "vendors:write"),
    ("/operations/vendors/{vendor}", "vendors:read"),
    ("/operations/vendors/{vendor}/archive", "vendors:write"),
    ("/operations/vendors/{vendor}/restore", "vendors:write"),
    ("/admin/organizations", "organizations:read"),
    ("/admin/organizations/new", "organizations:write"),
    ("/admin/organizations/{org}", "organization:read"),
    ("/admin/organizations/{org}/suspend", "organizations:write"),
    ("/admin/organizations/{org}/reactivate", "organizations:write"),
    ("/admin/organizations/{org}/deactivate", "organizations:write"),
    ("/admin/organizations/{org}/invitation-quota", "organizations:write"),
    ("/admin/users", "users:search"),
    ("/admin/users?q=bob", "users:search"),
    ("/admin/tickets", "tickets:manage"),
    ("/admin/tickets/export", "tickets:manage"),
    ("/admin/super-admins", "super_admins:read"),
    ("/admin/super-admins/promote", "super_admins:write"),
    ("/admin/super-admins/{staff}/demote", "super_admins:write"),
    ("/admin/audit-log", "platform_audit_log:read"),
    ("/admin/audit-log/export", "platform_audit_log:read"),
    ("/admin/system", "system:read"),
    ("/admin/revenue", "billing:administer"),
    ("/admin/revenue/export", "billing:administer"),
    ("/admin/subscriptions", "billing:administer"),
    ("/admin/subscriptions/export", "billing:administer"),
    ("/admin/invoices", "billing:administer"),
    ("/admin/invoices/export", "billing:administer"),
    ("/admin/credit-notes", "billing:administer"),
    ("/admin/credit-notes/export", "billing:administer"),
    ("/admin/receivables", "billing:administer"),
    ("/admin/tax-report", "billing:administer"),
    ("/admin/tax-report/export", "billing:administer"),
    ("/admin/tax-report/ec-sales-list/export", "billing:administer"),
    ("/admin/payments", "billing:administer"),
    ("/admin/payments/export", "billing:administer"),
    ("/admin/usage", "billing:administer"),
    ("/admin/plans", "plans:write"),
    ("/admin/plans/export", "plans:write"),
    ("/admin/plans/new", "plans:write"),
    ("/admin/plans/{plan}", "plans:write"),
    ("/admin/plans/{plan}/edit", "plans:write"),
    ("/admin/plans/{plan}/version", "plans:write"),
    ("/admin/plans/{plan}/retire", "plans:write"),
    ("/admin/plans/{plan}/migrate", "plans:write"),
    ("/admin/coupons", "billing:administer"),
    ("/admin/coupons/export", "billing:administer"),
    ("/admin/coupons/new", "billing:administer"),
    ("/admin/coupons/{coupon}/retire", "billing:administer"),
    ("/admin/seller", "billing:administer"),
    ("/admin/seller/add-registration", "billing:administer"),
    ("/admin/seller/remove-registration", "billing:administer"),
    ("/admin/seller/tax-rates", "billing:administer"),
    ("/admin/seller/exchange-rates", "billing:administer"),
    ("/admin/seller/logo", "billing:administer"),
    ("/admin/seller/remove-logo", "billing:administer"),
    ("/admin/seller/series", "billing:administer"),
    ("/admin/seller/series/{series}/continue", "billing:administer"),
    ("/admin/licences", "billing:administer"),
    ("/admin/licences/export", "billing:administer"),
    ("/admin/licence-signing-keys", "licences:write"),
    ("/admin/licence-signing-keys/new", "licences:write"),
    ("/admin/licence-signing-keys/{signing_key}/activate", "licences:write"),
    ("/admin/licence-signing-keys/{signing_key}/retire", "licences:write"),
];

/// Pages of an organization's settings, below `/settings` and `/admin/organizations/{org}`.
pub(crate) const SETTINGS: [(&str, &str); 94] = [
    ("/general", "organization:read"),
    ("/users", "users:read"),
    ("/users?peek={user}", "users:read"),
    ("/users/invite", "users:write"),
    ("/users/invite-several", "users:write"),
    ("/users/export", "users:read"),
    ("/users/import", "users:write"),
    ("/users/import/{job}", "users:read"),
    ("/users/import/{job}/report", "users:read"),
    ("/users/{user}", "users:read"),
    ("/users/{user}/role", "roles:write"),
    ("/users/{user}/deactivate", "users:write"),
    ("/users/{user}/reactivate", "users:write"),
    ("/users/{user}/reset-password", "users:write"),
    ("/users/{user}/unlock", "users:write"),
    ("/users/{user}/impersonate", "users:impersonate"),
    ("/users/{user}/sessions/end", "users:write"),
    ("/users/{invited}/edit", "users:write"),
    ("/users/{invited}/invite", "users:write"),
    ("/users/{invited}/revoke-invitation", "users:write"),
    ("/users/{invited}/remove", "users:write"),
    ("/integrations", "api_keys:read"),
    ("/integrations/new", "api_keys:write"),
    ("/integrations/{key}/rotate", "api_keys:write"),
    ("/integrations/{key}/adopt", "api_keys:write"),
    ("/integrations/{key}/revoke", "api_keys:write"),
    ("/audit-log", "audit_log:read"),
    ("/audit-log/export", "audit_log:read"),
    ("/billing", "billing:read"),
    ("/billing/change", "billing:write"),
    ("/billing/cancel", "billing:write"),
    ("/billing/resume", "billing:write"),
    ("/billing/withdraw-change", "billing:write"),
    ("/billing/redeem", "billing:write"),
    ("/billing/extend-trial", "billing:administer"),
    ("/billing/add-discount", "billing:administer"),
    ("/billing/change-zone", "billing:administer"),
    ("/billing/end", "billing:administer"),
    ("/billing/discounts/{discount}/remove", "billing:administer"),
    ("/billing/payment-methods", "billing:read"),
    ("/billing/payment-methods/new", "billing:write"),
    ("/billing/payment-methods/{method}/make-default", "billing:write"),
    ("/billing/payment-methods/{method}/remove", "billing:write"),
    ("/billing/payments", "billing:read"),
    ("/billing/payments/{payment}/reverse", "billing:administer"),
    ("/billing/payments/{payment}/confirm", "billing:write"),
    ("/billing/invoices", "billing:read"),
    ("/billing/invoices/export", "billing:read"),
    ("/billing/invoices/archive?from=2000-01-01&until=2999-01-01", "billing:read"),
    ("/billing/invoices/new", "billing:administer"),
    ("/billing/invoices/{invoice}", "billing:read"),
    ("/billing/invoices/{invoice}/pdf", "billing:read"),
    ("/billing/invoices/{invoice}/xml", "billing:read"),
    ("/billing/invoices/{invoice}/recalculation", "billing:read"),
    ("/billing/invoices/{invoice}/edit", "billing:administer"),
    ("/billing/invoices/{invoice}/pay", "billing:write"),
    ("/billing/invoices/{invoice}/issue", "billing:administer"),
    ("/billing/invoices/{invoice}/discard", "billing:administer"),
    ("/billing/invoices/{invoice}/mark-paid", "billing:administer"),
    ("/billing/invoices/{invoice}/void", "billing:administer"),
    ("/billing/invoices/{invoice}/credit", "billing:administer"),
    ("/billing/invoices/{invoice}/correct", "billing:administer"),
    ("/billing/invoices/{invoice}/mark-uncollectible", "billing:administer"),
    ("/billing/credit-notes", "billing:read"),
    ("/billing/credit-notes/export", "billing:read"),
    ("/billing/credit-notes/{note}", "billing:read"),
    ("/billing/credit-notes/{note}/pdf", "billing:read"),
    ("/billing/credit-notes/{note}/xml", "billing:read"),
    ("/billing/account", "billing:read"),
    ("/billing/account/check-tax-id", "billing:write"),
    ("/billing/account/request-invoice-billing", "billing:write"),
    ("/billing/account/collection", "billing:administer"),
    ("/billing/account/grant-balance", "billing:administer"),
    ("/billing/licences", "billing:read"),
    ("/billing/licences/new", "licences:write"),
    ("/billing/licences/{licence}", "billing:read"),
    ("/billing/licences/{licence}/revoke", "licences:write"),
    ("/billing/licences/{licence}/replace", "licences:write"),
    ("/billing/licences/{licence}/activations/{activation}/remove", "billing:write"),
    ("/usage", "usage:read"),
    ("/usage/export", "usage:read"),
    ("/usage/export?report=months", "usage:read"),
    ("/usage/export?report=users", "usage:read"),
    ("/usage/export?report=keys", "usage:read"),
    ("/tickets", "tickets:read"),
    ("/tickets/new", "tickets:write"),
    ("/tickets/export", "tickets:read"),
    ("/tickets/{ticket}", "tickets:read"),
    ("/tickets/{ticket}/reply", "tickets:write"),
    ("/tickets/{ticket}/escalate", "tickets:write"),
    ("/tickets/{ticket}/resolve", "tickets:write"),
    ("/tickets/{ticket}/reopen", "tickets:write"),
    ("/tickets/{ticket}/assign", "tickets:manage"),
    ("/tickets/{ticket}/note", "tickets:manage"),
];

/// Addresses that lead elsewhere, or take forms only, or are a stream.
const OTHERS: [&str; 13] = [
    "/billing/payment-methods/setup",
    "/billing/payments/{payment}/confirmation",
    "/",
    "/settings",
    "/admin",
    "/sign-out",
    "/undo",
    "/live",
    "/impersonation/end",
    "/me/profile",
    "/me/sessions/{session}/end",
    "/users/{user}/sessions/{session}/end",
    "/admin/system/tasks/{task}/retry",
];

/// An address with the ids of what there is.
fn at(page: &str, ids: &Ids) -> String {
    let pairs = [
        ("{org}", &ids.organization),
        ("{user}", &ids.user),
        ("{invited}", &ids.invited),
        ("{staff}", &ids.staff),
        ("{key}", &ids.key),
        ("{vendor}", &ids.vendor),
        ("{document}", &ids.document),
        ("{ticket}", &ids.ticket),
        ("{call}", &ids.call),
        ("{order}", &ids.order),
        ("{job}", &ids.job),
        ("{plan}", &ids.plan),
        ("{coupon}", &ids.coupon),
        ("{discount}", &ids.discount),
        ("{method}", &ids.method),
        ("{payment}", &ids.payment),
        ("{invoice}", &ids.invoice),
        ("{note}", &ids.note),
        ("{licence}", &ids.licence),
        ("{activation}", &ids.activation),
        ("{signing_key}", &ids.signing_key),
        ("{series}", &ids.series),
    ];
    pairs.into_iter().fold(page.to_owned(), |page, (name, id)| page.replace(name, id))
}

/// All pages that need a session, with their permission.
fn pages() -> Vec<(String, &'static str)> {
    let settings = |base: &'static str| SETTINGS.map(|(path, right)| (format!("{base}{path}"), right));
    let pages = PAGES.map(|(path, right)| (path.to_owned(), right));
    [&pages[..], &settings("/settings"), &settings("/admin/organizations/{org}")].concat()
}

async fn strangers_are_led_to_the_sign_in_page_and_back(store: Store) {
    let service = Service::start(&store);
    let ids = people::populate(&service, &store).await;
    let stranger = Browser::new(&service);
    for path in PUBLIC {
        stranger.open(path);
    }
    for (page, _) in pages() {
        let path = at(&page, &ids);
        let answer = stranger.fetch(&path).is(303);
        let next = form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
        assert_eq!(answer.header("location"), format!("/sign-in?next={next}"), "{path}");
        assert_eq!(answer.text, "", "{path}");
    }
    assert_eq!(stranger.fetch("/").is(303).header("location"), "/sign-in");
    for path in ["/nothing", "/settings/nothing", "/admin/organizations/a/b/c"] {
        assert_eq!(stranger.get(path).is(404).title(), "Not found · PortTask", "{path}");
    }
    let page = stranger.open("/settings/users?q=bob&status=active");
    let page = stranger.sign_in(&page, "bob@acme.example");
    assert_eq!(page.url, "/settings/users?q=bob&status=active");
}

/// The permissions of whoever is signed in.
fn rights(service: &Service, email: &str) -> BTreeSet<String> {
    let answer = service.sign_in(email).get("/v1/me/permissions").is(200);
    let rights = answer.body["rights"].as_array().unwrap().iter().map(|right| right.as_str().unwrap().to_owned());
    rights.collect()
}

async fn every_page_opens_for_those_who_have_its_permission(store: Store) {
    let service = Service::start(&store);
    let ids = people::populate(&service, &store).await;
    let mut wrong = Vec::new();
    for (role, email, browser) in people::browsers(&service) {
        let (rights, is_platform) = (rights(&service, email), role == "super_admin" || role == "platform_auditor");
        assert!(rights.contains("account:own"), "{role}: {rights:?}");
        for (page, right) in pages() {
            let path = at(&page, &ids);
            let is_elsewhere = is_platform && page.contains('{') && page.starts_with("/settings/")
                || page.starts_with("/operations/") && page.contains('{') && is_platform;
            // The platform pays nothing for itself.
            let is_elsewhere = is_elsewhere
                || is_platform && (page.starts_with("/settings/billing") || page.starts_with("/settings/usage"));
            let answer = browser.fetch(&path);
            let is_allowed = right.is_empty() || rights.contains(right);
            match (is_allowed, answer.status) {
                // Ids of another organization than one's own.
                (true, 404) if is_elsewhere => {}
                (true, 200) if page.contains("peek=") => {}
                // Staff owns no keys of organizations.
                (true, 403) if is_platform && right == "api_keys:write" => {
                    assert!(answer.main().contains("Only users of an organization"), "{}", answer.main());
                }
                // What cannot be done in the present state is said where it would be done.
                (true, 200 | 409) if !is_elsewhere => {}
                (false, 403) => says_what_is_missing(&answer, right),
                // Who may not read an organization does not learn that it exists.
                (false, 404) if role == "platform_auditor" && page.starts_with("/admin/organizations/{org}") => {}
                (_, status) => wrong.push(format!("{role} gets {status} for {path}: {}", answer.main())),
            }
        }
        browser.open("/");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
fn says_what_is_missing(page: &Page, right: &str) {
    assert_eq!(page.title(), "Not allowed · PortTask", "{}", page.url);
    assert!(page.main().contains(&format!("`{right}`")), "{} does not name {right}: {}", page.url, page.main());
    assert!(page.main().contains("An admin of your organization can change"), "{}", page.main());
    assert!(page.forms().iter().all(|form| !form.action.contains(page.url.as_str())), "{page:?}");
}

async fn what_belongs_to_another_organization_looks_like_what_does_not_exist(store: Store) {
    let service = Service::start(&store);
    let ids = people::populate(&service, &store).await;
    let (beta, _) = service.found(&store, "beta.example").await;
    let browser = Browser::of(&service, "bob@beta.example");
    let suffix = |id: &str| format!("{}_00000000000000000000000042", id.split('_').next().unwrap());
    let unknown = Ids {
        organization: UNKNOWN_ORGANIZATION.to_owned(),
        admin: UNKNOWN_USER.to_owned(),
        user: UNKNOWN_USER.to_owned(),
        invited: UNKNOWN_USER.to_owned(),
        staff: UNKNOWN_USER.to_owned(),
        key: suffix(&ids.key),
        vendor: suffix(&ids.vendor),
        document: suffix(&ids.document),
        ticket: suffix(&ids.ticket),
        call: suffix(&ids.call),
        order: suffix(&ids.order),
        job: suffix(&ids.job),
        plan: suffix(&ids.plan),
        coupon: suffix(&ids.coupon),
        discount: suffix(&ids.discount),
        method: suffix(&ids.method),
        payment: suffix(&ids.payment),
        invoice: suffix(&ids.invoice),
        note: suffix(&ids.note),
        licence: suffix(&ids.licence),
        activation: suffix(&ids.activation),
        signing_key: suffix(&ids.signing_key),
        series: suffix(&ids.series),
    };
    let mut tried = 0;
    for (page, right) in pages().into_iter().filter(|(page, _)| page.contains('{')) {
        let (theirs, nobodys) = (browser.fetch(&at(&page, &ids)), browser.fetch(&at(&page, &unknown)));
        if page.contains("peek=") && theirs.status == 200 {
            assert!(theirs.document.with_id("peek").is_none(), "{page}");
            continue;
        }
        assert_eq!((theirs.status, theirs.main()), (nobodys.status, nobodys.main()), "{page}");
        let is_refused = theirs.status == 403 && !["organization:read", "users:write"].contains(&right);
        assert!(theirs.status == 404 || is_refused, "{page}: {}", theirs.status);
        for hidden in ["Acme", "carol", "Tugs", "MSC Anna", "harbour robot", "ida@", "No invoice"] {
            assert!(!theirs.main().contains(hidden), "{page}: {}", theirs.main());
        }
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
    // Ids of another organization in the paths of one's own.
    let mixed = Ids { organization: beta, ..ids };
    for (page, _) in pages().into_iter().filter(|(page, _)| page.contains("{org}") && page.matches('{').count() > 1) {
        let answer = browser.fetch(&at(&page, &mixed));
        assert!(matches!(answer.status, 403 | 404) || page.contains("peek="), "{page}: {}", answer.status);
    }
}

/// The source files of the console, with their text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../console/src"))];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// The addresses of all routes of the console.
fn routes() -> BTreeSet<String> {
    let sources = sources();
    let found = sources.iter().flat_map(|(_, text)| text.split(".route(\"").skip(1));
    let found = found.filter_map(|rest| rest.split('"').next()).filter(|route| !route.starts_with("/console/"));
    found.map(str::to_owned).collect()
}

#[test]
fn the_tables_have_all_pages_of_the_console() {
    let routes = routes();
    assert!(routes.len() > 40, "{routes:?}");
    let known: Vec<&str> = PAGES.iter().chain(&SETTINGS).map(|(page, _)| *page).chain(PUBLIC).chain(OTHERS).collect();
    let is_like = |route: &str, page: &str| {
        let (route, page) = (route.split('/'), page.split('?').next().unwrap().split('/'));
        route.clone().count() == page.clone().count()
            && route.zip(page).all(|(route, page)| route == page || route.starts_with('{'))
    };
    for route in &routes {
        let tried = known.iter().filter(|page| is_like(route, page)).count();
        assert!(tried > 0, "no test asks for {route}: add it to the tables");
    }
}

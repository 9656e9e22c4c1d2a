//! The pages that links in emails open.

use std::time::Duration;

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::json;

use crate::{
    browser::{Browser, Page},
    mailbox::DataDirectory,
    service::{ADMIN, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    a_forgotten_password_is_replaced_by_a_link,
    a_change_of_address_is_confirmed_or_cancelled,
    links_that_cannot_be_used_say_what_to_do,
    a_link_whose_hash_was_encoded_works_and_no_token_is_logged,
);

/// The link to a page in an email that names an address, once it is written.
async fn link(service: &SharedService, to: &str, page: &str) -> String {
    let start = format!("{page}#token=");
    let found = || {
        let mails = service.mails_with(to, 0);
        let mut lines = mails.iter().flat_map(|(_, mail)| mail.lines());
        lines.find(|line| line.contains(&start)).map(|line| line.trim().to_owned())
    };
    by(Duration::from_secs(20), page, async || found().is_some()).await;
    found().unwrap()
}

/// Pastes a link or token into the page that is for it.
fn paste(browser: &Browser<'_>, page: &str, token: &str) -> Page {
    browser.submit(&browser.open(page).form(page).fill("token", token), "Continue")
}

async fn a_forgotten_password_is_replaced_by_a_link(service: &'static SharedService) {
    let acme = service.organization().await;
    let (browser, email) = (Browser::new(service), acme.email("bob"));
    let page = browser.open(&browser.open("/sign-in").link("Forgot your password?"));
    let form = page.form("/forgot-password");
    let ask = |email: &str| browser.submit(&form.clone().fill("email", email), "Send the link").is(202);
    let (known, unknown) = (ask(&email), ask(&acme.email("nobody")));
    assert_eq!(known.main().replace(&email, "…"), unknown.main().replace(&acme.email("nobody"), "…"));

    let token = link(service, &email, "/password-reset").await;
    let page = paste(&browser, "/password-reset", &token).is(200);
    assert!(page.main().contains(&format!("Acme, {email}")), "{}", page.main());
    let button = "Set the password and sign in";
    let page = browser.submit(&page.form("/password-reset").fill("password", "short"), button).is(422);
    assert!(!page.error_of("password").is_empty(), "{}", page.main());
    let page = browser.submit(&page.form("/password-reset").fill("password", "another horse battery"), button).is(200);
    assert_eq!(page.url, "/settings/users");
    assert_eq!(service.try_sign_in(&email, PASSWORD).status, 401);
    assert_eq!(service.try_sign_in(&email, "another horse battery").status, 201);
    let page = paste(&browser, "/password-reset", &token).is(410);
    assert!(page.main().contains("used"), "{}", page.main());
}

async fn a_change_of_address_is_confirmed_or_cancelled(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let change = |to: &str| {
        let form = bob.open("/me/address").form("/me/address");
        let page = bob.submit(&form.clone().fill("email", to).fill("current_password", "wrong"), "Send the link");
        assert_eq!((page.status, page.value_of("email")), (page.status.max(400), to.to_owned()), "{}", page.main());
        let form = page.form("/me/address").fill("current_password", PASSWORD);
        let page = bob.submit(&form, "Send the link").is(200).shows(&format!("to become {to}"));
        assert!(page.toast().contains(&format!("A link was sent to {to}.")), "{}", page.toast());
    };
    let new = acme.email("robert");
    change(&new);
    let token = link(service, &new, "/address-change").await;
    let page = paste(&bob, "/address-change", &token).is(200).shows(&new);
    let page = bob.submit(&page.form("/address-change"), "Confirm the address").is(200);
    let sign_in = bob.open(&page.link("Sign in"));
    assert_eq!(sign_in.value_of("email"), new);
    assert_eq!((service.try_sign_in(&new, PASSWORD).status, bob.fetch("/me").status), (201, 200));
    paste(&bob, "/address-change", &token).is(410).shows("used");

    let other = acme.email("bobby");
    change(&other);
    // The present address is told, with a link to cancel.
    let cancellations = || {
        let mails = service.mails_with(&acme.domain, 0);
        let lines = mails.iter().flat_map(|(_, mail)| mail.lines()).map(|line| line.trim().to_owned());
        lines
            .filter(|line| line.starts_with("http") && line.contains("/address-change-cancellation#"))
            .collect::<Vec<_>>()
    };
    by(Duration::from_secs(20), "both emails", async || cancellations().len() == 2).await;
    // Once the change is cancelled, its link would no longer be sent.
    let confirmation = link(service, &other, "/address-change").await;
    let token = cancellations().pop().unwrap();
    let stranger = Browser::new(service);
    let page = paste(&stranger, "/address-change-cancellation", &token).is(200);
    let page = stranger.submit(&page.form("/address-change-cancellation"), "Cancel the change").is(200);
    assert!(page.main().contains("your address stays as it is"), "{}", page.main());
    let page = paste(&stranger, "/address-change", &confirmation).is(410);
    assert!(page.main().contains("This link cannot be used"), "{}", page.main());
    assert_eq!(service.try_sign_in(&other, PASSWORD).status, 401);
}

async fn links_that_cannot_be_used_say_what_to_do(service: &'static SharedService) {
    let acme = service.organization().await;
    let browser = Browser::new(service);
    let cleo = acme.invite("cleo", "Cleo", "agent");
    let command = |name: &str| {
        let path = format!("/v1/organizations/current/users/{cleo}/{name}");
        acme.admin.post(&path, &json!({})).is(200);
    };
    let token = |generation| service.link(Purpose::Invitation, &acme.id, &cleo, generation);
    let state = |token: &str, says: &str, next: &str| {
        let page = paste(&browser, "/invitation", token).is(410).shows("This link cannot be used");
        assert!(page.main().contains(says), "{}", page.main());
        assert!(page.main().contains("It was valid until"), "{}", page.main());
        assert!(!page.text.contains(&acme.email("cleo")), "an ended link tells no address");
        assert_eq!(page.document.all("main").count(), 1);
        let links: Vec<&str> = page.document.all("a").map(|link| link.get("href")).collect();
        assert!(links.contains(&next), "{links:?}");
    };
    let expired = service.expired_link(Purpose::Invitation, &acme.id, &cleo, 1);
    state(&expired, "It has expired. Ask an admin of your organization", "/sign-in");
    command("invite");
    state(&token(1), "A newer link was sent. Use the latest email.", "/sign-in");
    command("revoke-invitation");
    state(&token(2), "It was withdrawn. Ask an admin of your organization.", "/sign-in");
    command("invite");
    // The token alone is enough, with spaces around it.
    let page = paste(&browser, "/invitation", &format!("  {}  ", token(3))).is(200);
    let page = browser.submit(&page.form("/invitation").fill("password", PASSWORD), "Accept and sign in").is(200);
    assert_eq!(page.url, "/operations/port-calls");
    state(&token(3), "you have a password already", "/sign-in");
    let user = acme.admin.session["user"].as_str().unwrap();
    let expired = service.expired_link(Purpose::PasswordReset, &acme.id, user, 1);
    let page = paste(&browser, "/password-reset", &expired).is(410);
    assert_eq!(page.link("Ask for another link"), "/forgot-password");
    // What is no link of this service.
    for (page, token) in [("/invitation", "nonsense"), ("/password-reset", ""), ("/address-change", "a b")] {
        let answer = paste(&browser, page, token);
        assert!([403, 422].contains(&answer.status), "{page}: {answer:?}");
        assert_eq!(answer.value_of("token"), "", "{page}");
    }
}

async fn a_link_whose_hash_was_encoded_works_and_no_token_is_logged(store: Store) {
    let data = DataDirectory::of(&store);
    let variables = [data.variable(), ("PORTTASK_ACCESS_LOG", "true"), ("PORTTASK_LOG", "debug")];
    let service = Service::start_with(&store, &[&ADMIN[..], &variables].concat());
    let (organization, user) = service.create_organization(&service.ana(), "acme.example");
    let token = service.link(&store, Purpose::Invitation, &organization, &user, 1).await;
    let browser = Browser::new(&service);
    let page = browser.open(&format!("/invitation%23token={token}"));
    let form = page.form("/invitation");
    assert_eq!(page.value_of("token"), token);
    let page = browser.submit(&form, "Continue").is(200).shows("bob@acme.example");
    let page = browser.submit(&page.form("/invitation").fill("password", PASSWORD), "Accept and sign in").is(200);
    assert_eq!(page.url, "/settings/users");
    assert_eq!(browser.get(&format!("/nothing%23token={token}")).status, 200, "leads to the start page");
    let session = browser.token("porttask");
    by(Duration::from_secs(10), "a log", async || service.log().contains("/invitation")).await;
    let log = service.log();
    for secret in [token.as_str(), &session, PASSWORD] {
        assert!(!log.contains(secret), "{log}");
    }
}

//! Sessions in a browser: impersonation, sessions that end, several tabs.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{browser::Browser, service::PASSWORD, shared::SharedService};

on_both_engines!(
    staff_acts_as_a_user_with_a_reason_and_a_banner_until_it_ends,
    what_was_entered_survives_the_end_of_a_session,
    a_form_of_somebody_else_is_refused,
    ones_own_sessions_are_ended,
);

async fn staff_acts_as_a_user_with_a_reason_and_a_banner_until_it_ends(service: &'static SharedService) {
    let acme = service.organization().await;
    let cleo = acme.join("cleo", "Cleo Tanaka", "auditor").session["user"].as_str().unwrap().to_owned();
    let ana = Browser::of(service, "ana@platform.example");
    let base = format!("/admin/organizations/{acme}");
    let page = ana.open(&format!("{base}/users/{cleo}")).shows("as platform staff");
    let url = format!("{base}/users/{cleo}/impersonate");
    assert_eq!(page.link("Impersonate…"), url);
    let form = ana.open(&url).form(&url);
    let page = ana.submit(&form, "Impersonate").is(422);
    assert!(page.error_of("reason").contains("empty"), "{}", page.main());
    assert_eq!(ana.cookie("porttask-as"), None);
    let own = ana.cookie("porttask");
    let form = page.form(&url).fill("reason", "ticket 4711").fill("minutes", "15");
    let page = ana.submit(&form, "Impersonate").is(200);
    assert_eq!((page.url.as_str(), ana.cookie("porttask")), ("/settings/users", own.clone()));
    for url in ["/settings/users", "/settings/general", "/settings/audit-log", "/me", "/help", "/search"] {
        let page = ana.open(url);
        assert!(page.words().contains("You act as Cleo Tanaka, Acme."), "{url}: {}", page.words());
    }
    // Also where something is not allowed, or not there.
    ana.get("/admin/users").is(403).shows("You act as Cleo Tanaka");
    ana.get("/settings/users/invite").is(403).shows("while you act as somebody else");
    let page = ana.open("/settings/users");
    let page = ana.submit(&page.form("/impersonation/end"), "End").is(200);
    assert_eq!((page.url.as_str(), ana.cookie("porttask-as")), ("/admin/users", None));
    assert!(!page.words().contains("You act as"), "{}", page.words());
    assert_eq!(ana.cookie("porttask"), own);
    Browser::of(service, &acme.email("bob")).open("/settings/audit-log").shows("ticket 4711");

    // One that ends elsewhere leads back as well.
    let form = ana.open(&url).form(&url).fill("reason", "ticket 4712");
    ana.submit(&form, "Impersonate").is(200);
    let token = ana.token("porttask-as");
    service.with_token(&json!(token)).delete("/v1/sessions/current").is(200);
    assert_eq!(ana.get("/settings/users").url, "/admin/users");
    assert_eq!(ana.cookie("porttask-as"), None);
}

async fn what_was_entered_survives_the_end_of_a_session(service: &'static SharedService) {
    let acme = service.organization().await;
    acme.join("ada", "Ada Moor", "admin");
    let url = "/settings/users/invite";
    for (who, status) in [("bob", 200), ("ada", 409)] {
        let bob = Browser::of(service, &acme.email("bob"));
        let new = acme.email(format!("cleo-{who}"));
        let form =
            bob.open(url).form(url).fill("name", "Cleo “C” <Tanaka>").fill("email", &new).fill("role", "auditor");
        let token = bob.token("porttask");
        service.with_token(&json!(token)).delete("/v1/sessions/current").is(200);
        let page = bob.submit_only(&form, "Invite").is(401).shows("Your session has ended");
        // A wrong password loses nothing.
        let wrong = page.form("/sign-in").fill("email", &acme.email(who)).fill("password", "wrong horse battery");
        let page = bob.submit(&wrong, "Sign in").is(401);
        let page = bob.sign_in(&page, &acme.email(who)).shows("You are signed in again");
        let found = || {
            let path = format!("/v1/organizations/current/users?q={new}");
            acme.admin.get(&path).is(200).body["items"].as_array().unwrap().clone()
        };
        assert_eq!(found().len(), 0, "nothing is sent unasked");
        assert_eq!(page.link("Discard it"), url);
        let page = bob.submit(&page.form(url), "Send it now").is(status);
        if status == 200 {
            assert!(page.toast().contains("is invited."), "{}", page.toast());
            let user = &found()[0];
            assert_eq!((&user["name"], &user["role"]), (&json!("Cleo “C” <Tanaka>"), &json!("auditor")));
        } else {
            // It was entered by somebody else.
            assert!(page.main().contains("Nothing was changed"), "{}", page.main());
            assert_eq!(found().len(), 0);
        }
    }
}

async fn a_form_of_somebody_else_is_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    acme.join("ada", "Ada Moor", "admin");
    let cleo = acme.join("cleo", "Cleo Tanaka", "agent").session["user"].as_str().unwrap().to_owned();
    let vendor = json!({"name": "Tugs", "services": ["towage"], "order_email": null, "contacts": []});
    let vendor = acme.admin.post("/v1/organizations/current/vendors", &vendor).is(201).id().to_owned();
    let browser = Browser::of(service, &acme.email("bob"));
    let urls = [
        "/settings/users/invite".to_owned(),
        "/settings/users/invite-several".to_owned(),
        "/settings/users/import".to_owned(),
        format!("/settings/users/{cleo}/role"),
        format!("/settings/users/{cleo}/deactivate"),
        "/settings/general".to_owned(),
        "/settings/integrations/new".to_owned(),
        "/settings/audit-log/export".to_owned(),
        format!("/operations/vendors/{vendor}"),
        format!("/operations/vendors/{vendor}/archive"),
        "/me/password".to_owned(),
        "/me/address".to_owned(),
        "/me/sessions/end".to_owned(),
    ];
    let forms: Vec<_> = urls.iter().map(|url| browser.open(url).form(url)).collect();
    let profile = browser.open("/me").form("/me/profile");
    // In another tab, somebody else signs in.
    let tab = browser.tab();
    tab.sign_in(&tab.open("/sign-in"), &acme.email("ada"));
    browser.set_cookie("porttask", &tab.cookie("porttask").unwrap());
    let before = acme.admin.get("/v1/organizations/current/audit-log?limit=1").is(200).body["items"][0]["id"].clone();
    for form in forms.iter().chain([&profile]) {
        let button = form.buttons.last().unwrap();
        let page = browser.submit_only(form, &button.text).is(409);
        assert!(page.words().contains("opened as somebody else"), "{}: {}", form.action, page.words());
    }
    let after = acme.admin.get("/v1/organizations/current/audit-log?limit=1").is(200).body["items"][0]["id"].clone();
    assert_eq!(before, after, "nothing was done");
}

async fn ones_own_sessions_are_ended(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let page = bob.open("/me").shows("This session");
    let ends = page.forms().into_iter().filter(|form| form.action.ends_with("/end")).collect::<Vec<_>>();
    assert!(ends.len() == 1, "the other one, not the current one: {ends:?}");
    let page = bob.submit(&ends[0], &ends[0].buttons[0].text).is(200);
    assert!(page.toast().contains("The session has ended."), "{}", page.toast());
    assert_eq!(acme.admin.get("/v1/me").status, 401);

    let (other, url) = (Browser::of(service, &acme.email("bob")), "/me/sessions/end");
    let page = bob.submit(&bob.open(url).form(url), "Preview").is(200);
    assert_eq!((page.url.as_str(), other.fetch("/me").status), (url, 200), "a preview ends nothing");
    let page = bob.submit(&page.form(url), "End all sessions").is(200);
    assert_eq!((page.url.as_str(), bob.cookie("porttask")), ("/sign-in", None));
    assert_eq!(other.fetch("/me").status, 303);

    // A new password ends the others.
    let (bob, other) = (Browser::of(service, &acme.email("bob")), Browser::of(service, &acme.email("bob")));
    let url = "/me/password";
    let form = bob.open(url).form(url);
    let wrong = form.clone().fill("current_password", "wrong horse battery").fill("new_password", "short");
    let page = bob.submit(&wrong, "Change password");
    assert!([403, 422].contains(&page.status), "{page:?}");
    assert_eq!((page.value_of("current_password"), page.value_of("new_password")), (String::new(), String::new()));
    let right = page.form(url).fill("current_password", PASSWORD).fill("new_password", "another horse battery");
    let page = bob.submit(&right, "Change password").is(200);
    assert!(page.toast().contains("Your password is changed"), "{}", page.toast());
    assert_eq!(other.fetch("/me").status, 303);
}

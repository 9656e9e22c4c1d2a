//! Users & roles: inviting, changing, deactivating, importing.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::json;

use crate::{
    browser::Browser,
    service::Caller,
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_user_is_added_after_errors_are_corrected,
    several_users_are_added_and_those_that_fail_are_left,
    a_change_of_role_is_previewed_confirmed_and_undone,
    nothing_that_somebody_else_changed_is_overwritten_unseen,
    a_deactivation_says_what_stops,
    a_file_of_users_is_tried_and_imported,
    submitting_a_form_twice_has_one_effect,
);

fn path(user: &str) -> String {
    format!("/settings/users/{user}")
}

/// The user with this id, from the API.
fn user(by: &Caller<'_>, id: &str) -> serde_json::Value {
    by.get(&format!("/v1/organizations/current/users/{id}")).is(200).body
}

fn count(acme: &Organization<'_>, words: &str) -> usize {
    let found = acme.admin.get(&format!("/v1/organizations/current/users?q={words}")).is(200);
    found.body["items"].as_array().unwrap().len()
}

async fn a_user_is_added_after_errors_are_corrected(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let form = bob.open("/settings/users/invite").form("/settings/users/invite");
    let wrong = form.fill("name", "<b>Cleo</b>").fill("email", "no address").fill("role", "auditor");
    let page = bob.submit(&wrong, "Invite").is(422);
    assert!(!page.error_of("email").is_empty(), "{}", page.main());
    assert!(page.main().contains("to correct"), "{}", page.main());
    let kept = ["name", "email", "role"].map(|name| page.value_of(name));
    assert_eq!(kept, ["<b>Cleo</b>", "no address", "auditor"], "what was entered is kept");
    assert_eq!(count(&acme, "cleo"), 0);
    let right = page.form("/settings/users/invite").fill("name", "Cleo Tanaka").fill("email", &acme.email("cleo"));
    let page = bob.submit(&right, "Invite").is(200).shows("Auditor");
    assert!(page.url.starts_with("/settings/users/usr_"), "{}", page.url);
    assert!(page.toast().contains("Cleo Tanaka is invited."), "{}", page.toast());
    assert_eq!(count(&acme, "cleo"), 1);
    // The same address again.
    let form = bob.open("/settings/users/invite").form("/settings/users/invite");
    let page = bob.submit(&form.fill("name", "Cleo").fill("email", &acme.email("cleo")), "Invite").is(409);
    assert!(page.main().contains("This was not done"), "{}", page.main());
    assert_eq!(page.value_of("email"), acme.email("cleo"));
    // The list as it is filtered, as a file.
    let list = bob.open("/settings/users?q=cleo&status=invited").shows("Cleo Tanaka");
    let file = bob.open(&list.link("Export"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"users.csv\"");
    assert!(file.text.contains(&acme.email("cleo")) && !file.text.contains(&acme.email("bob")), "{}", file.text);
    bob.open("/settings/users?q=nobody").shows("Nothing matches");
}

async fn several_users_are_added_and_those_that_fail_are_left(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let url = "/settings/users/invite-several";
    let lines = format!("Ana <{}>\n{}\nBob again <{}>", acme.email("ana"), acme.email("max.moor"), acme.email("bob"));
    let page = bob.submit(&bob.open(url).form(url).fill("people", &lines), "Invite all").is(200);
    assert_eq!(page.value_of("people").trim(), format!("Bob again <{}>", acme.email("bob")));
    assert!(page.main().contains("2 people invited."), "{}", page.main());
    assert_eq!((count(&acme, "ana@"), count(&acme, "max"), count(&acme, "bob")), (1, 1, 1));
    let page = bob.submit(&page.form(url).fill("people", ""), "Invite all").is(422);
    assert!(!page.error_of("people").is_empty(), "{}", page.main());
}

async fn a_change_of_role_is_previewed_confirmed_and_undone(service: &'static SharedService) {
    let acme = service.organization().await;
    let cleo = acme.join("cleo", "Cleo Tanaka", "agent").session["user"].as_str().unwrap().to_owned();
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("{}/role", path(&cleo));
    let form = bob.open(&url).form(&url);
    assert_eq!(bob.open(&url).value_of("role"), "agent");
    let before = user(&acme.admin, &cleo);
    let page = bob.submit(&form.fill("role", "read_only"), "Preview").is(200);
    for part in ["What will happen", "Loses", "1 open session"] {
        assert!(page.main().contains(part), "{part}: {}", page.main());
    }
    assert_eq!(user(&acme.admin, &cleo), before, "a preview changes nothing");
    assert_eq!((page.value_of("role").as_str(), page.toast()), ("read_only", ""));
    let page = bob.submit(&page.form(&url), "Change role").is(200);
    assert_eq!(page.url, path(&cleo));
    assert!(page.toast().contains("The role of Cleo Tanaka is changed."), "{}", page.toast());
    assert_eq!(user(&acme.admin, &cleo)["role"], "read_only");
    bob.open(&page.link("Audit log")).shows("Cleo Tanaka");
    let page = bob.submit(&page.form("/undo"), "Undo").is(200);
    assert_eq!(page.url, path(&cleo));
    assert!(page.toast().contains("Undone."), "{}", page.toast());
    assert_eq!(user(&acme.admin, &cleo)["role"], "agent");
    // Narrower permissions than the role allows.
    let form = bob.open(&url).form(&url).fill("tickets", "read");
    bob.submit(&form, "Change role").is(200);
    let now = user(&acme.admin, &cleo);
    assert_eq!((&now["role"], &now["permissions"]["tickets"]), (&json!("agent"), &json!("read")));
}

async fn nothing_that_somebody_else_changed_is_overwritten_unseen(service: &'static SharedService) {
    let acme = service.organization().await;
    acme.join("ada", "Ada Moor", "admin");
    let cleo = acme.join("cleo", "Cleo Tanaka", "agent").session["user"].as_str().unwrap().to_owned();
    let url = format!("{}/role", path(&cleo));
    let [bob, ada] = ["bob", "ada"].map(|name| Browser::of(service, &acme.email(name)));
    let role = || user(&acme.admin, &cleo)["role"].as_str().unwrap().to_owned();
    let (by_bob, by_ada) = (bob.open(&url).form(&url), ada.open(&url).form(&url));
    bob.submit(&by_bob.fill("role", "read_only"), "Change role").is(200);
    assert_eq!(role(), "read_only");
    let conflict = ada.submit(&by_ada.fill("role", "auditor"), "Change role");
    assert_eq!((conflict.url.as_str(), conflict.status), (url.as_str(), 412), "the form stays open");
    for part in ["Somebody else changed this in the meantime", "Bob Fisher", "Nothing was overwritten", "just now"] {
        assert!(conflict.main().contains(part), "{part}: {}", conflict.main());
    }
    assert_eq!(role(), "read_only", "nothing is overwritten");
    assert_eq!(conflict.value_of("role"), "auditor", "what was entered is kept");
    ada.submit(&conflict.form(&url), "Change role").is(200);
    assert_eq!(role(), "auditor");

    // The settings of the organization, which are no dialog.
    let url = "/settings/general";
    let (by_bob, by_ada) = (bob.open(url).form(url), ada.open(url).form(url));
    bob.submit(&by_bob.fill("display_name", "Acme by Bob"), "Save").is(200);
    let conflict = ada.submit(&by_ada.fill("display_name", "Acme by Ada"), "Save");
    for part in ["Somebody else changed this in the meantime", "Bob Fisher"] {
        assert!(conflict.main().contains(part), "{part}: {}", conflict.main());
    }
    assert_eq!(ada.open(url).value_of("display_name"), "Acme by Bob");
    assert_eq!(conflict.value_of("display_name"), "Acme by Ada");
    ada.submit(&conflict.form(url), "Save").is(200);
    assert_eq!(bob.open(url).value_of("display_name"), "Acme by Ada");
    // What is wrong is said beside its field.
    let form = bob.open(url).form(url).fill("primary_colour", "red").fill("monday", "8-12");
    let page = bob.submit(&form, "Save").is(422);
    assert!(!page.error_of("primary_colour").is_empty(), "{}", page.main());
    assert_eq!((page.value_of("primary_colour"), page.value_of("monday")), ("red".into(), "8-12".into()));
}

async fn a_deactivation_says_what_stops(service: &'static SharedService) {
    let acme = service.organization().await;
    let ada = acme.join("ada", "Ada Moor", "admin");
    let id = ada.session["user"].as_str().unwrap().to_owned();
    ada.post("/v1/organizations/current/api-keys", &json!({"name": "robot"})).is(201);
    let invited = json!({"name": "Ida", "email": acme.email("ida"), "role": "agent"});
    ada.post("/v1/organizations/current/users", &invited).is(201);
    let ticket = json!({"kind": "support", "subject": "Gate closed", "text": "Since noon."});
    let ticket = ada.post("/v1/organizations/current/tickets", &ticket).is(201).id().to_owned();
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("{}/deactivate", path(&id));
    let page = bob.open(&url);
    for part in [
        "1 open ticket will stay with them",
        "1 API key will stop working",
        "1 open session",
        "1 invitation that they sent",
    ] {
        assert!(page.main().contains(part), "{part}: {}", page.main());
    }
    assert_eq!(user(&acme.admin, &id)["status"], "active");
    let form = page.form(&url).fill("hand_over_to", acme.admin.session["user"].as_str().unwrap());
    let page = bob.submit(&form, "Deactivate").is(200);
    assert!(page.toast().contains("Ada Moor is deactivated"), "{}", page.toast());
    bob.open(&format!("/settings/tickets/{ticket}"))
        .shows("took the ticket over")
        .shows("to Bob Fisher, who gets the emails");
    assert_eq!(ada.get("/v1/me").status, 401);
    bob.submit(&page.form("/undo"), "Undo").is(200);
    assert_eq!(user(&acme.admin, &id)["status"], "active");
    // The last admin stays.
    let own = acme.admin.session["user"].as_str().unwrap();
    acme.admin.post(&format!("/v1/organizations/current/users/{id}/deactivate"), &json!({})).is(200);
    let url = format!("{}/deactivate", path(own));
    let page = bob.get(&url).is(409).shows("without an active admin");
    bob.submit(&page.form(&url), "Deactivate").is(409);
    // Sessions of others are ended.
    let cleo = acme.join("cleo", "Cleo Tanaka", "agent");
    let own = path(cleo.session["user"].as_str().unwrap());
    let page = bob.open(&own);
    let action =
        page.forms().into_iter().map(|form| form.action).find(|it| it.ends_with("/end") && it.starts_with(&own));
    let form = page.form(&action.unwrap());
    let page = bob.submit(&form, &form.buttons[0].text).is(200);
    assert!(page.toast().contains("The session has ended."), "{}", page.toast());
    assert_eq!(cleo.get("/v1/me").status, 401);
    let again = service.sign_in(&acme.email("cleo"));
    let url = format!("{own}/sessions/end");
    let page = bob.submit(&bob.open(&url).form(&url), "End all sessions").is(200);
    assert!(page.toast().contains("All sessions have ended."), "{}", page.toast());
    assert_eq!(again.get("/v1/me").status, 401);
}

async fn a_file_of_users_is_tried_and_imported(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let url = "/settings/users/import";
    let file = format!("name,email,role\nCleo Tanaka,{},agent\nNobody,no address,agent\n", acme.email("cleo"));
    let report = async |button: &'static str| {
        let page = bob.submit(&bob.open(url).form(url).fill("file", &file), button).is(200);
        let job = page.url.clone();
        assert!(job.starts_with("/settings/users/import/job_"), "{job}");
        by(Duration::from_secs(20), button, async || bob.open(&job).main().contains("Report as CSV")).await;
        bob.open(&job)
    };
    let page = report("Dry run").await.shows("Dry run of an import");
    assert!(page.main().contains("Registered1") && page.main().contains("Rejected1"), "{}", page.main());
    assert_eq!(count(&acme, "cleo"), 0, "a dry run registers nobody");
    let page = report("Import").await;
    let csv = bob.open(&page.link("Report as CSV"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"import-report.csv\"");
    assert!(csv.header("content-type").starts_with("text/csv") && csv.text.contains("rejected"), "{csv:?}");
    assert_eq!(count(&acme, "cleo"), 1);
    let page = bob.open(&format!("{}?result=rejected", page.url)).shows("Rejected");
    assert!(!page.main().contains("Open"), "{}", page.main());
    // Files that cannot be read.
    let page = bob.submit(&bob.open(url).form(url).fill("file", "colour,taste\nred,sweet\n"), "Import");
    assert!([409, 415, 422].contains(&page.status) && page.main().contains("Import users"), "{page:?}");
}

async fn submitting_a_form_twice_has_one_effect(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let form = bob.open("/settings/users/invite").form("/settings/users/invite");
    let form = form.fill("name", "Cleo Tanaka").fill("email", &acme.email("cleo"));
    let (once, twice) = (bob.submit(&form, "Invite").is(200), bob.submit(&form, "Invite").is(200));
    assert_eq!(once.url, twice.url);
    assert_eq!(count(&acme, "cleo"), 1);
    assert_eq!(service.mails_with(&acme.email("cleo"), 1).len(), 1);
    let form = bob.open("/operations/vendors/new").form("/operations/vendors/new");
    let form = form.fill("name", "Tugs & Co").fill("services", "towage").fill("services", "mooring");
    for _ in 0..2 {
        bob.submit(&form, "Save").is(200).shows("Tugs & Co");
    }
    let vendors = acme.admin.get("/v1/organizations/current/vendors").is(200);
    assert_eq!(vendors.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(vendors.body["items"][0]["services"], json!(["towage", "mooring"]));
}

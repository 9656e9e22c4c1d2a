//! Organizations: created, changed, suspended and deactivated.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{service::PASSWORD, shared::SharedService};

on_both_engines!(
    an_organization_is_created_and_deactivated,
    a_suspension_takes_effect_immediately,
    settings_are_changed_and_validated,
    a_patch_of_settings_changes_its_members_only,
);

async fn an_organization_is_created_and_deactivated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    let path = format!("/v1/organizations/{acme}");
    assert_eq!(bob.get("/v1/organizations/current").is(200).body["name"], "Acme");
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["plan"]), ("\"1\"", &json!(null)));
    ana.post(
        "/v1/organizations",
        &json!({"name": "Acme 2", "domain": acme.domain.to_uppercase(),
        "first_admin": {"name": "Eve", "email": acme.email("eve")}}),
    )
    .refused(409, "domain-taken");
    let listed = ana.get(&format!("/v1/organizations?q={}&status=active", acme.domain)).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1, "{listed:?}");
    bob.get("/v1/organizations").refused(403, "forbidden");
    bob.post(&format!("{path}/suspend"), &json!({"reason": "fun"})).refused(403, "forbidden");
    ana.post(&format!("{path}/deactivate"), &json!({"reason": "left"})).is(200);
    ana.post(&format!("{path}/reactivate"), &json!({})).refused(409, "organization-deactivated");
    bob.get(&path).refused(403, "organization-deactivated");
    let platform = "/v1/organizations/current";
    ana.post(&format!("{platform}/suspend"), &json!({"reason": "oops"})).refused(409, "platform-organization");
}

async fn a_suspension_takes_effect_immediately(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (ana, path) = (service.ana(), format!("/v1/organizations/{acme}"));
    ana.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).is(200);
    bob.get(&path).refused(403, "organization-suspended");
    let body = json!({"email": acme.email("bob"), "password": PASSWORD});
    service.send("POST", "/v1/sessions", &[], Some(&body)).refused(403, "organization-suspended");
    ana.patch(&path, &json!({"name": "Acme Ports"})).is(200);
    ana.post(&format!("{path}/reactivate"), &json!({})).is(200);
    bob.get(&path).refused(401, "unauthenticated");
    let bob = acme.sign_in_admin();
    assert_eq!(bob.get(&path).is(200).body["name"], "Acme Ports");
}

async fn settings_are_changed_and_validated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = "/v1/organizations/current";
    let before = bob.get(path).is(200).body;
    assert_eq!((&before["branding"], &before["locale"]), (&json!({}), &json!("en")));
    let good = json!({"branding": {"display_name": "Acme", "primary_colour": "#1A2b3c"}, "locale": "pt-BR",
        "business_hours": {"time_zone": "europe/lisbon", "days": {"monday": [{"opens": "13:00", "closes": "17:30"},
            {"opens": "08:00", "closes": "12:00"}], "saturday": [{"opens": "22:00", "closes": "06:00"}]}}});
    let changed = bob.patch(path, &good).is(200);
    assert_eq!(changed.body["events"].as_array().unwrap().len(), 3, "{changed:?}");
    assert_eq!(bob.patch(path, &good).is(200).body["events"], json!([]), "a repetition yields no events");
    let after = bob.get(path).is(200).body;
    assert_eq!(after["branding"], json!({"display_name": "Acme", "primary_colour": "#1a2b3c"}));
    assert_eq!((&after["locale"], &after["business_hours"]["time_zone"]), (&json!("pt-BR"), &json!("Europe/Lisbon")));
    let days = &after["business_hours"]["days"];
    assert_eq!(days["monday"][0], json!({"opens": "08:00", "closes": "12:00"}), "{days}");
    assert_eq!(days["saturday"], json!([{"opens": "22:00", "closes": "06:00"}]));
    assert_eq!(days["tuesday"], before["business_hours"]["days"]["tuesday"]);
    let days = |days: serde_json::Value| json!({"business_hours": {"days": days}});
    for bad in [
        json!({"branding": {"primary_colour": "red"}}),
        json!({"branding": {"logo": "http://x"}}),
        json!({"business_hours": {"time_zone": "Mars/Base"}}),
        json!({"business_hours": {"time_zone": "Etc/Unknown"}}),
        json!({"business_hours": {"time_zone": "Factory"}}),
        days(json!({"monday": [{"opens": "09:00", "closes": "09:00"}]})),
        days(json!({"monday": [{"opens": "09:00", "closes": "12:00"}, {"opens": "11:00", "closes": "13:00"}]})),
        days(json!({"sunday": [{"opens": "20:00", "closes": "08:01"}]})),
        days(json!({"someday": null})),
        json!({"locale": "klingon!"}),
        json!({"locale": "xx"}),
        json!({"locale": "en-XX"}),
        json!({"plan": "enterprise"}),
        json!({"name": "A\u{7}"}),
    ] {
        assert_eq!(bob.patch(path, &bad).status, 422, "{bad}");
    }
    assert_eq!(bob.get(path).is(200).body, after);
    assert_eq!(bob.patch("/v1/me", &json!({"locale": "xx"})).status, 422);
}

async fn a_patch_of_settings_changes_its_members_only(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = "/v1/organizations/current";
    bob.patch(path, &json!({"branding": {"display_name": "Acme", "logo": "https://acme.example/a.svg"}})).is(200);
    bob.patch(path, &json!({"branding": {"display_name": null}})).is(200);
    assert_eq!(bob.get(path).is(200).body["branding"], json!({"logo": "https://acme.example/a.svg"}));
    bob.patch(path, &json!({"business_hours": {"days": {"friday": null}}})).is(200);
    let hours = bob.get(path).is(200).body["business_hours"].clone();
    let days: Vec<&str> = hours["days"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((days, &hours["time_zone"]), (vec!["monday", "thursday", "tuesday", "wednesday"], &json!("UTC")));
}

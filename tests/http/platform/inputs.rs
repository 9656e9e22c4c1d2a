//! Inputs that are wrong or unusual: accepted, or refused with the place of each fault.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{service::Answer, shared::SharedService};

on_both_engines!(
    nul_in_a_parameter_is_refused_at_the_parameter,
    nul_in_an_export_is_refused_before_it_is_recorded,
    each_fault_of_a_query_is_named_without_its_value,
    instants_are_accepted_as_people_write_them,
    an_unknown_action_is_refused,
    a_body_may_begin_with_a_byte_order_mark,
    all_missing_members_are_named_with_their_pointer,
    a_precondition_is_a_list_of_tags,
    responses_of_the_api_are_not_stored_on_the_way,
);

const USERS: &str = "/v1/organizations/current/users";
const AUDIT_LOG: &str = "/v1/organizations/current/audit-log";

/// Pointer and detail of each fault.
fn faults(answer: &Answer) -> Vec<(&str, &str)> {
    let all = answer.body["errors"].as_array().unwrap().iter();
    all.map(|it| (it["pointer"].as_str().unwrap(), it["detail"].as_str().unwrap())).collect()
}

async fn nul_in_a_parameter_is_refused_at_the_parameter(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ana) = (&acme.admin, &service.ana());
    for (caller, path) in [
        (bob, format!("{USERS}?q=")),
        (bob, format!("{AUDIT_LOG}?q=")),
        (ana, "/v1/platform/users?q=".to_owned()),
        (ana, "/v1/platform/users?organization=".to_owned()),
        (ana, "/v1/organizations?q=".to_owned()),
    ] {
        let refused = caller.get(&format!("{path}a%00bcd")).refused(422, "invalid-fields");
        let name = path.split(['?', '=']).nth(1).unwrap();
        assert_eq!(faults(&refused), [(name, "must not contain the character NUL")], "{path}");
    }
}

async fn nul_in_an_export_is_refused_before_it_is_recorded(service: &'static SharedService) {
    let acme = service.organization().await;
    let body = json!({"format": "json", "selection": {"q": "a\0bcd"}});
    acme.admin.post(&format!("{AUDIT_LOG}/export"), &body).refused(422, "invalid-fields");
    let recorded = acme.admin.get(&format!("{AUDIT_LOG}?action=export")).is(200);
    assert_eq!(recorded.body["items"], json!([]));
}

async fn each_fault_of_a_query_is_named_without_its_value(service: &'static SharedService) {
    let acme = service.organization().await;
    let refused = acme.admin.get(&format!("{USERS}?role=hunter2&status=hunter2")).refused(422, "invalid-fields");
    let mut pointers: Vec<_> = faults(&refused).into_iter().map(|(pointer, _)| pointer).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["role", "status"], "{refused:?}");
    assert!(!refused.body.to_string().contains("hunter2"), "{refused:?}");
    let refused = acme.admin.get(&format!("{USERS}?limit=hunter2")).refused(422, "invalid-fields");
    assert_eq!(faults(&refused), [("limit", "must be a whole number in the range of this parameter")]);
    let refused = acme.admin.post(&format!("{USERS}?dry_run=hunter2"), &json!({})).refused(422, "invalid-fields");
    assert_eq!(faults(&refused), [("dry_run", "must be true or false")]);
}

async fn instants_are_accepted_as_people_write_them(service: &'static SharedService) {
    let acme = service.organization().await;
    for from in ["2026-11-27", "2026-11-27T10:00:00+02:00", "2026-11-27T10:00:00%2B02:00", "2026-11-27T08:00:00Z"] {
        acme.admin.get(&format!("{AUDIT_LOG}?from={from}&until=9999-12-31T23:59:59Z")).is(200);
    }
    let refused = acme.admin.get(&format!("{AUDIT_LOG}?from=yesterday")).refused(422, "invalid-fields");
    let detail = "must be an instant such as 2026-11-27T08:30:00Z, or a date such as 2026-11-27";
    assert_eq!(faults(&refused), [("from", detail)]);
}

async fn an_unknown_action_is_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    let refused = acme.admin.get(&format!("{AUDIT_LOG}?action=nope")).refused(422, "invalid-fields");
    assert_eq!(faults(&refused)[0].0, "action");
    for action in ["user", "user.role_changed", "session.started"] {
        acme.admin.get(&format!("{AUDIT_LOG}?action={action}")).is(200);
    }
}

async fn a_body_may_begin_with_a_byte_order_mark(service: &'static SharedService) {
    let acme = service.organization().await;
    let body = "\u{feff}{\"name\": \"Bobby\"}";
    let changed = acme.admin.send_bytes("PATCH", "/v1/me", "application/json", body.as_bytes());
    changed.unwrap().is(200);
}

async fn all_missing_members_are_named_with_their_pointer(service: &'static SharedService) {
    let acme = service.organization().await;
    let refused = acme.admin.post(USERS, &json!({"name": 5})).refused(422, "invalid-fields");
    let faults = faults(&refused);
    assert!(faults.contains(&("/name", "must be a string")), "{refused:?}");
    assert!(faults.contains(&("/email", "is required")), "{refused:?}");
    assert!(faults.iter().all(|(_, detail)| !detail.contains("struct") && !detail.contains("field")), "{refused:?}");
}

async fn a_precondition_is_a_list_of_tags(service: &'static SharedService) {
    let acme = service.organization().await;
    let tag = acme.admin.get("/v1/me").is(200).header("etag").to_owned();
    let change = |tags: &str, name: &str| {
        acme.admin.send("PATCH", "/v1/me", &[("if-match", tags)], Some(&json!({"name": name})))
    };
    change(&format!("W/{tag}"), "Weak").refused(412, "outdated");
    change("\"999\", \"other\"", "None").refused(412, "outdated");
    let changed = change(&format!("\"999\", {tag}"), "Among Several").is(200);
    change(changed.header("etag"), "One").is(200);
    change("*", "Any").is(200);
    change("no tag", "Malformed").refused(422, "invalid-fields");
}

async fn responses_of_the_api_are_not_stored_on_the_way(service: &'static SharedService) {
    let acme = service.organization().await;
    let signed_in = service.try_sign_in(&acme.email("bob"), crate::service::PASSWORD).is(201);
    let key = acme.admin.post("/v1/organizations/current/api-keys", &json!({"name": "cc"})).is(201);
    for answer in [signed_in, key, acme.admin.get("/v1/me").is(200)] {
        assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
    }
}

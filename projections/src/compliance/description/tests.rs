use porttask_domain::DomainEvent;

use super::*;
use crate::audit_text::ERASED;

/// The stored samples of all events, and their descriptions: one line each.
const SAMPLES: &str = include_str!("../../../../domain/samples/events.jsonl");
const DESCRIPTIONS: &str = include_str!("../../../samples/descriptions.txt");

const ANA: &str = r#"{"address_rules":1,
    "email":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":"ana@acme.example"}},
    "expires_at":"2026-12-02T09:00:00Z",
    "name":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":"Ana Souza"}},
    "permissions":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},"role":"agent"}"#;

const ERASED_ANA: &str = r#"{"address_rules":1,
    "email":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":null}},
    "expires_at":"2026-12-02T09:00:00Z",
    "name":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":null}},
    "permissions":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},"role":"agent"}"#;

fn described(event_type: &str, data: &str) -> Description {
    describe(event_type, Uuid::from_u128(11), &DomainEvent::decode(event_type, data.as_bytes()).unwrap())
}

fn changes(event_type: &str, data: &str) -> Vec<(&'static str, Option<String>, Option<String>)> {
    described(event_type, data).changes.into_iter().map(|FieldChange { field, from, to }| (field, from, to)).collect()
}

fn change(field: &'static str, from: &str, to: &str) -> (&'static str, Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (field, some(from), some(to))
}

/// Event types with their data, as stored.
fn samples() -> impl Iterator<Item = (String, String)> {
    SAMPLES.lines().map(|line| {
        let sample: serde_json::Value = serde_json::from_str(line).unwrap();
        (sample["type"].as_str().unwrap().to_owned(), sample["data"].to_string())
    })
}

/// Every event has a sample (a test of `domain` ensures it), so every event is described here.
#[test]
fn every_event_has_a_sentence_and_search_words() {
    let mut described = String::new();
    for (event_type, data) in samples() {
        let event = DomainEvent::decode(&event_type, data.as_bytes()).unwrap();
        let sentence = describe(&event_type, Uuid::from_u128(11), &event).summary;
        let words = searched_text(&event_type, &event, false);
        assert_eq!(searched_text(&event_type, &event, true), format!("{words} impersonated"), "{event_type}");
        described.push_str(&format!("{event_type} | {sentence} | {words}\n"));
    }
    if described != DESCRIPTIONS {
        std::fs::write("samples/descriptions.txt", &described).unwrap();
        panic!("projections/samples/descriptions.txt was regenerated: review the changes and run the test again");
    }
}

#[test]
fn words_of_a_sentence_are_found_unless_they_are_personal() {
    for (event_type, data) in samples() {
        let event = DomainEvent::decode(&event_type, data.as_bytes()).unwrap();
        let words = searched_text(&event_type, &event, false);
        let mut personal = personal_values(&serde_json::from_str(&data).unwrap());
        personal.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let mut sentence = describe(&event_type, Uuid::from_u128(11), &event).summary.replace(ERASED, "");
        for value in &personal {
            sentence = sentence.replace(value, "");
            assert!(!words.contains(&normalized(value)), "{event_type}: {value} in {words}");
        }
        for word in sentence.split([' ', ':', ',', ';', '<', '>']).filter(|word| !word.is_empty()) {
            assert!(words.contains(&normalized(word)), "{event_type}: {word} not in {words}");
        }
    }
}

fn personal_values(data: &serde_json::Value) -> Vec<String> {
    match data {
        serde_json::Value::Object(members) => match members.get("$personal") {
            Some(content) => content["value"].as_str().map(str::to_owned).into_iter().collect(),
            None => members.values().flat_map(personal_values).collect(),
        },
        serde_json::Value::Array(items) => items.iter().flat_map(personal_values).collect(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => Vec::new(),
    }
}

#[test]
fn an_action_has_no_version_and_a_target_has_a_kind() {
    for (event_type, data, target) in [
        ("user.deactivated.v1", "{}", "user usr_0000000000000000000000000b"),
        ("organization.reactivated.v1", "{}", "organization org_0000000000000000000000000b"),
        ("session.ended.v1", r#"{"by":"sign_out"}"#, "session ses_0000000000000000000000000b"),
    ] {
        let description = described(event_type, data);
        assert_eq!(description.target.to_string(), target);
        assert_eq!(format!("{}.v1", description.action), event_type);
    }
    assert_eq!(action("user.vanished.v12"), "user.vanished");
}

#[test]
fn an_invitation_lists_the_values_of_the_new_account() {
    let expected = |name: &str, email: &str| {
        vec![
            change("name", "", name),
            change("email", "", email),
            change("role", "", "agent"),
            change("tickets", "", "write"),
            change("invoices", "", "read"),
            change("reports", "", "read"),
            change("administration", "", "none"),
            change("invitation_expires_at", "", "2026-12-02T09:00:00Z"),
        ]
    };
    assert_eq!(changes("user.invited.v1", ANA), expected("Ana Souza", "ana@acme.example"));
    assert_eq!(changes("user.invited.v1", ERASED_ANA), expected("[erased]", "[erased]"));
}

#[test]
fn only_different_values_are_changes() {
    let unpaid =
        r#"{"reason":{"$personal":{"of":"per_00000000000000000000000007","sealing":"identity","value":"unpaid"}}}"#;
    for (event_type, data, expected) in [
        ("user.role_changed.v1", r#"{"from":"agent","to":"read_only"}"#, vec![change("role", "agent", "read_only")]),
        (
            "user.permissions_changed.v1",
            r#"{"from":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},
                "to":{"administration":"none","invoices":"none","reports":"read","tickets":"read"}}"#,
            vec![change("tickets", "write", "read"), change("invoices", "read", "none")],
        ),
        (
            "organization.branding_changed.v1",
            r#"{"from":{"display_name":"Acme"},"to":{"logo":"https://acme.example/logo.svg"}}"#,
            vec![change("display_name", "Acme", ""), change("logo", "", "https://acme.example/logo.svg")],
        ),
        (
            "organization.business_hours_changed.v1",
            r#"{"from":{"days":{},"time_zone":"UTC"},
                "to":{"days":{"saturday":[{"closes":"12:30","opens":"08:15"},{"closes":"02:00","opens":"22:00"}]},"time_zone":"Europe/Lisbon"}}"#,
            vec![change("time_zone", "UTC", "Europe/Lisbon"), change("saturday", "", "08:15-12:30, 22:00-02:00")],
        ),
        ("organization.suspended.v1", unpaid, vec![change("status", "", "suspended"), change("reason", "", "unpaid")]),
        ("session.ended.v1", r#"{"by":"sign_out"}"#, vec![]),
    ] {
        assert_eq!(changes(event_type, data), expected, "{event_type}");
    }
}

#[test]
fn a_description_is_json() {
    let description = described("user.role_changed.v1", r#"{"from":"agent","to":"admin"}"#);
    let expected = serde_json::json!({
        "action": "user.role_changed",
        "target": {"kind": "user", "id": "usr_0000000000000000000000000b"},
        "summary": "changed the role from Agent to Admin",
        "changes": [{"field": "role", "from": "agent", "to": "admin"}],
    });
    assert_eq!(serde_json::to_value(description).unwrap(), expected);
}

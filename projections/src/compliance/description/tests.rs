use porttask_domain::Fact;

use super::*;

const REGISTERED: &str = r#"{"address_rules":1,
    "email":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":null}},
    "name":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":"Ana Souza"}},
    "permissions":{"administration":"none","invoices":"read","reports":"read","tickets":"none"},"role":"auditor"}"#;

/// An event, its sentence, and the words by which it is found.
const SENTENCES: &[(&str, &str, &str, &str)] = &[
    (
        "organization.created.v1",
        r##"{"domain":"acme.example","name":"Acmé","plan":"starter","settings":{"branding":{"primary_colour":"#1a2b3c"},
            "business_hours":{"days":{"monday":{"closes":"17:00","opens":"09:00"}},"time_zone":"UTC"},"locale":"en"},
            "trial_ends_at":"2026-12-09T09:00:00Z"}"##,
        "created the organization Acmé",
        "created the organization acme acme.example starter #1a2b3c utc 09:00-17:00 en",
    ),
    (
        "organization.renamed.v1",
        r#"{"from":"Acmé","to":"Acme Ports"}"#,
        "renamed the organization from Acmé to Acme Ports",
        "renamed the organization from acme to acme ports",
    ),
    (
        "organization.branding_changed.v1",
        r#"{"from":{"display_name":"Acme"},"to":{"logo":"https://acme.example/logo.svg"}}"#,
        "changed the branding",
        "changed the branding acme https://acme.example/logo.svg organization branding_changed",
    ),
    (
        "organization.business_hours_changed.v1",
        r#"{"from":{"days":{},"time_zone":"UTC"},
            "to":{"days":{"saturday":{"closes":"12:30","opens":"08:15"}},"time_zone":"Europe/Lisbon"}}"#,
        "changed the business hours",
        "changed the business hours utc europe/lisbon 08:15-12:30 organization business_hours_changed",
    ),
    (
        "organization.locale_changed.v1",
        r#"{"from":"en","to":"pt-BR"}"#,
        "changed the locale from en to pt-BR",
        "changed the locale from en to pt-br organization locale_changed",
    ),
    (
        "organization.suspended.v1",
        r#"{"reason":{"$personal":{"of":"per_00000000000000000000000007","sealing":"identity","value":"unpaid"}}}"#,
        "suspended the organization: unpaid",
        "suspended the organization",
    ),
    ("organization.reactivated.v1", "{}", "reactivated the organization", "reactivated the organization active"),
    (
        "organization.deactivated.v1",
        r#"{"reason":{"$personal":{"of":"per_00000000000000000000000007","sealing":"identity","value":null}}}"#,
        "deactivated the organization for good: [erased]",
        "deactivated the organization for good",
    ),
    ("user.invited.v1", ANA, "invited Ana Souza <ana@acme.example> as agent", "invited as agent write read none user"),
    ("user.invited.v1", ERASED, "invited [erased] <[erased]> as agent", "invited as agent write read none user"),
    (
        "user.invitation_accepted.v1",
        "{}",
        "accepted the invitation",
        "accepted the invitation active user invitation_accepted",
    ),
    (
        "user.role_changed.v1",
        r#"{"from":"agent","to":"read_only"}"#,
        "changed the role from agent to read_only",
        "changed the role from agent to read_only user role_changed",
    ),
    (
        "user.permissions_changed.v1",
        r#"{"from":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},
            "to":{"administration":"none","invoices":"none","reports":"read","tickets":"read"}}"#,
        "changed the permissions: tickets from write to read, invoices from read to none",
        "changed the permissions tickets from write to read invoices from read to none user permissions_changed",
    ),
    ("user.deactivated.v1", "{}", "deactivated the user", "deactivated the user"),
    ("user.reactivated.v1", "{}", "reactivated the user", "reactivated the user"),
    (
        "session.started.v1",
        r#"{"expires_at":"2026-12-02T09:00:00Z","method":"password","user":"usr_0000000000000000000000000b"}"#,
        "signed in with a password",
        "signed in with a password session started",
    ),
    (
        "session.impersonation_started.v1",
        r#"{"eras":{"organization":0,"user":0},"expires_at":"2026-12-02T10:00:00Z",
            "impersonator":{"session":"ses_00000000000000000000000002","user":"usr_00000000000000000000000001"},
            "reason":{"$personal":{"of":"per_00000000000000000000000007","sealing":"identity","value":"unpaid"}},
            "started_at":"2026-12-02T09:00:00Z","user":"usr_0000000000000000000000000b"}"#,
        "began to act as the user: unpaid",
        "began to act as the user session impersonation_started",
    ),
    (
        "mailbox.accounts_told.v1",
        r#"{"at":"2026-12-02T09:00:00Z",
            "email":{"$personal":{"of":"per_00000000000000000000000005","sealing":"identity","value":null}}}"#,
        "told by mail which accounts there are with [erased]",
        "told by mail which accounts there are with mailbox accounts_told",
    ),
    ("reading.noted.v1", r#"{"operation":"list_users","times":1}"#, "read list_users", "read list_users reading noted"),
    ("session.ended.v1", r#"{"by":"sign_out"}"#, "signed out", "signed out session ended"),
    ("session.ended.v1", r#"{"by":"revocation"}"#, "revoked the session", "revoked the session ended"),
    (
        "user.registered.v1",
        REGISTERED,
        "registered Ana Souza <[erased]> as auditor",
        "registered as auditor none read user",
    ),
    (
        "user.invitation_sent.v1",
        r#"{"expires_at":"2026-12-02T09:00:00Z"}"#,
        "sent an invitation",
        "sent an invitation user invitation_sent",
    ),
    (
        "refusal.noted.v1",
        r#"{"operation":"list_users","problem":"forbidden","times":1}"#,
        "was refused list_users: forbidden",
        "was refused list_users forbidden refusal noted",
    ),
    (
        "refusal.noted.v1",
        r#"{"operation":"list_users","problem":"forbidden","times":17}"#,
        "was refused list_users: forbidden, 17 times",
        "was refused list_users forbidden 17 times refusal noted",
    ),
    (
        "export.audit_log_taken.v1",
        r#"{"format":"csv","selection":{"action":"user.invited","from":"2026-11-01T00:00:00Z","text":
            {"$personal":{"of":"per_00000000000000000000000007","sealing":"identity","value":"ana"}}}}"#,
        "exported the audit log as csv",
        "exported the audit log as csv user.invited audit_log_taken",
    ),
];

const ANA: &str = r#"{"address_rules":1,
    "email":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":"ana@acme.example"}},
    "expires_at":"2026-12-02T09:00:00Z",
    "name":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":"Ana Souza"}},
    "permissions":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},"role":"agent"}"#;

const ERASED: &str = r#"{"address_rules":1,
    "email":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":null}},
    "expires_at":"2026-12-02T09:00:00Z",
    "name":{"$personal":{"of":"per_0000000000000000000000000b","sealing":"identity","value":null}},
    "permissions":{"administration":"none","invoices":"read","reports":"read","tickets":"write"},"role":"agent"}"#;

fn described(event_type: &str, data: &str) -> Description {
    describe(event_type, Uuid::from_u128(11), &Fact::decode(event_type, data.as_bytes()).unwrap())
}

fn changes(event_type: &str, data: &str) -> Vec<(&'static str, Option<String>, Option<String>)> {
    described(event_type, data).changes.into_iter().map(|FieldChange { field, from, to }| (field, from, to)).collect()
}

fn change(field: &'static str, from: &str, to: &str) -> (&'static str, Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (field, some(from), some(to))
}

#[test]
fn every_event_has_a_sentence_and_words() {
    for (event_type, data, sentence, words) in SENTENCES {
        assert_eq!(described(event_type, data).summary, *sentence);
        let fact = Fact::decode(event_type, data.as_bytes()).unwrap();
        assert_eq!(searched(event_type, &fact, false), *words, "{event_type}");
        assert_eq!(searched(event_type, &fact, true), format!("{words} impersonated"), "{event_type}");
    }
}

#[test]
fn what_is_read_is_found_but_what_is_personal() {
    for (event_type, _, sentence, words) in SENTENCES {
        let personal = ["Ana", "Souza", "<ana@acme.example>", "unpaid", "[erased]", "<[erased]>"];
        for word in sentence.split_whitespace().filter(|word| !personal.contains(word)) {
            assert!(words.contains(&folded(word.trim_end_matches([':', ',']))), "{event_type}: {word}");
        }
        let is_personal = personal.iter().any(|word| words.contains(folded(word).as_str()));
        assert!(!is_personal, "{event_type}: {words}");
    }
}

#[test]
fn an_action_has_no_version_and_a_target_says_what_it_is() {
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
fn an_invitation_says_what_is_there_since() {
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
    assert_eq!(changes("user.invited.v1", ERASED), expected("[erased]", "[erased]"));
}

#[test]
fn only_what_is_different_is_a_change() {
    for (event_type, expected) in [
        ("user.role_changed.v1", vec![change("role", "agent", "read_only")]),
        ("user.permissions_changed.v1", vec![change("tickets", "write", "read"), change("invoices", "read", "none")]),
        (
            "organization.branding_changed.v1",
            vec![change("display_name", "Acme", ""), change("logo", "", "https://acme.example/logo.svg")],
        ),
        (
            "organization.business_hours_changed.v1",
            vec![change("time_zone", "UTC", "Europe/Lisbon"), change("saturday", "", "08:15-12:30")],
        ),
        ("organization.suspended.v1", vec![change("standing", "", "suspended"), change("reason", "", "unpaid")]),
        ("organization.deactivated.v1", vec![change("standing", "", "deactivated"), change("reason", "", "[erased]")]),
        ("session.ended.v1", vec![]),
    ] {
        let (_, data, ..) = SENTENCES.iter().find(|(name, ..)| *name == event_type).unwrap();
        assert_eq!(changes(event_type, data), expected, "{event_type}");
    }
}

#[test]
fn a_description_is_json() {
    let description = described("user.role_changed.v1", r#"{"from":"agent","to":"admin"}"#);
    let expected = serde_json::json!({
        "action": "user.role_changed",
        "target": {"kind": "user", "id": "usr_0000000000000000000000000b"},
        "summary": "changed the role from agent to admin",
        "changes": [{"field": "role", "from": "agent", "to": "admin"}],
    });
    assert_eq!(serde_json::to_value(description).unwrap(), expected);
}

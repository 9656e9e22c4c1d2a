//! Invitations: sent one by one or many at once, accepted once, replaced and revoked.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, on_both_engines};
use serde_json::json;

use crate::{
    mailbox::{DataDirectory, invitation_token},
    service::{ADMIN, Answer, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    an_invitation_is_accepted_once,
    an_invitation_is_emailed_and_its_link_accepts_it,
    a_new_invitation_replaces_the_previous_one,
    an_invitation_is_revoked,
    many_users_are_invited_in_one_request,
);

async fn an_invitation_is_accepted_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let user = acme.invite("cleo", "Cleo", "read_only");
    let token = service.invitation(&acme.id, &user);
    let accept = |password: &str| {
        let body = json!({"token": token, "password": password});
        service.send("POST", "/v1/invitations/accept", &[], Some(&body))
    };
    accept(&acme.email("cleo")).refused(422, "invalid-fields");
    accept(PASSWORD).is(200);
    accept("another horse battery").refused(409, "invitation-accepted");
    service.sign_in(&acme.email("cleo"));
}

async fn an_invitation_is_emailed_and_its_link_accepts_it(store: Store) {
    let data = DataDirectory::of(&store);
    let public_url = ("PORTTASK_PUBLIC_URL", "https://admin.porttask.example/");
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], data.variable(), public_url]);
    let (organization, _) = service.create_organization(&service.ana(), "acme.example");
    let [(path, mail)] = &data.mails(1)[..] else { panic!("more than one email") };
    for line in [
        "To: \"Bob Fisher\" <bob@acme.example>",
        "From: PortTask <no-reply@admin.porttask.example>",
        "Subject: You have been invited to Acme",
        "You have been invited to join Acme on PortTask as an admin.",
    ] {
        assert!(mail.lines().any(|it| it == line), "no {line} in {mail}");
    }
    assert!(mail.contains("\r\nhttps://admin.porttask.example/invitation#token="), "{mail}");
    // For links that were cut on the way.
    assert!(mail.lines().any(|line| line == invitation_token(mail)), "{mail}");
    assert!(mail.contains(&format!(">{}</code>", invitation_token(mail))), "{mail}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path), mode(&data.mail_folder())), (0o600, 0o700));
    assert!(!path.to_str().unwrap().contains("bob"), "{path:?}");
    service.accept_with(invitation_token(mail)).is(200);
    let bob = service.sign_in("bob@acme.example");

    let users = format!("/v1/organizations/{organization}/users");
    let body = json!({"name": "João Crâne", "email": "joao@acme.example", "role": "agent"});
    bob.post(&users, &body).is(201);
    let all = data.mails(2);
    let joaos = &all[1].1;
    // Readable without decoding.
    assert!(joaos.contains("\r\n\r\nHello João Crâne,\r\n\r\nBob Fisher invites you to join Acme"), "{joaos}");
    assert!(joaos.contains("<p>Hello João Crâne,</p>\r\n"), "{joaos}");
    assert!(joaos.contains("\r\nSubject: Bob Fisher invites you to Acme\r\n"), "{joaos}");
    service.accept_with(invitation_token(joaos)).is(200);
    let metrics = service.send("GET", "/metrics", &[], None).is(200);
    let metrics = metrics.body.as_str().unwrap();
    assert!(metrics.contains("porttask_tasks_total{reactor=\"mail\",outcome=\"done\"} 2"), "{metrics}");
    assert!(metrics.contains("porttask_reactor_held{reactor=\"mail\"} 0"), "{metrics}");
}

async fn a_new_invitation_replaces_the_previous_one(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let carol = acme.invite("carol", "Carol Crane", "agent");
    let invite = format!("/v1/organizations/{acme}/users/{carol}/invite");
    let first = service.mails_with(&acme.email("carol"), 1).remove(0);
    bob.post(&invite, &json!({})).is(200);
    let both = service.mails_with(&acme.email("carol"), 2);
    assert_eq!(both.len(), 2);
    let second = both.iter().find(|mail| mail.0 != first.0).unwrap();
    service.accept_with(invitation_token(&first.1)).refused(409, "invitation-replaced");
    service.accept_with(invitation_token(&second.1)).is(200);
    bob.post(&invite, &json!({})).refused(409, "invitation-accepted");
}

async fn an_invitation_is_revoked(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    let carol = acme.invite("carol", "Carol Crane", "agent");
    let path = format!("{users}/{carol}");
    bob.post(&format!("{path}/revoke-invitation"), &json!({})).is(200);
    let shown = bob.get(&path).is(200);
    assert_eq!((&shown.body["status"], &shown.body["invitation_expires_at"]), (&json!("registered"), &json!(null)));
    service.accept(&acme.id, &carol).refused(409, "invitation-revoked");
    bob.post(&format!("{path}/invite"), &json!({})).is(200);
    service.accept(&acme.id, &carol).refused(409, "invitation-replaced");
    service.accept_with(&service.link(Purpose::Invitation, &acme.id, &carol, 2)).is(200);
    bob.post(&format!("{path}/revoke-invitation"), &json!({})).refused(409, "invitation-accepted");
}

async fn many_users_are_invited_in_one_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = "/v1/organizations/current/users/invite";
    let person = |name: &str, email: String, role: &str| json!({"name": name, "email": email, "role": role});
    let body = json!({"users": [
        person("Carol Crane", acme.email("carol"), "agent"),
        person("Dan", "no address".to_owned(), "agent"),
        person("Bob again", acme.email("BOB"), "agent"),
        person("Eve", acme.email("eve"), "super_admin"),
        person("Frank", acme.email("frank"), "auditor"),
    ]});
    let statuses = |answer: &Answer| {
        let items = answer.body["items"].as_array().unwrap().iter();
        items.map(|item| item["status"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let trial = bob.post(&format!("{path}?dry_run=true"), &body).is(200);
    assert_eq!(statuses(&trial), [200, 422, 409, 422, 200]);
    let send = || bob.send("POST", path, &[("idempotency-key", "crew")], Some(&body)).is(200);
    let answer = send();
    assert_eq!(statuses(&answer), [201, 422, 409, 422, 201], "{answer:?}");
    let items = answer.body["items"].clone();
    assert_eq!(items[1]["problem"]["errors"][0]["pointer"], "/email");
    assert_eq!(items[2]["problem"]["type"], "urn:porttask:problem:email-taken");
    let again = send();
    for place in [0, 4] {
        let invited = |answer: &Answer| answer.body["items"][place]["invited"].clone();
        assert_eq!(invited(&again)["id"], invited(&answer)["id"], "{again:?}");
        assert_eq!(invited(&again)["repeated"], true);
    }
    let listed = bob.get(&format!("/v1/organizations/{acme}/users")).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
    bob.post(path, &json!({"users": []})).refused(422, "invalid-fields");
    let many: Vec<_> = (0..101).map(|n| person("P", acme.email(format!("p{n}")), "agent")).collect();
    bob.post(path, &json!({"users": many})).refused(422, "invalid-fields");
}

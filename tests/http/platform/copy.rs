//! A service that moves from the embedded log to PostgreSQL.

use std::process::Output;

use porttask_tests::{Engine, Store, run_on, run_sql};
use serde_json::{Value, json};

use crate::{
    mailbox::DataDirectory,
    service::{ADMIN, Caller, Service, porttask},
};

const KEYS: &str = "/v1/organizations/current/api-keys";
const USERS: &str = "/v1/organizations/current/users";
const JOBS: &str = "/v1/organizations/current/jobs";
const LOG: &str = "/v1/organizations/current/audit-log?limit=100";

fn copy(store: &Store, target: &Store) -> Output {
    porttask(store, &["copy", "--to", target.place(), "--json"]).output().unwrap()
}

/// The entries of the audit log up to one, the oldest last.
fn entries(caller: &Caller<'_>, last: Option<&Value>) -> Vec<Value> {
    let items = caller.get(LOG).is(200).body["items"].as_array().unwrap().clone();
    items.into_iter().skip_while(|entry| last.is_some_and(|last| entry["id"] != last["id"])).collect()
}

/// The positions, ids and hashes of all events.
fn events(store: &Store) -> Vec<String> {
    let output = porttask(store, &["events", "tail", "--partition", "0", "-n", "1000", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_service_continues_on_postgres_with_all_credentials_and_open_tasks() {
    run_on(Engine::Sqlite, async |store: Store| {
        // Emails fail for now, so their tasks wait.
        let smtp = [("PORTTASK_SMTP_URL", "smtp://127.0.0.1:9"), ADMIN[0], ADMIN[1]];
        let service = Service::start_with(&store, &smtp);
        let (_, bob) = service.found(&store, "acme.example").await;
        let key = bob.post(KEYS, &json!({"name": "harbour robot"})).is(201).body["token"].clone();
        let invitation = json!({"name": "Cleo Tanaka", "email": "cleo@acme.example", "role": "agent"});
        let once = [("idempotency-key", "cleo-1")];
        let invited = bob.send("POST", USERS, &once, Some(&invitation)).is(201).body;
        let file = "name,email,role\nDan Silva,dan@acme.example,agent\n";
        let job = bob.upload(&format!("{USERS}/import"), &[("idempotency-key", "import-1")], file).is(202);
        let path = format!("{JOBS}/{}", job.id());
        while bob.get(&path).is(200).body["state"] != "done" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let report = bob.get(&format!("{path}/report")).is(200).body;
        let session = bob.authorization().to_owned();
        let log = entries(&bob, None);

        let target = Store::fresh(Engine::Postgres);
        let refused = copy(&store, &target);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains("in use"), "{said}");
        drop(service);
        let copied = copy(&store, &target);
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        assert_eq!(events(&store), events(&target));
        let again = copy(&store, &target);
        assert!(String::from_utf8_lossy(&again.stderr).contains("already has a log"), "{again:?}");
        // They need not be waited for.
        run_sql(&target, "UPDATE ledger.tasks SET due_at = now() WHERE state = 'scheduled'").await;

        let data = DataDirectory::of(&target);
        let service = Service::start_with(&target, &[ADMIN[0], ADMIN[1], data.variable()]);
        service.sign_in("bob@acme.example");
        service.ana();
        let bob = service.caller(session, Value::Null);
        service.with_token(&key).get(USERS).is(200);
        assert_eq!(entries(&bob, log.first()), log);
        assert_eq!(bob.get(&format!("{path}/report")).is(200).body, report);
        let repeated = bob.send("POST", USERS, &once, Some(&invitation));
        assert_eq!(repeated.body["id"], invited["id"], "{repeated:?}");
        bob.patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);
        data.mails_with("cleo@acme.example", 1);
        service.create_organization(&service.ana(), "umbra.example");
        data.mails_with("bob@umbra.example", 1);
        assert_eq!(data.mails_with("cleo@acme.example", 1).len(), 1, "the invitation was sent twice");
    });
}

//! Vendors: created, changed, archived, listed, and who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{service::Caller, shared::SharedService};

on_both_engines!(
    a_vendor_is_created_changed_and_archived,
    all_faults_of_a_vendor_are_reported_at_once,
    vendors_are_listed_searched_and_filtered,
    vendors_belong_to_an_organization_and_low_roles_only_read,
    the_audit_log_shows_what_happened_to_a_vendor,
);

const VENDORS: &str = "/v1/organizations/current/vendors";

fn tugs() -> Value {
    json!({"name": "Svitzer Santos", "services": ["towage", "mooring"], "order_email": "orders@svitzer.example",
        "contacts": [{"name": "Rui Prado", "email": "rui@svitzer.example"}]})
}

fn create(caller: &Caller<'_>, vendor: &Value) -> String {
    let created = caller.post(VENDORS, vendor).is(201);
    assert!(created.header("location").ends_with(created.id()), "{created:?}");
    format!("{VENDORS}/{}", created.id())
}

async fn a_vendor_is_created_changed_and_archived(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = create(bob, &tugs());
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["status"]), ("\"1\"", &json!("active")));
    assert_eq!(shown.body["services"], json!(["towage", "mooring"]));
    assert_eq!(shown.body["contacts"][0]["name"], "Rui Prado");

    let contacts = json!([{"name": "Rui Prado", "email": "rui@svitzer.example"},
        {"name": "Ida Lund", "email": "ida@svitzer.example"}]);
    let patch = json!({"name": "Svitzer", "services": ["towage"], "order_email": null, "contacts": contacts});
    assert_eq!(bob.patch(&path, &patch).is(200).body["events"].as_array().unwrap().len(), 4);
    assert_eq!(bob.patch(&path, &patch).is(200).body["events"], json!([]), "a repetition yields no events");
    let changed = bob.get(&path).is(200).body;
    assert_eq!((&changed["name"], &changed["order_email"]), (&json!("Svitzer"), &Value::Null));
    assert_eq!(changed["contacts"][0]["id"], shown.body["contacts"][0]["id"], "the same contact keeps its id");
    assert_eq!(changed["contacts"][1]["email"], "ida@svitzer.example");

    bob.send("PATCH", &path, &[("if-match", "\"1\"")], Some(&json!({"name": "Late"}))).refused(412, "outdated");
    bob.post(&format!("{path}/archive"), &json!({})).is(200);
    assert_eq!(bob.get(&path).is(200).body["status"], "archived");
    bob.patch(&path, &json!({"name": "Boluda"})).refused(409, "vendor-archived");
    bob.post(&format!("{path}/restore"), &json!({})).is(200);
    assert_eq!(bob.post(&format!("{path}/restore"), &json!({})).is(200).body["events"], json!([]));
    bob.patch(&path, &json!({"name": "Boluda"})).is(200);
}

async fn all_faults_of_a_vendor_are_reported_at_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let bad = json!({"name": "", "services": ["teleportation"], "order_email": "nobody", "rank": 1,
        "contacts": [{"name": "Rui", "email": "rui@svitzer.example"}, {"name": "www.evil.example", "email": 5}]});
    let refused = bob.post(VENDORS, &bad).refused(422, "invalid-fields");
    let errors = refused.body["errors"].as_array().unwrap();
    let mut pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    let expected = ["/contacts/1/email", "/contacts/1/name", "/name", "/order_email", "/rank", "/services/0"];
    assert_eq!(pointers, expected, "{refused:?}");

    let without = |services: Value| json!({"name": "Svitzer", "services": services});
    bob.post(VENDORS, &without(json!([]))).refused(422, "vendor-without-services");
    let contacts = vec![json!({"name": "Rui", "email": "rui@svitzer.example"}); 21];
    let crowd = json!({"name": "Svitzer", "services": ["towage"], "contacts": contacts});
    bob.post(VENDORS, &crowd).refused(422, "vendor-too-many-contacts");
    let path = create(bob, &tugs());
    for bad in [json!({"services": []}), json!({"name": null, "colour": "red"}), json!({"status": "archived"})] {
        assert_eq!(bob.patch(&path, &bad).status, 422, "{bad}");
    }
    for bad in ["status=gone", "service=teleportation", "sort=services", "limit=0", "colour=red"] {
        assert_eq!(bob.get(&format!("{VENDORS}?{bad}")).status, 422, "{bad}");
    }
    bob.get(&format!("{VENDORS}/vnd_00000000000000000000000042")).refused(404, "vendor-not-found");
    bob.get(&format!("{VENDORS}/svitzer")).refused(404, "vendor-not-found");
}

async fn vendors_are_listed_searched_and_filtered(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let named = |name: &str, service: &str| json!({"name": name, "services": [service]});
    let key = [("idempotency-key", "one")];
    let aguas = json!({"name": "Águas do Porto", "services": ["mooring", "supplies", "waste"]});
    let first = bob.send("POST", VENDORS, &key, Some(&aguas)).is(201);
    let again = bob.send("POST", VENDORS, &key, Some(&aguas));
    assert_eq!(again.id(), first.id(), "a repetition creates no second vendor");
    create(bob, &named("Boluda", "towage"));
    let svitzer = create(bob, &named("Svitzer", "towage"));
    bob.post(&format!("{svitzer}/archive"), &json!({})).is(200);
    for (query, expected) in [
        ("", &["Águas do Porto", "Boluda", "Svitzer"][..]),
        ("?sort=-name&limit=2", &["Svitzer", "Boluda"]),
        ("?q=towage", &["Boluda", "Svitzer"]),
        ("?q=aguas", &["Águas do Porto"]),
        ("?status=archived", &["Svitzer"]),
        ("?status=active&q=towage", &["Boluda"]),
        ("?service=towage", &["Boluda", "Svitzer"]),
        ("?service=mooring", &["Águas do Porto"]),
        ("?service=supplies&q=porto", &["Águas do Porto"]),
        ("?service=crew", &[]),
    ] {
        let listed = bob.get(&format!("{VENDORS}{query}")).is(200).body;
        let names: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    create(bob, &tugs());
    let csv = bob.get(&format!("{VENDORS}?format=csv&service=mooring&q=svitzer")).is(200);
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert_eq!(lines[0], "\u{feff}id,name,services,order_email,contacts,status,created_at");
    let expected = ",Svitzer Santos,towage mooring,orders@svitzer.example,Rui Prado <rui@svitzer.example>,active,";
    assert!(lines.len() == 2 && lines[1].contains(expected), "{lines:?}");
    bob.get(&format!("{VENDORS}?format=csv&count=true")).refused(422, "invalid-fields");
    let log = bob.get("/v1/organizations/current/audit-log?action=export.vendors_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported vendors as CSV");
}

async fn vendors_belong_to_an_organization_and_low_roles_only_read(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let path = create(&acme.admin, &tugs());
    let foreign = path.replace("current", &acme.id);
    umbra.admin.get(&foreign).refused(404, "organization-not-found");
    umbra.admin.get(&path).refused(404, "vendor-not-found");
    umbra.admin.patch(&path, &json!({"name": "Mine"})).refused(404, "vendor-not-found");
    assert_eq!(umbra.admin.get(VENDORS).is(200).body["items"], json!([]));
    let agent = acme.join("ida", "Ida Lund", "agent");
    agent.patch(&path, &json!({"name": "Svitzer"})).is(200);
    for role in ["read_only", "auditor"] {
        let reader = acme.join(&role.replace('_', "-"), "Cleo Reader", role);
        assert_eq!(reader.get(&path).is(200).body["name"], "Svitzer");
        reader.post(VENDORS, &tugs()).refused(403, "forbidden");
        reader.patch(&path, &json!({"name": "Mine"})).refused(403, "forbidden");
        reader.post(&format!("{path}/archive"), &json!({})).refused(403, "forbidden");
    }
}

async fn the_audit_log_shows_what_happened_to_a_vendor(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = create(bob, &tugs());
    bob.patch(&path, &json!({"name": "Svitzer", "contacts": []})).is(200);
    bob.post(&format!("{path}/archive"), &json!({})).is(200);
    let log = bob.get("/v1/organizations/current/audit-log?action=vendor").is(200);
    let entries = log.body["items"].as_array().unwrap();
    let summaries: Vec<&str> = entries.iter().map(|entry| entry["summary"].as_str().unwrap()).collect();
    assert_eq!(
        summaries,
        [
            "archived the vendor",
            "changed the contacts of the vendor",
            "renamed the vendor from Svitzer Santos to Svitzer",
            "created the vendor Svitzer Santos",
        ]
    );
    let actor = &entries[0]["actor"]["name"];
    assert_eq!((actor, &entries[0]["target"]["kind"]), (&json!("Bob Fisher"), &json!("vendor")));
    let removed =
        json!([{"field": "contact", "from": "Rui Prado"}, {"field": "contact_email", "from": "rui@svitzer.example"}]);
    assert_eq!(entries[1]["changes"], removed);
}

//! Service orders: created, assigned, changed, canceled, listed, and who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::port_call::{anna, create as create_call, pointers, with};
use crate::{
    service::Caller,
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_service_is_ordered_changed_and_provided,
    only_a_vendor_who_can_provide_the_service_is_asked,
    all_faults_of_a_service_order_are_reported_at_once,
    orders_end_together_with_their_port_call,
    service_orders_are_listed_and_low_roles_only_read,
);

pub(super) const ORDERS: &str = "/v1/organizations/current/service-orders";

/// A vendor of tugs with this email address for orders.
#[track_caller]
pub(super) fn tugs(caller: &Caller<'_>, email: &str) -> String {
    let vendor = json!({"name": "Svitzer Santos", "services": ["towage", "mooring"], "order_email": email});
    caller.post("/v1/organizations/current/vendors", &vendor).is(201).id().to_owned()
}

/// A port call; its id.
#[track_caller]
pub(super) fn call(caller: &Caller<'_>) -> String {
    create_call(caller, &anna()).rsplit('/').next().unwrap().to_owned()
}

pub(super) fn towage(call: &str) -> Value {
    json!({"port_call": call, "service": "towage", "details": "Two tugs\nfor berthing",
        "requested_at": "2026-12-03T08:30", "price": {"amount": "1250", "currency": "eur"}})
}

/// Creates an order; its path.
#[track_caller]
pub(super) fn create(caller: &Caller<'_>, order: &Value) -> String {
    let created = caller.post(ORDERS, order).is(201);
    format!("{ORDERS}/{}", created.id())
}

/// An organization with an order that a vendor was asked for: its path, the port call, the vendor's address.
pub(super) fn asked(acme: &Organization<'_>) -> (String, String, String) {
    let (bob, email) = (&acme.admin, acme.email("tugs"));
    let (call, vendor) = (call(bob), tugs(bob, &email));
    let path = create(bob, &with(&towage(&call), json!({"vendor": vendor})));
    (path, call, email)
}

async fn a_service_is_ordered_changed_and_provided(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (call, vendor) = (call(bob), tugs(bob, &acme.email("tugs")));
    let path = create(bob, &towage(&call));
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["status"]), ("\"1\"", &json!("draft")));
    assert_eq!(shown.body["requested_at"], "2026-12-03T11:30:00Z", "the local time of the port");
    assert_eq!(shown.body["price"], json!({"amount": "1250.00", "currency": "EUR"}));
    assert_eq!((&shown.body["vessel"], &shown.body["vendor"]), (&json!("MSC Anna"), &Value::Null));
    bob.post(&format!("{path}/start"), &json!({})).refused(409, "service-order-not-answerable");
    bob.post(&format!("{path}/answer"), &json!({"answer": "accepted"})).refused(409, "service-order-not-assigned");
    bob.post(&format!("{path}/ask-again"), &json!({})).refused(409, "service-order-not-assigned");
    bob.post(&format!("{path}/assign"), &json!({"vendor": vendor})).is(200);
    assert_eq!(bob.post(&format!("{path}/assign"), &json!({"vendor": vendor})).is(200).body["events"], json!([]));
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["status"], &shown["vendor_name"]), (&json!("assigned"), &json!("Svitzer Santos")));
    assert_eq!(shown["answerable_until"], "2027-01-02T11:30:00Z", "30 days after the requested time");
    // A user hears of the answer by telephone.
    bob.post(&format!("{path}/answer"), &json!({"answer": "accepted", "remark": "by telephone"})).is(200);
    bob.post(&format!("{path}/start"), &json!({})).is(200);
    // What is changed afterwards is asked again.
    let patch = json!({"details": "One tug", "price": null, "requested_at": "2026-12-03T10:00Z"});
    let changed = bob.patch(&path, &patch).is(200);
    assert_eq!(changed.body["events"], json!(["service_order.amended", "service_order.assigned"]));
    assert_eq!(bob.patch(&path, &patch).is(200).body["events"], json!([]));
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["status"], &shown["price"], &shown["requests"]), (&json!("assigned"), &Value::Null, &json!(2)));
    assert_eq!(shown["answers"], json!([]), "to the last request");
    bob.post(&format!("{path}/answer"), &json!({"answer": "completed"})).refused(409, "service-order-not-answerable");
    bob.post(&format!("{path}/answer"), &json!({"answer": "accepted"})).is(200);
    bob.post(&format!("{path}/answer"), &json!({"answer": "completed", "remark": "at 12:10"})).is(200);
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["status"], &shown["answers"][1]["remark"]), (&json!("completed"), &json!("at 12:10")));
    for (command, body) in [("cancel", json!({})), ("start", json!({})), ("assign", json!({"vendor": vendor}))] {
        bob.post(&format!("{path}/{command}"), &body).refused(409, "service-order-finished");
    }
    bob.patch(&path, &json!({"details": "Late"})).refused(409, "service-order-finished");
    let log = bob.get("/v1/organizations/current/audit-log?action=service_order&sort=recorded_at").is(200).body;
    let summaries: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|it| it["summary"].as_str().unwrap()).collect();
    assert!(summaries.contains(&"recorded that the vendor accepted the service order"), "{summaries:?}");
    assert!(summaries.contains(&"asked the vendor again for the service order"), "{summaries:?}");
}

async fn only_a_vendor_who_can_provide_the_service_is_asked(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let bob = &acme.admin;
    let path = create(bob, &towage(&call(bob)));
    let vendors = "/v1/organizations/current/vendors";
    let vendor = |members: Value| {
        let vendor = json!({"name": "Tugs", "services": ["towage"], "order_email": acme.email("tugs")});
        bob.post(vendors, &with(&vendor, members)).is(201).id().to_owned()
    };
    let (others, silent) = (vendor(json!({"services": ["crew"]})), vendor(json!({"order_email": null})));
    let archived = vendor(json!({}));
    bob.post(&format!("{vendors}/{archived}/archive"), &json!({})).is(200);
    let assign = |vendor: &str| bob.post(&format!("{path}/assign"), &json!({"vendor": vendor}));
    for (vendor, said) in [(&others, "does not offer towage"), (&silent, "no email address"), (&archived, "archived")] {
        let refused = assign(vendor).refused(409, "vendor-not-orderable");
        assert!(refused.body["detail"].as_str().unwrap().contains(said), "{refused:?}");
    }
    for foreign in [tugs(&umbra.admin, "x@umbra.example").as_str(), "vnd_00000000000000000000000042"] {
        assert_eq!(pointers(&assign(foreign).refused(422, "invalid-fields")), ["/vendor"]);
    }
    assign("tugs").refused(422, "invalid-fields");
    let able = vendor(json!({}));
    assign(&able).is(200);
    // Whoever was asked does not offer another service.
    bob.patch(&path, &json!({"service": "crew"})).refused(409, "vendor-not-orderable");
    // The former vendor is asked no more.
    let better = vendor(json!({}));
    assign(&better).is(200);
    assert_eq!(bob.get(&path).is(200).body["vendor"], json!(better));
    let dry = bob.post(&format!("{path}/cancel?dry_run=true"), &json!({"remark": "not needed"})).is(200);
    assert_eq!(dry.body["events"], json!(["service_order.canceled"]));
}

async fn all_faults_of_a_service_order_are_reported_at_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let bad = json!({"port_call": "anna", "service": "teleportation", "details": "a\u{0}", "requested_at": "soon",
        "price": {"amount": 5}, "rank": 1});
    let refused = bob.post(ORDERS, &bad).refused(422, "invalid-fields");
    let expected = ["/details", "/port_call", "/price/amount", "/price/currency", "/rank", "/requested_at", "/service"];
    assert_eq!(pointers(&refused), expected, "{refused:?}");
    let call = call(bob);
    for (price, pointer) in [
        (json!({"amount": "1.005", "currency": "EUR"}), "/price/amount"),
        (json!({"amount": "-1", "currency": "EUR"}), "/price/amount"),
        (json!({"amount": "1", "currency": "EURO"}), "/price/currency"),
    ] {
        let refused = bob.post(ORDERS, &with(&towage(&call), json!({"price": price}))).refused(422, "invalid-fields");
        assert_eq!(pointers(&refused), [pointer]);
    }
    bob.post(ORDERS, &towage("call_00000000000000000000000042")).refused(404, "port-call-not-found");
    bob.post(&format!("/v1/organizations/current/port-calls/{call}/cancel"), &json!({})).is(200);
    bob.post(ORDERS, &towage(&call)).refused(409, "port-call-finished");
    for bad in ["status=gone", "vendor=tugs", "port_call=anna", "sort=price", "answered_from=soon", "format=xml"] {
        assert_eq!(bob.get(&format!("{ORDERS}?{bad}")).status, 422, "{bad}");
    }
    bob.get(&format!("{ORDERS}/ord_00000000000000000000000042")).refused(404, "service-order-not-found");
}

async fn orders_end_together_with_their_port_call(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (asked, call, email) = asked(&acme);
    let (draft, done) = (create(bob, &towage(&call)), create(bob, &towage(&call)));
    let vendor = bob.get(&asked).is(200).body["vendor"].clone();
    bob.post(&format!("{done}/assign"), &json!({"vendor": vendor})).is(200);
    for answer in ["accepted", "completed"] {
        bob.post(&format!("{done}/answer"), &json!({"answer": answer})).is(200);
    }
    let cancel = format!("/v1/organizations/current/port-calls/{call}/cancel");
    let ids: Vec<&str> = [&asked, &draft].map(|path| path.rsplit('/').next().unwrap()).to_vec();
    let dry = bob.post(&format!("{cancel}?dry_run=true"), &json!({})).is(200).body;
    assert_eq!((&dry["service_orders"], &dry["events"]), (&json!(ids), &json!(["port_call.status_changed"])));
    assert_eq!(bob.get(&asked).is(200).body["status"], "assigned");
    let canceled = bob.post(&cancel, &json!({"remark": "berth not available"})).is(200);
    assert_eq!(canceled.body["service_orders"], json!(ids));
    for (path, status) in [(&asked, "canceled"), (&draft, "canceled"), (&done, "completed")] {
        assert_eq!(bob.get(path).is(200).body["status"], status);
    }
    service.mail_with(&["Canceled: towage for MSC Anna at Santos", &email, "berth not available"]);
    // Reopened, it can be ordered for again; deleted, its orders end as well.
    bob.post(&format!("/v1/organizations/current/port-calls/{call}/reopen"), &json!({})).is(200);
    let again = create(bob, &towage(&call));
    let deleted = bob.delete(&format!("/v1/organizations/current/port-calls/{call}")).is(200);
    assert_eq!(deleted.body["service_orders"], json!([again.rsplit('/').next().unwrap()]));
    let shown = bob.get(&again).is(200).body;
    assert_eq!((&shown["status"], &shown["vessel"]), (&json!("canceled"), &Value::Null));
}

async fn service_orders_are_listed_and_low_roles_only_read(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let bob = &acme.admin;
    let (first, call, _) = asked(&acme);
    let second = create(
        bob,
        &json!({"port_call": self::call(bob), "service": "crew", "details": "Six on, six off",
        "requested_at": "2026-12-02T08:30Z"}),
    );
    let vendor = bob.get(&first).is(200).body["vendor"].as_str().unwrap().to_owned();
    for (query, expected) in [
        (String::new(), &["crew", "towage"][..]),
        ("?sort=-requested_at".to_owned(), &["towage", "crew"]),
        (format!("?port_call={call}"), &["towage"]),
        (format!("?vendor={vendor}"), &["towage"]),
        ("?status=draft".to_owned(), &["crew"]),
        ("?service=towage&status=draft".to_owned(), &[]),
        ("?q=tugs".to_owned(), &["towage"]),
        ("?q=SIX%20crew".to_owned(), &["crew"]),
        ("?q=six&service=towage".to_owned(), &[]),
        ("?answered_from=2026-01-01".to_owned(), &[]),
    ] {
        let listed = bob.get(&format!("{ORDERS}{query}")).is(200).body;
        let services: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|it| it["service"].as_str().unwrap()).collect();
        assert_eq!(services, expected, "{query}");
    }
    let csv = bob.get(&format!("{ORDERS}?format=csv&q=tugs")).is(200);
    let lines = csv.body.as_str().unwrap();
    assert!(
        lines.starts_with("\u{feff}id,port_call,vessel,port_name,time_zone,vendor,vendor_name,service,"),
        "{lines}"
    );
    assert!(
        lines.contains(",Svitzer Santos,towage,\"Two tugs\nfor berthing\",2026-12-03T11:30:00Z,1250.00,EUR,"),
        "{lines}"
    );
    assert!(!lines.contains("crew"), "{lines}");
    bob.get(&format!("{ORDERS}?format=csv&limit=5")).refused(422, "invalid-fields");
    let log = bob.get("/v1/organizations/current/audit-log?action=export.service_orders_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported service orders as CSV");
    umbra.admin.get(&first.replace("current", &acme.id)).refused(404, "organization-not-found");
    umbra.admin.get(&first).refused(404, "service-order-not-found");
    umbra.admin.post(&format!("{first}/cancel"), &json!({})).refused(404, "service-order-not-found");
    umbra.admin.post(ORDERS, &towage(&call)).refused(404, "port-call-not-found");
    for role in ["read_only", "auditor"] {
        let reader = acme.join(&role.replace('_', "-"), "Cleo Reader", role);
        reader.get(&second).is(200);
        reader.post(ORDERS, &towage(&call)).refused(403, "forbidden");
        reader.patch(&second, &json!({"details": "Mine"})).refused(403, "forbidden");
        for (command, body) in
            [("assign", json!({"vendor": vendor})), ("answer", json!({"answer": "accepted"})), ("cancel", json!({}))]
        {
            reader.post(&format!("{second}/{command}"), &body).refused(403, "forbidden");
        }
    }
    let key = |scope: &str| {
        let key = bob.post("/v1/organizations/current/api-keys", &json!({"name": "sync", "scopes": [scope]})).is(201);
        service.with_token(&key.body["token"])
    };
    key("operations:read").get(&first).is(200);
    key("operations:write").post(&format!("{second}/cancel"), &json!({})).is(200);
}

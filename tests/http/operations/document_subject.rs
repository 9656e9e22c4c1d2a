//! Documents of port calls and service orders.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::{
    document::{DOCUMENTS, upload},
    port_call::pointers,
    service_order::{self, ORDERS, towage},
};
use crate::{
    service::{Answer, Caller},
    shared::SharedService,
};

on_both_engines!(
    a_document_belongs_to_a_port_call_or_a_service_order,
    what_cannot_have_documents_is_refused,
    an_upload_is_repeated_for_the_same_subject,
    documents_of_a_deleted_port_call_stay,
);

const CALLS: &str = "/v1/organizations/current/port-calls";
const TEXT: (&str, &str) = ("content-type", "text/plain");

/// Uploads a document with more parameters.
fn upload_for(caller: &Caller<'_>, name: &str, parameters: &str) -> Answer {
    caller.upload(&format!("{DOCUMENTS}?name={name}&{parameters}"), &[TEXT], "hello")
}

/// An id at the end of a path.
fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn names(caller: &Caller<'_>, query: &str) -> Vec<String> {
    let listed = caller.get(&format!("{DOCUMENTS}?{query}")).is(200).body;
    listed["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

async fn a_document_belongs_to_a_port_call_or_a_service_order(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (call, other) = (service_order::call(bob), service_order::call(bob));
    let order = service_order::create(bob, &towage(&call));
    let order = id(&order);
    let crew = upload_for(bob, "crew.txt", &format!("port_call={call}")).is(201);
    assert_eq!(crew.body["subject"], call.as_str());
    upload_for(bob, "other.txt", &format!("port_call={other}")).is(201);
    let receipt = upload_for(bob, "receipt.txt", &format!("service_order={order}")).is(201);
    assert_eq!(receipt.body["subject"], order);
    assert_eq!(upload(bob, "none.txt", "hello").is(201).body["subject"], Value::Null);

    let shown = |id: &str| bob.get(&format!("{DOCUMENTS}/{id}")).is(200).body;
    let of = |shown: &Value| ["subject", "service", "vessel", "port_name"].map(|field| shown[field].clone());
    assert_eq!(of(&shown(crew.id())), [json!(call), Value::Null, json!("MSC Anna"), json!("Santos")]);
    assert_eq!(of(&shown(receipt.id())), [json!(order), json!("towage"), json!("MSC Anna"), json!("Santos")]);
    assert_eq!(names(bob, &format!("subject={call}")), ["crew.txt"]);
    assert_eq!(names(bob, &format!("subject={order}")), ["receipt.txt"]);
    assert_eq!(names(bob, "").len(), 4);
    for wrong in ["subject=crew", "subject=vnd_01h455vb4pex5vsknk084sn02q"] {
        let refused = bob.get(&format!("{DOCUMENTS}?{wrong}")).refused(422, "invalid-fields");
        assert_eq!(pointers(&refused), ["subject"]);
    }
    let csv = bob.get(&format!("{DOCUMENTS}?format=csv&subject={order}")).is(200);
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert!(lines[0].ends_with(",subject,service,vessel,port_name"), "{lines:?}");
    assert!(lines.len() == 2 && lines[1].ends_with(&format!(",{order},towage,MSC Anna,Santos")), "{lines:?}");
    let log = bob.get("/v1/organizations/current/audit-log?action=export.documents_taken").is(200).body;
    let filter = log["items"][0]["changes"].as_array().unwrap().iter().find(|it| it["field"] == "subject");
    assert_eq!(filter.map(|it| it["to"].clone()), Some(json!(order)));
    let log = format!("/v1/organizations/current/audit-log?action=document.upload_started&target={}", crew.id());
    let entry = bob.get(&log).is(200).body["items"][0].clone();
    assert_eq!(entry["summary"], format!("started to upload the document crew.txt for the port call {call}"));
}

async fn what_cannot_have_documents_is_refused(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let bob = &acme.admin;
    let (call, order) = (service_order::call(bob), service_order::create(bob, &towage(&service_order::call(bob))));
    let order = id(&order).to_owned();
    let attempt = |parameters: String| upload_for(bob, "crew.txt", &parameters);
    let both = attempt(format!("port_call={call}&service_order={order}")).refused(422, "invalid-fields");
    assert_eq!(pointers(&both), ["service_order"]);
    for (wrong, field) in [(format!("port_call={order}"), "port_call"), ("service_order=1".to_owned(), "service_order")]
    {
        assert_eq!(pointers(&attempt(wrong).refused(422, "invalid-fields")), [field]);
    }
    let foreign = service_order::call(&umbra.admin);
    let foreign_order = service_order::create(&umbra.admin, &towage(&foreign));
    let (no_call, no_order) = ("port-call-not-found", "service-order-not-found");
    attempt(format!("port_call={foreign}")).refused(404, no_call);
    attempt("port_call=call_01h455vb4pex5vsknk084sn02q".to_owned()).refused(404, no_call);
    attempt(format!("service_order={}", id(&foreign_order))).refused(404, no_order);
    attempt("service_order=ord_01h455vb4pex5vsknk084sn02q".to_owned()).refused(404, no_order);

    bob.post(&format!("{ORDERS}/{order}/cancel"), &json!({})).is(200);
    attempt(format!("service_order={order}")).refused(409, "document-subject-canceled");
    bob.post(&format!("{CALLS}/{call}/cancel"), &json!({})).is(200);
    let refused = attempt(format!("port_call={call}")).refused(409, "document-subject-canceled");
    assert!(refused.body["detail"].as_str().unwrap().contains("reopen it first"), "{refused:?}");
    bob.delete(&format!("{CALLS}/{call}")).is(200);
    attempt(format!("port_call={call}")).refused(404, no_call);
    // Nothing was started.
    assert_eq!(names(bob, ""), [""; 0]);
    let log = bob.get("/v1/organizations/current/audit-log?action=document").is(200).body;
    assert_eq!(log["items"], json!([]));
}

async fn an_upload_is_repeated_for_the_same_subject(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (call, other) = (service_order::call(bob), service_order::call(bob));
    let send = |parameters: &str| {
        let path = format!("{DOCUMENTS}?name=crew.txt{parameters}");
        bob.upload(&path, &[TEXT, ("idempotency-key", "one")], "hello")
    };
    let (for_call, for_other) = (format!("&port_call={call}"), format!("&port_call={other}"));
    let first = send(&for_call).is(201);
    for different in ["", &for_other] {
        send(different).refused(409, "document-exists");
    }
    bob.post(&format!("{CALLS}/{call}/cancel"), &json!({})).is(200);
    let again = send(&for_call).is(201);
    assert_eq!((again.id(), &again.body["repeated"]), (first.id(), &json!(true)), "the port call was canceled since");
}

async fn documents_of_a_deleted_port_call_stay(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let call = service_order::call(bob);
    let document = upload_for(bob, "crew.txt", &format!("port_call={call}")).is(201);
    bob.delete(&format!("{CALLS}/{call}")).is(200);
    let shown = bob.get(&format!("{DOCUMENTS}/{}", document.id())).is(200).body;
    assert_eq!((&shown["subject"], &shown["vessel"]), (&json!(call), &Value::Null));
    assert_eq!(names(bob, &format!("subject={call}")), ["crew.txt"]);
}

//! The list of ports.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{service::Caller, shared::SharedService};

on_both_engines!(ports_are_found_by_code_name_and_country, the_list_has_pages_and_is_for_everybody_who_is_signed_in,);

fn codes(caller: &Caller<'_>, query: &str) -> Vec<String> {
    let page = caller.get(&format!("/v1/ports?{query}")).is(200).body;
    page["items"].as_array().unwrap().iter().map(|port| port["unlocode"].as_str().unwrap().to_owned()).collect()
}

async fn ports_are_found_by_code_name_and_country(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let found = bob.get("/v1/ports?q=brssz").is(200).body;
    let santos = json!({"unlocode": "BRSSZ", "name": "Santos", "country": "Brazil", "time_zone": "America/Sao_Paulo"});
    assert_eq!(found["items"], json!([santos]));
    assert!(codes(bob, "q=santos%20bra").contains(&"BRSSZ".to_owned()));
    assert!(codes(bob, "q=s%C3%A3o").len() > 1, "words without accents are found with them");
    assert!(codes(bob, "q=br&limit=200").iter().any(|code| code.starts_with("BR")));
    assert_eq!(codes(bob, "q=nowhere"), Vec::<String>::new());
    let without = bob.get("/v1/ports?q=BRVLC").is(200).body;
    assert_eq!(without["items"][0]["time_zone"], Value::Null);
}

async fn the_list_has_pages_and_is_for_everybody_who_is_signed_in(service: &'static SharedService) {
    let acme = service.organization().await;
    let reader = acme.join("cleo", "Cleo Reader", "read_only");
    let first = reader.get("/v1/ports?limit=2").is(200).body;
    let next = first["next_cursor"].as_str().unwrap();
    let second = codes(&reader, &format!("limit=2&cursor={next}"));
    assert!(second.len() == 2 && second[0].as_str() > next, "{second:?}");
    assert_eq!(codes(&reader, "q=netherlands&limit=200").len(), codes(&reader, "q=NETHERLANDS&limit=200").len());
    for bad in ["limit=0", "limit=201", "colour=red", "q=a&q=b"] {
        reader.get(&format!("/v1/ports?{bad}")).refused(422, "invalid-fields");
    }
    service.send("GET", "/v1/ports", &[], None).refused(401, "unauthenticated");
    let key = acme.admin.post("/v1/organizations/current/api-keys", &json!({"name": "robot"})).is(201).body;
    service.with_token(&key["token"]).get("/v1/ports").refused(403, "forbidden");
}

//! Against a small server that gives fixed answers.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that answers in order, and remembers what it was asked; a status of 0 closes the connection.
async fn server(answers: Vec<(u16, Value)>) -> (Stripe, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    #[allow(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
            loop {
                let read = stream.read(&mut part).await.unwrap();
                bytes.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&bytes).to_lowercase();
                let Some((head, sent)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                if sent.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break;
                }
            }
            log.lock().unwrap().push(String::from_utf8(bytes).unwrap());
            if status > 0 {
                let body = body.to_string();
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        }
    });
    let settings = StripeSettings { key: "sk_test_1".to_owned(), publishable_key: None, webhook_secrets: vec![], url };
    (Stripe::open(settings).unwrap(), asked)
}

fn organization() -> OrganizationId {
    OrganizationId(Uuid::from_u128(7))
}

fn charge() -> Charge {
    Charge {
        payment: Uuid::from_u128(1),
        organization: organization(),
        amount: 4_900,
        currency: "EUR",
        customer: "cus_1".to_owned(),
        token: "pm_1".to_owned(),
        kind: MethodKind::Card,
    }
}

fn intent(status: &str) -> Value {
    json!({"id": "pi_1", "status": status, "client_secret": "pi_1_secret"})
}

#[tokio::test]
async fn a_charge_is_sent_with_its_id_and_its_answer_is_understood() {
    let declined = |code: &str| json!({"error": {"type": "card_error", "code": "card_declined", "decline_code": code}});
    let needed = json!({"error": {"code": "authentication_required", "decline_code": "authentication_required",
        "payment_intent": intent("requires_payment_method")}});
    let failed = |code: &str, is_final| ChargeOutcome::Failed { code: code.to_owned(), is_final };
    let secret = || ChargeOutcome::ActionRequired { client_secret: Some("pi_1_secret".to_owned()) };
    let cases = [
        ((200, intent("succeeded")), ChargeOutcome::Succeeded { provider_ref: "pi_1".to_owned() }),
        ((200, intent("requires_action")), secret()),
        ((200, intent("processing")), ChargeOutcome::Processing),
        ((402, declined("insufficient_funds")), failed("insufficient_funds", false)),
        ((402, declined("stolen_card")), failed("stolen_card", true)),
        ((402, needed), secret()),
        (
            (404, json!({"error": {"code": "resource_missing", "message": "No such pm"}})),
            failed("resource_missing", true),
        ),
        ((409, json!({"error": {"code": "idempotency_key_in_use"}})), ChargeOutcome::Unknown),
        ((429, json!({})), ChargeOutcome::Unknown),
        ((500, json!({})), ChargeOutcome::Unknown),
        ((401, json!({})), ChargeOutcome::Unknown),
        ((0, json!({})), ChargeOutcome::Unknown),
    ];
    let (stripe, asked) = server(cases.iter().map(|(answer, _)| answer.clone()).collect()).await;
    for (answer, expected) in &cases {
        assert_eq!(stripe.charge(&charge()).await, *expected, "{answer:?}");
    }
    let asked = asked.lock().unwrap();
    let id = PaymentId(Uuid::from_u128(1)).to_string();
    let first = asked[0].to_lowercase();
    assert!(first.starts_with("post /v1/payment_intents http/1.1\r\n"), "{first}");
    for part in [
        format!("idempotency-key: {id}"),
        "authorization: bearer sk_test_1".to_owned(),
        "amount=4900&currency=eur&customer=cus_1&payment_method=pm_1".to_owned(),
        "confirm=true&off_session=true".to_owned(),
        format!("metadata%5bpayment%5d={id}"),
    ] {
        assert!(first.contains(&part), "{part}: {first}");
    }
    assert!(asked.iter().all(|it| it.contains(&id)), "the same id each time");
}

#[tokio::test]
async fn a_charge_is_found_by_listing() {
    let id = PaymentId(Uuid::from_u128(1)).to_string();
    let other = |number: i64| json!({"id": format!("pi_{number}"), "created": 2_000 - number, "metadata": {"payment": "pay_x"}});
    let mut own = intent("succeeded");
    own["metadata"] = json!({"payment": id});
    let first = json!({"data": [other(1), other(2)], "has_more": true});
    let (stripe, asked) = server(vec![
        (200, first.clone()),
        (200, json!({"data": [other(3), own], "has_more": true})),
        (200, json!({"data": [other(1)], "has_more": false})),
        (200, json!({"data": [other(1_800)], "has_more": true})),
        (500, json!({})),
    ])
    .await;
    let started_at = Timestamp::from_second(1_000).unwrap();
    let look_up = || stripe.look_up(Uuid::from_u128(1), started_at);
    assert_eq!(look_up().await, Some(ChargeOutcome::Succeeded { provider_ref: "pi_1".to_owned() }));
    assert_eq!(look_up().await, None, "it is in no page");
    assert_eq!(look_up().await, None, "what follows is older");
    assert_eq!(look_up().await, Some(ChargeOutcome::Unknown), "a failure is no answer");
    assert!(asked.lock().unwrap()[1].contains("starting_after=pi_2"));
}

#[tokio::test]
async fn a_refund_is_asked_for_once() {
    let request = RefundRequest {
        refund: Uuid::from_u128(2),
        payment: Uuid::from_u128(1),
        provider_ref: "pi_1".to_owned(),
        amount: 900,
    };
    let id = RefundId(request.refund).to_string();
    let found = json!({"data": [{"id": "re_1", "status": "succeeded", "metadata": {"refund": id}}]});
    let (stripe, asked) = server(vec![
        (200, json!({"data": []})),
        (200, json!({"id": "re_1", "status": "pending"})),
        (200, found),
        (200, json!({"data": []})),
        (400, json!({"error": {"code": "charge_disputed"}})),
        (503, json!({})),
    ])
    .await;
    let refunded = RefundOutcome::Refunded { provider_ref: "re_1".to_owned() };
    assert_eq!(stripe.refund(&request).await, refunded);
    assert_eq!(stripe.refund(&request).await, refunded, "it was there");
    assert_eq!(stripe.refund(&request).await, RefundOutcome::Failed { code: "charge_disputed".to_owned() });
    assert_eq!(stripe.refund(&request).await, RefundOutcome::Unknown);
    let posts = asked.lock().unwrap().iter().filter(|it| it.starts_with("POST")).count();
    assert_eq!(posts, 2);
}

#[tokio::test]
async fn a_setup_of_another_organization_is_not_taken() {
    let setup = |organization: &str, status: &str| {
        json!({"id": "seti_1", "status": status, "customer": "cus_1", "payment_method": "pm_1",
            "metadata": {"organization": organization}})
    };
    let own = organization().to_string();
    let card = json!({"id": "pm_1", "type": "card",
        "card": {"brand": "visa", "last4": "4242", "exp_year": 2030, "exp_month": 4, "fingerprint": "f"}});
    let (stripe, _) = server(vec![
        (200, setup("org_00000000000000000000000099", "succeeded")),
        (200, setup(&own, "requires_action")),
        (200, setup(&own, "succeeded")),
        (200, card),
    ])
    .await;
    let account = Account { organization: organization(), customer: None };
    for setup in ["seti_1", "seti_1", "../customers", "seti_1?x"] {
        assert!(matches!(stripe.finish_setup(&account, setup).await, Err(ProviderError::Refused(_))), "{setup}");
    }
    let details = stripe.finish_setup(&account, "seti_1").await.unwrap();
    assert_eq!((details.last4.as_str(), details.expires.as_deref()), ("4242", Some("2030-04")));
}

#[test]
fn keys_are_not_sent_in_the_open() {
    let open = |url: &str| {
        let settings = StripeSettings {
            key: "sk_1".to_owned(),
            publishable_key: None,
            webhook_secrets: vec![],
            url: url.to_owned(),
        };
        Stripe::open(settings).is_ok()
    };
    assert!(open("https://api.stripe.com") && open("http://127.0.0.1:8420"));
    assert!(!open("http://api.stripe.com") && !open("stripe"));
}

#[test]
fn only_signed_events_of_the_last_minutes_are_taken() {
    let settings = StripeSettings {
        key: "sk_1".to_owned(),
        publishable_key: None,
        webhook_secrets: vec!["whsec_old".to_owned(), "whsec_new".to_owned()],
        url: "https://api.stripe.com".to_owned(),
    };
    let stripe = Stripe::open(settings).unwrap();
    let payment = PaymentId(Uuid::from_u128(1));
    let metadata = json!({"payment": payment.to_string(), "organization": organization().to_string()});
    let body = json!({"type": "payment_intent.succeeded", "data": {"object": {"metadata": metadata}}}).to_string();
    let sign = |secret: &str, time: i64, body: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(time.to_string()).chain_update(b".").chain_update(body).finalize().into_bytes();
        mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let now = Timestamp::from_second(1_000_000).unwrap();
    let read = |header: &str, body: &str| stripe.read_event(Some(header), body.as_bytes(), now);
    let hint = Hint { payment: payment.0, organization: organization() };
    for (secret, time) in [("whsec_old", 1_000_000), ("whsec_new", 999_700), ("whsec_new", 1_000_300)] {
        let header = format!("t={time},v1=00ff,v1={}", sign(secret, time, &body));
        assert_eq!(read(&header, &body), Ok(Some(hint.clone())), "{secret} {time}");
        assert_eq!(read(&header, &format!("{body} ")), Err(EventError::BadSignature), "another body");
    }
    let good = sign("whsec_new", 1_000_000, &body);
    for header in [
        format!("t=999699,v1={}", sign("whsec_new", 999_699, &body)),
        format!("t=1000000,v1={}", sign("whsec_other", 1_000_000, &body)),
        format!("t=1000001,v1={good}"),
        format!("t=1000000,v0={good}"),
        format!("v1={good}"),
        "t=1000000".to_owned(),
        "t=x,v1=é".to_owned(),
        String::new(),
    ] {
        assert_eq!(read(&header, &body), Err(EventError::BadSignature), "{header}");
    }
    assert_eq!(stripe.read_event(None, body.as_bytes(), now), Err(EventError::BadSignature));
    let other = json!({"type": "customer.created", "data": {"object": {"id": "cus_1"}}}).to_string();
    let header = format!("t=1000000,v1={}", sign("whsec_new", 1_000_000, &other));
    assert_eq!(read(&header, &other), Ok(None), "it is about nothing that matters here");
    let header = format!("t=1000000,v1={}", sign("whsec_new", 1_000_000, "{"));
    assert_eq!(read(&header, "{"), Err(EventError::Malformed));
}

//! Stripe: about ten form-encoded calls.
//!
//! | file | what it owns |
//! |---|---|
//! | `client.rs` | calls, and what their answers mean |
//! | `webhook.rs` | signatures of events |
//!
//! A charge has the id of the payment as its `Idempotency-Key` and in its metadata: with the first, repeating it within 24
//! hours charges nothing; by the second, it is found by listing.

mod client;
#[cfg(test)]
mod tests;
mod webhook;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        payment::{PaymentId, RefundId},
        payment_method::{Details, MethodKind},
    },
};
use porttask_runtime::ports::payments::{
    Account, Charge, ChargeOutcome, EventError, Hint, PaymentProvider, ProviderError, RefundOutcome, RefundRequest,
    Setup,
};
use serde_json::Value;
use uuid::Uuid;

use self::client::{Answer, Client, Failure};

/// How long before it was recorded a charge can have been made, by Stripe's clock.
const SKEW_SECONDS: i64 = 300;
/// Maximum pages of charges that are searched for one.
const MAX_PAGES: usize = 50;
/// Declines after which a method is never accepted again.
const FINAL: [&str; 12] = [
    "expired_card",
    "fraudulent",
    "invalid_account",
    "lost_card",
    "new_account_information_available",
    "pickup_card",
    "resource_missing",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stolen_card",
    "stop_payment_order",
];

/// The account at Stripe.
#[derive(Clone)]
pub struct StripeSettings {
    /// The secret key: `sk_…`, or a restricted one.
    pub key: String,
    /// The publishable key: `pk_…`. Without one, cards cannot be entered in the console.
    pub publishable_key: Option<String>,
    /// The secrets of the endpoint that takes events: two during a rotation.
    pub webhook_secrets: Vec<String>,
    /// Where the API is: `https://api.stripe.com`.
    pub url: String,
}

/// Charges by Stripe.
pub struct Stripe {
    client: Client,
    publishable_key: Option<String>,
    webhook_secrets: Vec<String>,
}

impl Stripe {
    /// With this account.
    ///
    /// # Errors
    /// What is wrong with the settings, without the key.
    pub fn open(settings: StripeSettings) -> Result<Self, String> {
        let StripeSettings { key, publishable_key, webhook_secrets, url } = settings;
        let is_publishable = |key: &str| key.starts_with("pk_") && key.bytes().all(is_of_id);
        if publishable_key.as_deref().is_some_and(|key| !is_publishable(key)) {
            return Err("the publishable key of Stripe begins with pk_".to_owned());
        }
        Ok(Self { client: Client::open(key, &url)?, publishable_key, webhook_secrets })
    }

    /// Finds a charge by listing: of Stripe's list, the newest is first.
    async fn find(&self, payment: Uuid, started_at: Timestamp) -> Result<Option<Value>, Failure> {
        let (wanted, since) = (PaymentId(payment).to_string(), started_at.as_second() - SKEW_SECONDS);
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![("limit", "100".to_owned())];
            query.extend(after.take().map(|id| ("starting_after", id)));
            let page = self.client.get("/v1/payment_intents", &query).await?.body;
            let items = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(found) = items.iter().find(|it| it["metadata"]["payment"] == wanted.as_str()) {
                return Ok(Some(found.clone()));
            }
            let Some(last) = items.last().filter(|_| page["has_more"] == true) else { return Ok(None) };
            if last["created"].as_i64().is_some_and(|created| created < since) {
                return Ok(None);
            }
            after = last["id"].as_str().map(str::to_owned);
        }
        Err(Failure::Unknown("too many charges to search".to_owned()))
    }

    /// The refund with this id, if Stripe has it: a key of idempotency lasts only a day.
    async fn find_refund(&self, request: &RefundRequest) -> Result<Option<Value>, Failure> {
        let query = [("payment_intent", request.provider_ref.clone()), ("limit", "100".to_owned())];
        let page = self.client.get("/v1/refunds", &query).await?.body;
        let wanted = RefundId(request.refund).to_string();
        let items = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(items.iter().find(|it| it["metadata"]["refund"] == wanted.as_str()).cloned())
    }
}

/// Whether a byte may be in an id or key of Stripe.
fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What an intent says.
fn outcome(intent: &Value) -> ChargeOutcome {
    let client_secret = || intent["client_secret"].as_str().map(str::to_owned);
    match intent["status"].as_str().unwrap_or_default() {
        "succeeded" => ChargeOutcome::Succeeded { provider_ref: text(&intent["id"]) },
        "processing" => ChargeOutcome::Processing,
        "requires_action" | "requires_confirmation" => ChargeOutcome::ActionRequired { client_secret: client_secret() },
        "canceled" => failed("canceled"),
        "requires_payment_method" => match reason(&intent["last_payment_error"]) {
            // The payer is not there: they have to confirm it.
            "authentication_required" => ChargeOutcome::ActionRequired { client_secret: client_secret() },
            code => failed(code),
        },
        _ => ChargeOutcome::Unknown,
    }
}

/// Why a charge failed: the bank's reason, or else Stripe's.
fn reason(error: &Value) -> &str {
    let given = ["decline_code", "code"].iter().find_map(|name| error[*name].as_str());
    match (error["code"].as_str(), given) {
        (Some("authentication_required"), _) => "authentication_required",
        (_, given) => given.unwrap_or("card_declined"),
    }
}

fn failed(code: &str) -> ChargeOutcome {
    ChargeOutcome::Failed { code: code.to_owned(), is_final: FINAL.contains(&code) }
}

fn not_done(failure: Failure) -> ProviderError {
    match failure {
        Failure::Refused { code, .. } => ProviderError::Refused(code),
        Failure::Declined(error) => ProviderError::Refused(reason(&error).to_owned()),
        Failure::Unknown(cause) => ProviderError::Unavailable(cause),
    }
}

#[async_trait]
impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn publishable_key(&self) -> Option<&str> {
        self.publishable_key.as_deref()
    }

    async fn begin_setup(&self, account: &Account) -> Result<Setup, ProviderError> {
        let organization = account.organization.to_string();
        let customer = match &account.customer {
            Some(customer) => customer.clone(),
            None => {
                let body = [("metadata[organization]", organization.clone())];
                let key = format!("customer {organization}");
                text(&self.client.post("/v1/customers", &body, Some(&key)).await.map_err(not_done)?.body["id"])
            }
        };
        let body = [
            ("customer", customer),
            ("usage", "off_session".to_owned()),
            ("payment_method_types[0]", "card".to_owned()),
            ("metadata[organization]", organization),
        ];
        let setup = self.client.post("/v1/setup_intents", &body, None).await.map_err(not_done)?.body;
        Ok(Setup { id: text(&setup["id"]), client_secret: setup["client_secret"].as_str().map(str::to_owned) })
    }

    async fn finish_setup(&self, account: &Account, setup: &str) -> Result<Details, ProviderError> {
        let refused = |cause: &str| ProviderError::Refused(cause.to_owned());
        if !setup.starts_with("seti_") || !setup.bytes().all(is_of_id) {
            return Err(refused("this is not the id of a setup"));
        }
        let found = self.client.get(&format!("/v1/setup_intents/{setup}"), &[]).await.map_err(not_done)?.body;
        // One of another organization looks like none.
        if found["metadata"]["organization"] != account.organization.to_string().as_str() {
            return Err(refused("there is no such setup"));
        }
        if found["status"] != "succeeded" {
            return Err(refused("the setup is not finished"));
        }
        let (customer, token) = (text(&found["customer"]), text(&found["payment_method"]));
        let attach = [("customer", customer.clone())];
        let path = format!("/v1/payment_methods/{token}/attach");
        let method = self.client.post(&path, &attach, None).await.map_err(not_done)?.body;
        let kind = if method["type"] == "sepa_debit" { MethodKind::SepaDebit } else { MethodKind::Card };
        let of = match kind {
            MethodKind::Card => &method["card"],
            MethodKind::SepaDebit => &method["sepa_debit"],
        };
        let expires = of["exp_year"].as_i64().zip(of["exp_month"].as_i64());
        Ok(Details {
            provider: self.name().to_owned(),
            customer,
            token,
            kind,
            brand: of["brand"].as_str().or(of["bank_code"].as_str()).unwrap_or_default().to_owned(),
            last4: text(&of["last4"]),
            expires: expires.map(|(year, month)| format!("{year:04}-{month:02}")),
            fingerprint: of["fingerprint"].as_str().map(str::to_owned),
        })
    }

    async fn detach(&self, token: &str) -> Result<(), ProviderError> {
        match self.client.post(&format!("/v1/payment_methods/{token}/detach"), &[], None).await {
            // It is not there any more.
            Ok(_) | Err(Failure::Refused { .. } | Failure::Declined(_)) => Ok(()),
            Err(failure) => Err(not_done(failure)),
        }
    }

    async fn charge(&self, charge: &Charge) -> ChargeOutcome {
        let id = PaymentId(charge.payment).to_string();
        let body = [
            ("amount", charge.amount.to_string()),
            ("currency", charge.currency.to_lowercase()),
            ("customer", charge.customer.clone()),
            ("payment_method", charge.token.clone()),
            ("payment_method_types[0]", charge.kind.to_string()),
            ("confirm", "true".to_owned()),
            ("off_session", "true".to_owned()),
            ("metadata[payment]", id.clone()),
            ("metadata[organization]", charge.organization.to_string()),
        ];
        match self.client.post("/v1/payment_intents", &body, Some(&id)).await {
            Ok(Answer { body }) => outcome(&body),
            Err(Failure::Declined(error)) if error["payment_intent"].is_object() => {
                // The error of this attempt, with the state of the intent.
                let mut intent = error["payment_intent"].clone();
                intent["last_payment_error"] = error;
                outcome(&intent)
            }
            Err(Failure::Declined(error)) => failed(reason(&error)),
            Err(Failure::Refused { code, cause }) => {
                tracing::warn!(payment = %id, code, cause, "Stripe refused a charge");
                failed(&code)
            }
            Err(Failure::Unknown(cause)) => {
                tracing::warn!(payment = %id, cause, "a charge has no known outcome: it will be looked up");
                ChargeOutcome::Unknown
            }
        }
    }

    async fn look_up(&self, payment: Uuid, started_at: Timestamp) -> Option<ChargeOutcome> {
        match self.find(payment, started_at).await {
            Ok(found) => found.as_ref().map(outcome),
            Err(failure) => {
                let cause = not_done(failure);
                tracing::warn!(payment = %PaymentId(payment), %cause, "a charge could not be looked up");
                Some(ChargeOutcome::Unknown)
            }
        }
    }

    async fn refund(&self, request: &RefundRequest) -> RefundOutcome {
        let id = RefundId(request.refund).to_string();
        let answer = match self.find_refund(request).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let body = [
                    ("payment_intent", request.provider_ref.clone()),
                    ("amount", request.amount.to_string()),
                    ("metadata[refund]", id.clone()),
                ];
                self.client.post("/v1/refunds", &body, Some(&id)).await.map(|answer| answer.body)
            }
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(refund) => match refund["status"].as_str().unwrap_or_default() {
                "failed" | "canceled" => {
                    let code = refund["failure_reason"].as_str().unwrap_or("refund_failed").to_owned();
                    RefundOutcome::Failed { code }
                }
                _ => RefundOutcome::Refunded { provider_ref: text(&refund["id"]) },
            },
            Err(Failure::Refused { code, .. }) => RefundOutcome::Failed { code },
            Err(Failure::Declined(error)) => RefundOutcome::Failed { code: reason(&error).to_owned() },
            Err(Failure::Unknown(cause)) => {
                tracing::warn!(refund = %id, cause, "a refund has no known outcome: it will be asked for again");
                RefundOutcome::Unknown
            }
        }
    }

    fn read_event(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Option<Hint>, EventError> {
        if self.webhook_secrets.is_empty() {
            return Err(EventError::NotExpected);
        }
        webhook::verify(signature.unwrap_or_default(), body, &self.webhook_secrets, now)?;
        let event: Value = serde_json::from_slice(body).map_err(|_| EventError::Malformed)?;
        let metadata = &event["data"]["object"]["metadata"];
        let payment = metadata["payment"].as_str().and_then(|id| id.parse::<PaymentId>().ok());
        let organization = metadata["organization"].as_str().and_then(|id| id.parse::<OrganizationId>().ok());
        Ok(payment.zip(organization).map(|(payment, organization)| Hint { payment: payment.0, organization }))
    }
}

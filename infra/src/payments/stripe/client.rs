//! Calls of Stripe's API, and what their answers mean.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;

/// How long an answer may take: shorter than a request to this service.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The version of the API whose answers are understood here.
const VERSION: &str = "2024-06-20";

/// Calls Stripe.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    authorization: HeaderValue,
}

/// A successful answer.
pub(super) struct Answer {
    pub(super) body: Value,
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) enum Failure {
    /// The bank declined: the error, as Stripe describes it.
    Declined(Value),
    /// The request is not valid, so it had no effect.
    Refused {
        /// Stripe's reason.
        code: String,
        /// The same in words.
        cause: String,
    },
    /// There was no answer, or none that says whether there was an effect.
    Unknown(String),
}

impl Client {
    pub(super) fn open(key: String, url: &str) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|error| format!("the URL of Stripe is not valid: {error}"))?;
        let is_here = url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host));
        if url.scheme() != "https" && !is_here {
            return Err("the URL of Stripe must start with https://, or the key would be sent in the open".to_owned());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| "the key of Stripe has characters that no key has".to_owned())?;
        authorization.set_sensitive(true);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| format!("the client of Stripe cannot be set up: {error}"))?;
        Ok(Self { http, url, authorization })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Failure> {
        let mut url = self.at(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url)).await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        body: &[(&str, String)],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Failure> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(body).finish();
        let request = self.http.request(Method::POST, self.at(path)?);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        self.send(match idempotency_key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        })
        .await
    }

    fn at(&self, path: &str) -> Result<Url, Failure> {
        self.url.join(path).map_err(|error| Failure::Unknown(error.to_string()))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let request = request.header(AUTHORIZATION, self.authorization.clone()).header("Stripe-Version", VERSION);
        let unknown = |error: reqwest::Error| Failure::Unknown(error.without_url().to_string());
        let response = request.send().await.map_err(unknown)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unknown)?;
        let body: Value = match serde_json::from_slice(&bytes) {
            Ok(body) => body,
            Err(error) => return Err(Failure::Unknown(format!("{status} with a body that is no JSON: {error}"))),
        };
        match status {
            StatusCode::OK => Ok(Answer { body }),
            StatusCode::PAYMENT_REQUIRED => Err(Failure::Declined(body["error"].clone())),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                let of = |name: &str| body["error"][name].as_str().map(str::to_owned);
                let code = of("code").or(of("type")).unwrap_or_else(|| "invalid_request_error".to_owned());
                Err(Failure::Refused { code, cause: of("message").unwrap_or_default() })
            }
            // Wrong keys, conflicts of idempotency, limits, failures: nobody knows, so it is looked up.
            status => Err(Failure::Unknown(format!("Stripe answered {status}"))),
        }
    }
}

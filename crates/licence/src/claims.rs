//! What the tokens say. Times are seconds since 1970-01-01T00:00:00Z.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The claims of one type of token.
pub trait Token: Serialize + DeserializeOwned {
    /// The `typ` of its header.
    const TYPE: &'static str;
}

/// What a licence is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// To try the product.
    Trial,
    /// Follows a subscription.
    Subscription,
    /// Agreed on with an organization.
    Enterprise,
    /// Sold by a reseller.
    Partner,
}

/// The claims of a licence. Unknown ones are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: the URL of the service.
    pub iss: String,
    /// The id of the licence, `lic_…`: it stays the same when the licence is issued again.
    pub jti: String,
    /// The id of the organization, `org_…`.
    pub sub: String,
    /// What it is for.
    pub kind: Kind,
    /// When it was issued.
    pub iat: i64,
    /// From when on it is valid.
    pub nbf: i64,
    /// Until when it is valid, exclusively.
    pub exp: i64,
    /// On how many machines it can be activated.
    pub activations: u32,
    /// The features, such as `sso`.
    pub features: Vec<String>,
    /// The limits, such as `users`; what is missing is not limited.
    pub limits: BTreeMap<String, u64>,
    /// Who sold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller: Option<String>,
}

impl Token for Claims {
    const TYPE: &'static str = "porttask-licence+jwt";
}

/// The claims of an activation: that a licence can be used on a machine, for a while without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who issued it: the URL of the service.
    pub iss: String,
    /// The id of the licence.
    pub jti: String,
    /// The machine: base64url, without padding, of the SHA-256 of what identifies it.
    pub machine: String,
    /// When it was issued.
    pub iat: i64,
    /// Until when it is valid, exclusively.
    pub exp: i64,
}

impl Token for Lease {
    const TYPE: &'static str = "porttask-activation+jwt";
}

/// The claims of a revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationList {
    /// Who issued it: the URL of the service.
    pub iss: String,
    /// Its number: a newer list has a higher one.
    pub seq: u64,
    /// When it was issued.
    pub iat: i64,
    /// When it should be fetched again at the latest.
    pub exp: i64,
    /// The licences that are not valid although their tokens have not expired.
    pub revoked: Vec<Revoked>,
}

impl Token for RevocationList {
    const TYPE: &'static str = "porttask-revocations+jwt";
}

/// A licence that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The id of the licence.
    pub jti: String,
    /// When it was revoked.
    pub at: i64,
    /// Why: `replaced`, or text.
    pub reason: String,
}

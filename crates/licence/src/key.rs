//! Public keys as a JWK set (RFC 7517), their thumbprints (RFC 7638), and the key that signs.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    claims::Token,
    jws::{decoded, encoded, to_be_signed},
};

/// Why a JWK set is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// It is not a JWK set.
    #[error("this is not a JWK set: {0}")]
    Malformed(String),
    /// A key is not an Ed25519 key, or its id is not its thumbprint.
    #[error("the key {0:?} is not an Ed25519 key whose `kid` is its thumbprint")]
    InvalidKey(String),
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// A key by its 32 bytes; `None` if they are not one, or a weak one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// A key by its bytes in base64url; `None` if they are not one.
    pub fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(&decoded(text).ok()?.try_into().ok()?)
    }

    /// Its bytes in base64url.
    pub fn to_base64(&self) -> String {
        encoded(self.0.as_bytes())
    }

    /// Its thumbprint (RFC 7638), by which tokens name it.
    pub fn kid(&self) -> String {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.to_base64());
        encoded(&Sha256::digest(canonical))
    }

    /// Whether it has signed this. The signature must be in its only canonical form.
    pub(crate) fn has_signed(&self, signed: &str, signature: &[u8; 64]) -> bool {
        self.0.verify_strict(signed.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// The keys whose signatures are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<String, PublicKey>);

impl Keys {
    /// Reads a JWK set. Keys of other types are ignored.
    ///
    /// # Errors
    /// If it is not a JWK set, or an Ed25519 key in it is not valid.
    pub fn from_jwks(json: &str) -> Result<Self, InvalidKeys> {
        let set: JwkSet = serde_json::from_str(json).map_err(|error| InvalidKeys::Malformed(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for jwk in set.keys {
            if jwk.kty != "OKP" || jwk.crv.as_deref() != Some("Ed25519") {
                continue;
            }
            let invalid = || InvalidKeys::InvalidKey(jwk.kid.clone().unwrap_or_default());
            let key = jwk.x.as_deref().and_then(PublicKey::from_base64).ok_or_else(invalid)?;
            if jwk.kid.as_ref().is_some_and(|kid| *kid != key.kid()) {
                return Err(invalid());
            }
            keys.insert(key.kid(), key);
        }
        Ok(Self(keys))
    }

    /// Writes a JWK set.
    pub fn to_jwks(&self) -> String {
        let text = |text: &str| Some(text.to_owned());
        let jwk = |(kid, key): (&String, &PublicKey)| Jwk {
            kty: "OKP".to_owned(),
            crv: text("Ed25519"),
            x: Some(key.to_base64()),
            kid: Some(kid.clone()),
            usage: text("sig"),
            alg: text("EdDSA"),
        };
        let set = JwkSet { keys: self.0.iter().map(jwk).collect() };
        serde_json::to_string(&set).unwrap_or_else(|error| unreachable!("keys that are not valid JSON: {error}"))
    }

    /// The key with an id.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<PublicKey> for Keys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.kid(), key)).collect())
    }
}

/// A private key: for the service that issues licences, and for tests. The same claims always get the same signature.
pub struct Signer(SigningKey);

impl Signer {
    /// The private key of a seed (RFC 8032).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// A signed token.
    pub fn sign<T: Token>(&self, claims: &T) -> String {
        let signed = to_be_signed(&self.public().kid(), claims);
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", encoded(&signature.to_bytes()))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.public().kid()).finish()
    }
}

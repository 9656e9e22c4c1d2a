//! The signed form of all tokens: compact JWS (RFC 7515) with Ed25519 (RFC 8037).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::claims::Token;

/// The algorithm. RFC 9864 renames it to `Ed25519`, which libraries do not know yet.
const ALGORITHM: &str = "EdDSA";
/// A revocation list of ten thousand licences has about a megabyte.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The token does not have the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is malformed: {0}")]
pub struct Malformed(pub(crate) &'static str);

/// The header. Any other member is refused: it would change the meaning (`crit`, `b64`), or name a key (`jwk`, `jku`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// The parts of a token whose signature was not verified yet.
pub(crate) struct Parts<'a> {
    /// The id of the key.
    pub(crate) kid: String,
    /// What is signed.
    pub(crate) signed: &'a str,
    payload: Vec<u8>,
    /// The signature.
    pub(crate) signature: [u8; 64],
}

impl<'a> Parts<'a> {
    /// The parts of a token of a type. Whitespace around it is ignored.
    ///
    /// # Errors
    /// If it does not have the form, the algorithm or the type.
    pub(crate) fn of<T: Token>(token: &'a str) -> Result<Self, Malformed> {
        let token = token.trim();
        if token.len() > MAX_BYTES {
            return Err(Malformed("it is too large"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed("it has no three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(Malformed("it has no three parts"))?;
        let header = serde_json::from_slice(&decoded(header)?);
        let header: Header = header.map_err(|_| Malformed("its header must have `alg`, `kid` and `typ` only"))?;
        if header.alg != ALGORITHM {
            return Err(Malformed("its algorithm is not EdDSA"));
        }
        if header.typ != T::TYPE {
            return Err(Malformed("it is of another type"));
        }
        let signature = decoded(signature)?.try_into().map_err(|_| Malformed("its signature has no 64 bytes"))?;
        Ok(Self { kid: header.kid, signed, payload: decoded(payload)?, signature })
    }

    /// The claims, once the signature was verified.
    ///
    /// # Errors
    /// If a claim is missing or has another form.
    pub(crate) fn claims<T: Token>(&self) -> Result<T, Malformed> {
        serde_json::from_slice(&self.payload).map_err(|_| Malformed("a claim is missing or has another form"))
    }
}

/// The part of a token that is signed.
pub(crate) fn to_be_signed<T: Token>(kid: &str, claims: &T) -> String {
    let header = Header { alg: ALGORITHM.to_owned(), kid: kid.to_owned(), typ: T::TYPE.to_owned() };
    format!("{}.{}", encoded_json(&header), encoded_json(claims))
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Refuses padding, and bits behind the last byte.
pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed("it is not base64url without padding"))
}

fn encoded_json(value: &impl Serialize) -> String {
    // Structures with string keys: JSON can represent all of them.
    let json =
        serde_json::to_vec(value).unwrap_or_else(|error| unreachable!("claims that are not valid JSON: {error}"));
    encoded(&json)
}

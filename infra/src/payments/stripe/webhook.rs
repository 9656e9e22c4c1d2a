//! Signatures of events: `t=…,v1=…` over the time and the body, with a secret of the endpoint.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use porttask_runtime::ports::payments::EventError;
use sha2::Sha256;

/// How old a signature may be, and how far ahead.
const TOLERANCE_SECONDS: i64 = 300;

/// Checks that one of the signatures was made with one of the secrets, and not long ago.
pub(super) fn verify(header: &str, body: &[u8], secrets: &[String], now: Timestamp) -> Result<(), EventError> {
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let time = pairs().find(|(name, _)| *name == "t").map(|(_, value)| value).ok_or(EventError::BadSignature)?;
    let seconds: i64 = time.parse().map_err(|_| EventError::BadSignature)?;
    if (now.as_second().saturating_sub(seconds)).saturating_abs() > TOLERANCE_SECONDS {
        return Err(EventError::BadSignature);
    }
    let signatures = pairs().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| bytes(value));
    // Compared in constant time.
    let is_of = |signature: &[u8], secret: &String| {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.chain_update(time).chain_update(b".").chain_update(body).verify_slice(signature).is_ok()
    };
    let is_signed = signatures.into_iter().any(|signature| secrets.iter().any(|secret| is_of(&signature, secret)));
    if is_signed { Ok(()) } else { Err(EventError::BadSignature) }
}

/// The bytes of a text in hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).ok()).collect()
}

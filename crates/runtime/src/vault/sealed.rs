//! The sealed form of personal values within the JSON of an event (docs/event-encoding.md).
//!
//! `{"$personal": {"of", "sealing", "value"}}` becomes `{"$sealed": {"of", "sealing", "hash", "box"}}`: `hash` is
//! SHA-256(salt ‖ value), by which third parties can verify an opened value against the event's hash; `box` holds the
//! nonce and salt ‖ value, encrypted under the person's key and bound to organization, event and field.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use porttask_domain::{OrganizationId, PersonId, Personal, Sealing};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Keys, VaultError, master::random};
use crate::log::{EventId, PersonKeyId};

/// The JSON key that marks a personal value in plaintext.
pub(super) const PERSONAL: &str = Personal::MARK;
/// The JSON key that marks a sealed value.
pub(super) const SEALED: &str = "$sealed";

const NONCE_BYTES: usize = 24;
const SALT_BYTES: usize = 16;

/// A plaintext key: never printed, never stored.
#[derive(Clone)]
pub(super) struct PlainKey([u8; 32]);

impl PlainKey {
    pub(super) fn generate() -> Result<Self, VaultError> {
        random().map(Self)
    }

    pub(super) fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where a value is stored; the value is bound to it.
pub(super) struct Place {
    pub(super) organization: OrganizationId,
    pub(super) event: EventId,
    /// The organization of the people whose values these are.
    pub(super) home: OrganizationId,
    /// `data` or `meta`.
    pub(super) part: &'static str,
}

/// Whether this JSON may contain sealed values.
pub(super) fn mentions(json: &[u8]) -> bool {
    json.windows(SEALED.len()).any(|window| window == SEALED.as_bytes())
}

/// Reports the owners of all values with this mark.
pub(super) fn find(value: &Value, mark: &str, found: &mut impl FnMut(PersonId, Sealing)) {
    match value {
        Value::Object(members) => match members.get(mark) {
            Some(content) => {
                if let Some((person, sealing)) = owner(content) {
                    found(person, sealing);
                }
            }
            None => members.values().for_each(|member| find(member, mark, found)),
        },
        Value::Array(items) => items.iter().for_each(|item| find(item, mark, found)),
        _ => {}
    }
}

fn owner(content: &Value) -> Option<(PersonId, Sealing)> {
    let person = content["of"].as_str()?.parse().ok()?;
    let sealing = serde_json::from_value(content["sealing"].clone()).ok()?;
    Some((person, sealing))
}

/// Seals all personal values. Those of people whose keys are destroyed are recorded as erased.
pub(super) fn seal(value: &mut Value, place: &Place, keys: &Keys) -> Result<(), VaultError> {
    replace(value, PERSONAL, place.part.to_owned(), &mut |content, field| {
        let Some(plain) = content["value"].as_str() else { return Ok(None) };
        let (id, key) = key_of(content, place, keys)?;
        let Some(key) = key else { return Ok(Some(erased(&id))) };
        let (nonce, salt): ([u8; NONCE_BYTES], [u8; SALT_BYTES]) = (random()?, random()?);
        let salted = [&salt, plain.as_bytes()].concat();
        let aad = bound_to(place, field);
        let encrypted = cipher(key).encrypt(&nonce.into(), Payload { msg: &salted, aad: &aad });
        let encrypted = encrypted.map_err(|_| damaged(&id, "the value is too long to be sealed"))?;
        let hash = STANDARD_NO_PAD.encode(Sha256::digest(&salted));
        let sealed = STANDARD_NO_PAD.encode([&nonce[..], &encrypted].concat());
        Ok(Some(json!({SEALED: {"of": id.person, "sealing": id.sealing, "hash": hash, "box": sealed}})))
    })
}

/// Opens all sealed values.
pub(super) fn open(value: &mut Value, place: &Place, keys: &Keys) -> Result<(), VaultError> {
    replace(value, SEALED, place.part.to_owned(), &mut |content, field| {
        let (id, key) = key_of(content, place, keys)?;
        let Some(key) = key else { return Ok(Some(erased(&id))) };
        let decoded = |member: &str| STANDARD_NO_PAD.decode(content[member].as_str().unwrap_or_default()).ok();
        let sealed = decoded("box").unwrap_or_default();
        let (nonce, encrypted) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| damaged(&id, "the value is truncated"))?;
        let aad = bound_to(place, field);
        let salted = cipher(key).decrypt(nonce.into(), Payload { msg: encrypted, aad: &aad });
        let salted = salted.map_err(|_| damaged(&id, "the value was altered, moved, or sealed under another key"))?;
        if decoded("hash").as_deref() != Some(&Sha256::digest(&salted)[..]) {
            return Err(damaged(&id, "the value does not match its hash"));
        }
        let plain = salted.get(SALT_BYTES..).and_then(|plain| std::str::from_utf8(plain).ok());
        let plain = plain.ok_or_else(|| damaged(&id, "the value is not text"))?;
        Ok(Some(json!({PERSONAL: {"of": id.person, "sealing": id.sealing, "value": plain}})))
    })
}

/// Makes all sealed values read as erased, for readers that need no personal data and have no keys.
pub(super) fn blank(value: &mut Value) {
    match value {
        Value::Object(members) => match members.get(SEALED).and_then(owner) {
            Some((person, sealing)) => *value = json!({PERSONAL: {"of": person, "sealing": sealing, "value": null}}),
            None => members.values_mut().for_each(blank),
        },
        Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}

fn erased(id: &PersonKeyId) -> Value {
    json!({PERSONAL: {"of": id.person, "sealing": id.sealing, "value": null}})
}

/// The key of a value; `None` if it is destroyed.
fn key_of<'a>(
    content: &Value,
    place: &Place,
    keys: &'a Keys,
) -> Result<(PersonKeyId, Option<&'a PlainKey>), VaultError> {
    let nobody = PersonId(uuid::Uuid::nil());
    let (person, sealing) = owner(content).unwrap_or((nobody, Sealing::Identity));
    let id = PersonKeyId { organization: place.home, person, sealing };
    let key = keys.get(&id).ok_or_else(|| damaged(&id, "the ledger has no key for it"))?;
    Ok((id, key.as_ref()))
}

fn damaged(id: &PersonKeyId, what: &'static str) -> VaultError {
    VaultError::Damaged { organization: id.organization, person: id.person, what }
}

fn cipher(key: &PlainKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// Associated data of a value, so that it cannot be moved to another event or field.
fn bound_to(place: &Place, field: &str) -> Vec<u8> {
    [place.organization.0.as_bytes(), place.event.0.as_bytes(), field.as_bytes()].concat()
}

type Replacement = Result<Option<Value>, VaultError>;

/// Replaces every object with this mark; fields are named by path, such as `data/from/name`.
fn replace(
    value: &mut Value,
    mark: &str,
    field: String,
    with: &mut impl FnMut(&Value, &str) -> Replacement,
) -> Result<(), VaultError> {
    match value {
        Value::Object(members) => match members.get(mark) {
            Some(content) => {
                if let Some(replacement) = with(content, &field)? {
                    *value = replacement;
                }
                Ok(())
            }
            None => members.iter_mut().try_for_each(|(name, it)| replace(it, mark, format!("{field}/{name}"), with)),
        },
        Value::Array(items) => {
            let mut items = items.iter_mut().enumerate();
            items.try_for_each(|(index, item)| replace(item, mark, format!("{field}/{index}"), with))
        }
        _ => Ok(()),
    }
}

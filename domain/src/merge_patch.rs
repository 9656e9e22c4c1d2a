//! Members of JSON merge patches (RFC 7396).

use serde::{Deserialize, Deserializer};

/// A member that null removes: `None` means absent, `Some(None)` null. Needs `#[serde(default)]`.
///
/// # Errors
/// If the value is invalid.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A member that cannot be removed: null is invalid. Needs `#[serde(default)]`.
///
/// # Errors
/// If the value is null or invalid.
pub fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

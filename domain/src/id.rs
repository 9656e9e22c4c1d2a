//! Typed ids, written as [TypeID](https://github.com/jetify-com/typeid): a prefix for the kind, and a UUID in
//! 26 characters of Crockford's base 32.

use std::{fmt, str::FromStr};

use serde::{Deserializer, de};
use uuid::Uuid;

/// A string that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid id here: expected {} followed by 26 characters", alternatives(prefixes))]
pub struct InvalidId {
    text: String,
    prefixes: &'static [&'static str],
}

fn alternatives(prefixes: &[&str]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("`{prefix}_`")).collect();
    prefixes.join(" or ")
}

/// Defines typed ids.
#[macro_export]
macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident = $prefix:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// The prefix of ids of this kind, before the underscore.
            pub const PREFIX: &'static str = $prefix;
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::id::write(f, $prefix, self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidId;

            fn from_str(text: &str) -> Result<Self, $crate::InvalidId> {
                $crate::id::parse(text, &[$prefix]).map(|(_, id)| Self(id))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::id::deserialize(deserializer)
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::id::schema(&[$prefix])
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}
    )+};
}

ids! {
    /// An organization: the tenant that events belong to.
    OrganizationId = "org";
    /// An account of one person in one organization.
    UserId = "usr";
    /// A sign-in, until it ends.
    SessionId = "ses";
    /// An API key.
    ApiKeyId = "key";
    /// Denied requests of one caller, operation, target and reason within an hour.
    DenialId = "dnl";
    /// Reads by staff of one area or operation within an hour or a day.
    StaffAccessId = "sta";
    /// Failed attempts to sign in to one account from one network, within an hour.
    FailedSignInsId = "fsi";
    /// Reminders of the accounts with one email address; derived from it by a keyed hash.
    AccountReminderId = "rem";
    /// An import of users.
    UserImportId = "imp";
    /// An export of data.
    ExportId = "exp";
    /// A long-running job.
    JobId = "job";
    /// A task of a reactor.
    TaskId = "tsk";
    /// The owner of personal values, whose key encrypts them: a user, or a record with free text. It has the same UUID
    /// as that user or record.
    PersonId = "per";
}

impl OrganizationId {
    /// The platform's own organization, which always exists.
    pub const PLATFORM: Self = Self(Uuid::nil());
}

impl UserId {
    /// The first account of every installation. Its id is fixed, so that it is created only once.
    pub const FIRST_SUPER_ADMIN: Self = Self(Uuid::from_u128(1));
}

impl From<UserId> for PersonId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

/// An email address outside of any organization belongs to the reminder itself.
impl From<AccountReminderId> for PersonId {
    fn from(reminder: AccountReminderId) -> Self {
        Self(reminder.0)
    }
}

/// Free text about an organization belongs to the organization itself.
impl From<OrganizationId> for PersonId {
    fn from(organization: OrganizationId) -> Self {
        Self(organization.0)
    }
}

struct Text<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five; the first group has three.
const LENGTH: usize = 26;

/// Writes an id as text.
#[doc(hidden)]
pub fn write(f: &mut fmt::Formatter<'_>, prefix: &str, id: Uuid) -> fmt::Result {
    let bits = id.as_u128();
    let text: [u8; LENGTH] = std::array::from_fn(|index| {
        let group = bits >> (5 * (LENGTH - 1 - index)) & 31;
        ALPHABET[group as usize]
    });
    write!(f, "{prefix}_{}", std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// The UUID of an id of any kind; `None` if it is malformed. Its prefix has three or four letters, so that no free text
/// passes for an id.
pub fn uuid_of(id: &str) -> Option<Uuid> {
    let (prefix, _) = id.rsplit_once('_')?;
    if !(3..=4).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    read(id, prefix)
}

/// Parses an id with one of these prefixes, and returns which.
#[doc(hidden)]
pub fn parse(text: &str, prefixes: &'static [&'static str]) -> Result<(&'static str, Uuid), InvalidId> {
    let found = prefixes.iter().find_map(|prefix| read(text, prefix).map(|id| (*prefix, id)));
    found.ok_or_else(|| InvalidId { text: text.chars().take(64).collect(), prefixes })
}

/// Deserializes an id from a string.
#[doc(hidden)]
pub fn deserialize<'de, T: FromStr<Err = InvalidId>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(std::marker::PhantomData))
}

/// The OpenAPI schema of ids with one of these prefixes.
#[cfg(feature = "schema")]
#[doc(hidden)]
pub fn schema(prefixes: &[&str]) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    let prefix = match prefixes {
        [prefix] => (*prefix).to_owned(),
        prefixes => format!("({})", prefixes.join("|")),
    };
    let first = prefixes.first().copied().unwrap_or_default();
    let object = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
        .examples([serde_json::json!(format!("{first}_01h455vb4pex5vsknk084sn02q"))]);
    object.into()
}

fn read(text: &str, prefix: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?.as_bytes();
    // A greater first digit would not fit into 128 bits.
    if digits.len() != LENGTH || digits[0] > b'7' {
        return None;
    }
    let add = |bits: u128, digit: &u8| {
        let group = ALPHABET.iter().position(|known| known == digit)?;
        Some(bits << 5 | group as u128)
    };
    digits.iter().try_fold(0, add).map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_follow_the_typeid_specification() {
        // From the specification's valid examples.
        let id: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(UserId(id).to_string(), "usr_01h455vb4pex5vsknk084sn02q");
        assert_eq!(UserId(Uuid::nil()).to_string(), "usr_00000000000000000000000000");
        assert_eq!(UserId(Uuid::max()).to_string(), "usr_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn malformed_ids_and_ids_of_another_kind_are_rejected() {
        for bad in [
            "",
            "usr",
            "usr_",
            "ses_01h455vb4pex5vsknk084sn02q",
            "usr_01h455vb4pex5vsknk084sn02",
            "usr_01h455vb4pex5vsknk084sn02qq",
            "usr_01H455VB4PEX5VSKNK084SN02Q",
            "usr_81h455vb4pex5vsknk084sn02q",
            "usr_01h455vb4pex5vsknk084sn02u",
            "usr_é1h455vb4pex5vsknk084sn02",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip(bits: u128) {
            let id = UserId(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), id);
        }
    }
}

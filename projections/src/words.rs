//! Words of the domain as texts and columns: written as they are in events.

use porttask_domain::compliance::export::Format;
use porttask_domain::identity::{
    Access, Role, Standing,
    api_key::KeyScope,
    session::{Ending, Method},
    settings::Weekday,
    user::Status,
};

use crate::{ColumnType, Kind, Value};

/// What has a word for each of its values.
pub(crate) trait Word {
    /// The word.
    fn word(&self) -> &'static str;
}

macro_rules! words {
    ($($type:ty { $($variant:ident = $word:literal),+ })+) => {
        $(impl Word for $type {
            fn word(&self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ColumnType for $type {
            const KIND: Kind = Kind::Text;

            fn to_value(&self) -> Value {
                Value::Text(self.word().to_owned())
            }

            fn from_value(value: Value) -> Option<Self> {
                let Value::Text(word) = value else { return None };
                match word.as_str() { $($word => Some(Self::$variant),)+ _ => None }
            }
        })+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn words_are_written_as_in_events() {
                $($(
                    let word = serde_json::json!(<$type>::$variant);
                    assert_eq!(<$type>::$variant.to_value(), Value::Text(word.as_str().unwrap().to_owned()));
                    assert_eq!(<$type>::from_value(Value::Text($word.to_owned())), Some(<$type>::$variant));
                )+)+
                assert_eq!(Role::from_value(Value::Text("king".to_owned())), None);
            }
        }
    };
}

words! {
    Role { Admin = "admin", Agent = "agent", ReadOnly = "read_only", Auditor = "auditor", SuperAdmin = "super_admin" }
    Status { Registered = "registered", Invited = "invited", Active = "active", Deactivated = "deactivated" }
    Access { None = "none", Read = "read", Write = "write" }
    Standing { Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
    KeyScope {
        ReadOrganizations = "organizations:read", WriteOrganizations = "organizations:write", ReadUsers = "users:read",
        WriteUsers = "users:write", ReadAuditLog = "audit_log:read"
    }
    Method { Password = "password" }
    Format { Csv = "csv", Json = "json" }
    Ending { SignOut = "sign_out", Revocation = "revocation" }
    Weekday {
        Monday = "monday", Tuesday = "tuesday", Wednesday = "wednesday", Thursday = "thursday", Friday = "friday",
        Saturday = "saturday", Sunday = "sunday"
    }
}

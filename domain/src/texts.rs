//! Enumerations represented as strings in events, tables and the API.

/// A closed set of values, each with one string form: the same in events, tables and the API.
pub trait TextEnum: Copy + Eq + 'static {
    /// All values, in order of declaration.
    const ALL: &'static [Self];

    /// The string form.
    fn as_str(&self) -> &'static str;

    /// The value with this string form.
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|value| value.as_str() == text).copied()
    }
}

/// Defines enumerations that are represented as strings. The strings are `tt`, because derive macros do not recognize a
/// `literal` of a macro in their attributes.
#[macro_export]
macro_rules! texts {
    ($(
        $(#[$attribute:meta])*
        pub enum $name:ident { $($(#[$value_attribute:meta])* $value:ident = $text:tt,)+ }
    )+) => {$(
        // As `tt`: derives that read the string would not find it within a `literal`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        $(#[$attribute])*
        pub enum $name { $($(#[$value_attribute])* #[serde(rename = $text)] $value,)+ }

        impl $crate::TextEnum for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn as_str(&self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::TextEnum::as_str(self))
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, api_key::KeyScope};

    #[test]
    fn the_string_form_is_the_same_everywhere() {
        for role in Role::ALL {
            assert_eq!(serde_json::json!(role), serde_json::json!(role.as_str()));
            assert_eq!(Role::from_text(role.as_str()), Some(*role));
        }
        assert_eq!(Role::ReadOnly.to_string(), "read_only");
        assert_eq!(KeyScope::from_text("users:read"), Some(KeyScope::ReadUsers));
        assert_eq!(Role::from_text("king"), None);
    }
}

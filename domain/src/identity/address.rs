//! Domain names and email addresses, normalized for comparison.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::{InvalidText, text::entered};

/// The domain name of an organization in DNS form: lower case, IDNA A-labels (UTS 46).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// # Errors
    /// If it is not a host name of at least two labels with a non-numeric last label.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let invalid = || InvalidText("must be a domain name such as example.com".to_owned());
        if text.len() > 1_000 {
            return Err(invalid());
        }
        let ascii = idna::domain_to_ascii_strict(text.trim()).map_err(|_| invalid())?;
        let has_labels = ascii.contains('.') && ascii.split('.').all(|label| !label.is_empty());
        let is_address = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if !has_labels || is_address || ascii.len() > 253 {
            return Err(invalid());
        }
        Ok(Self(ascii))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An email address (RFC 5321, with the characters of RFC 6531): the local part as given, and a domain.
///
/// Quoted local parts, comments and address literals are rejected: practically nobody uses them, and they can hide
/// attacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    local: String,
    domain: DomainName,
}

impl EmailAddress {
    /// The version of the rules for comparing addresses, stored with every recorded address.
    pub const RULES: u8 = 1;

    /// # Errors
    /// If it is not a valid email address.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let invalid = || InvalidText("must be an email address such as ana@example.com".to_owned());
        if text.len() > 1_000 {
            return Err(invalid());
        }
        let (local, domain) = text.trim().rsplit_once('@').ok_or_else(invalid)?;
        let local: String = local.nfc().collect();
        let atoms_are_good = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character));
        if local.len() > 64 || !atoms_are_good {
            return Err(invalid());
        }
        let domain = DomainName::new(domain).map_err(|_| invalid())?;
        if local.len() + 1 + domain.as_str().len() > 254 {
            return Err(invalid());
        }
        Ok(Self { local, domain })
    }

    /// The form used for comparison: lower case. In theory a server may distinguish `Ana@` from `ana@`; in practice
    /// they are the same person.
    pub fn comparable(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }
}

entered!(EmailAddress);

/// As given, with the domain in A-labels.
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// `atext` of RFC 5322, and with RFC 6532 letters, marks and digits of all scripts.
fn is_atom_character(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || (!character.is_ascii() && (character.is_alphanumeric() || is_mark(character)))
}

/// A combining mark that NFC left uncomposed.
fn is_mark(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_valid_addresses_are_accepted() {
        for (given, stored) in [
            ("ana@example.com", "ana@example.com"),
            ("  Ana.Souza+port@Example.COM ", "Ana.Souza+port@example.com"),
            ("o'brien@example.ie", "o'brien@example.ie"),
            ("jörg@müller.example", "jörg@xn--mller-kva.example"),
            ("用户@例子.测试", "用户@xn--fsqu00a.xn--0zwm56d"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("jo\u{301}rg@example.com", "j\u{f3}rg@example.com"),
        ] {
            assert_eq!(EmailAddress::new(given).unwrap().to_string(), stored);
        }
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.com", "a".repeat(64));
        for bad in [
            "",
            "@",
            "ana",
            "ana@",
            "@example.com",
            "ana@localhost",
            "ana@@example.com",
            "a b@example.com",
            "ana@exa mple.com",
            ".ana@example.com",
            "ana.@example.com",
            "a..b@example.com",
            "ana@example..com",
            "ana@-example.com",
            "ana@[192.0.2.1]",
            "ana@192.0.2.1",
            "\"ana\"@example.com",
            "ana@example.com\r\nBcc: x@y.z",
            "ana\u{0}@example.com",
            "ana@exam_ple.com",
            "<ana@example.com>",
            "ana@example.com,b@example.com",
            &long_local,
            &long_domain,
        ] {
            assert!(EmailAddress::new(bad).is_err(), "{bad:?}");
        }
        assert!(EmailAddress::new(&"a".repeat(1_000_000)).is_err());
    }

    #[test]
    fn addresses_of_the_same_mailbox_compare_equal() {
        let comparable = |text: &str| EmailAddress::new(text).unwrap().comparable();
        assert_eq!(comparable("Ana@Example.com"), comparable("ana@EXAMPLE.com"));
        assert_eq!(comparable("JÖRG@MÜLLER.example"), comparable("jo\u{308}rg@xn--mller-kva.example"));
        assert_ne!(comparable("ana@example.com"), comparable("ana+1@example.com"));
    }

    #[test]
    fn domains_are_compared_in_dns_form() {
        assert_eq!(DomainName::new("Bücher.Example").unwrap().as_str(), "xn--bcher-kva.example");
        for bad in
            ["", "example", ".example.com", "example.com.", "exam ple.com", "192.0.2.1", "a.1", "-a.com", "a_b.com"]
        {
            assert!(DomainName::new(bad).is_err(), "{bad}");
        }
    }
}

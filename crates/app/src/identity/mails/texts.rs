//! The mails of the module in all languages.

use super::{english, message::Message};
use crate::mail::{
    language::{Language, Reader},
    letter::Letter,
};

/// A mail in a language.
pub(super) fn letter(language: Language, message: &Message<'_>, reader: &Reader<'_>) -> Letter {
    match language {
        Language::English => english::letter(message, reader),
    }
}

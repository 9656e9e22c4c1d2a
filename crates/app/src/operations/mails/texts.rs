//! The mails of the module in all languages.

use jiff::Timestamp;
use porttask_domain::operations::{
    port_call::Schedule,
    price::Price,
    service_order::{Answer, Content},
};

use super::english;
use crate::mail::{
    language::{Language, Reader},
    letter::Letter,
};

/// What an order is about.
pub(super) struct Order<'a> {
    /// The name of the vessel.
    pub(super) vessel: &'a str,
    /// Its IMO number.
    pub(super) imo: &'a str,
    /// The name of the port.
    pub(super) port: &'a str,
    /// When the vessel is expected.
    pub(super) schedule: Schedule,
    /// What is ordered.
    pub(super) content: &'a Content,
}

impl Order<'_> {
    /// The price, if one was agreed on.
    pub(super) fn price(&self) -> Option<&Price> {
        self.content.price.as_ref()
    }
}

/// The content of a mail.
pub(super) enum Message<'a> {
    /// A vendor is asked to provide a service.
    Request {
        /// The link to answer.
        address: &'a str,
        /// Until when it can be answered.
        expires_at: Timestamp,
    },
    /// An order was withdrawn.
    Withdrawal {
        /// The remark on it.
        remark: Option<&'a str>,
    },
    /// A vendor has answered.
    Answer {
        /// The name of the vendor.
        vendor: &'a str,
        /// The answer.
        answer: Answer,
        /// The remark on it.
        remark: Option<&'a str>,
        /// The page of the port call.
        address: &'a str,
    },
}

/// A mail in a language. Its times are those of the port.
pub(super) fn letter(language: Language, message: &Message<'_>, order: &Order<'_>, reader: &Reader<'_>) -> Letter {
    match language {
        Language::English => english::letter(message, order, reader),
    }
}

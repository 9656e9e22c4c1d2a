//! The mails of the module in all languages.

use jiff::civil::Date;
use porttask_domain::billing::{
    subscription::{EndReason, ReadOnlyReason},
    terms::{Held, Meter},
};

use super::english;
use crate::mail::{
    language::{Language, Reader},
    letter::Letter,
};

/// The content of a mail, independent of language.
pub(super) enum Message<'a> {
    /// A share of a limit is reached.
    ThresholdReached {
        meter: Meter,
        /// In percent.
        share: u64,
        used: u64,
        limit: u64,
        /// The first date of the next usage month.
        resets_on: Date,
    },
    /// The trial ends.
    TrialEnds {
        /// The first date after it.
        until: Date,
        /// The name of the plan.
        plan: &'a str,
        /// What begins then.
        chosen: Option<&'a Held>,
    },
    /// A yearly subscription renews.
    Renews {
        /// The first date of the next period.
        on: Date,
        held: &'a Held,
    },
    /// The organization is read-only.
    ReadOnly {
        /// Why.
        why: ReadOnlyReason,
        /// When the subscription ends.
        ends_on: Date,
    },
    /// The subscription ended.
    Ended {
        why: EndReason,
        /// The first date on which nothing is held.
        on: Date,
    },
    /// The subscription became active.
    Activated {
        held: &'a Held,
        /// The first date of the first period.
        from: Date,
        /// The first date after it.
        until: Date,
    },
    /// The terms changed.
    Changed { from: &'a Held, to: &'a Held, effective: Date },
    /// The terms change with a new version of the plan.
    MigrationNotice { from: &'a Held, to: &'a Held, effective: Date },
}

/// A mail in a language; `address` is the page of the subscription.
pub(super) fn letter(language: Language, message: &Message<'_>, reader: &Reader<'_>, address: &str) -> Letter {
    match language {
        Language::English => english::letter(message, reader, address),
    }
}

//! Mail: the reactor that sends what modules compose because of events.
//!
//! | file | what it owns |
//! |---|---|
//! | `mailer.rs` | the reactor: from events to mails |
//! | `letter.rs` | the text of a mail, as plain text and as HTML |
//! | `language.rs` | the languages in which mails are written, and how they address a person |
//!
//! Each module owns its mails: which events ask for them, and what they say. Mail is carried by a
//! [`MailTransport`](porttask_runtime::ports::mail::MailTransport).

pub mod language;
pub mod letter;
mod mailer;

pub use self::mailer::{AnyMails, Draft, Mailer, Mails, boxed};

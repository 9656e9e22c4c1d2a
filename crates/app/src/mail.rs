//! Mail: the reactor that sends the mails that modules compose in response to events.
//!
//! | file | what it owns |
//! |---|---|
//! | `mailer.rs` | the reactor: from events to mails |
//! | `letter.rs` | the text of a mail, as plain text and as HTML |
//! | `language.rs` | the languages of mails, and the reader's context |
//!
//! Each module owns its mails: which events trigger them, and their texts. Mail is delivered by a
//! [`MailTransport`](porttask_runtime::ports::mail::MailTransport).

pub mod language;
pub mod letter;
mod mailer;

pub use self::mailer::{AnyMails, Draft, Mailer, Mails, boxed};

//! Mail: what is sent to whom, and why.
//!
//! | file | what it owns |
//! |---|---|
//! | `mailer.rs` | the reactor: from what happened to a mail |
//! | `letter.rs` | what a mail says, as plain text and as HTML |
//! | `texts.rs` | what mails say, by language; translators add a file there |
//!
//! Mail is carried by a [`MailTransport`](porttask_runtime::ports::mail::MailTransport).

mod letter;
mod mailer;
mod texts;

pub use self::mailer::Mailer;

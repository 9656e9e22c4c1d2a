//! Sends emails by SMTP.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    transport::smtp::{self, extension::ClientId},
};
use porttask_runtime::ports::mail::{Mail, MailError, MailTransport};

use super::{
    UnusableMail,
    message::{Sender, Transparency},
};

/// Timeout of each reply of the server.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Prefixes of enhanced status codes (RFC 3463) that reject the email itself: address, mailbox, content. All other
/// rejections concern the sender, the server or its policy, and may be resolved.
const REFUSES_THE_MAIL: [&str; 3] = ["5.1.", "5.2.", "5.6."];
/// Reply codes that reject an address, if the server sends no enhanced status code.
const NO_SUCH_MAILBOX: [u16; 3] = [550, 551, 553];

pub(super) struct Smtp {
    server: AsyncSmtpTransport<Tokio1Executor>,
    sender: Sender,
}

impl Smtp {
    /// # Errors
    /// If the URL is invalid, or would send a password unencrypted.
    pub(super) fn open(url: &str, sender: Sender) -> Result<Self, UnusableMail> {
        const FORM: &str = "expected smtps://user:password@host:port or smtp://user:password@host:port?tls=required, \
                            with special characters in user and password percent-encoded";
        if sends_an_open_password(url) {
            let remedy = "use smtps://, or append ?tls=required";
            return Err(UnusableMail(format!("the SMTP URL would send its password unencrypted: {remedy}")));
        }
        // The message omits the URL, which may contain a password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| UnusableMail(format!("invalid SMTP URL: {FORM}")))?;
        let server = match has_a_name_for_us(url) {
            true => builder,
            false => builder.hello_name(ClientId::Domain(sender.domain().to_owned())),
        };
        Ok(Self { server: server.timeout(Some(TIMEOUT)).build(), sender })
    }
}

#[async_trait]
impl MailTransport for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.sender.message(mail, Transparency::SevenBit)?;
        match self.server.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(judged(&error, mail)),
        }
    }
}

/// Classifies an error as temporary or permanent.
fn judged(error: &smtp::Error, mail: &Mail) -> MailError {
    let told = told(error);
    let refuses_the_mail = || match enhanced(&told) {
        Some(status) => REFUSES_THE_MAIL.iter().any(|begin| status.starts_with(begin)),
        None => error.status().is_some_and(|code| NO_SUCH_MAILBOX.contains(&u16::from(code))),
    };
    let cannot_have_it = error.is_client() && !mail.to_address.is_ascii();
    match error.is_permanent() && refuses_the_mail() || cannot_have_it {
        true => MailError::Permanent(told),
        false => MailError::Temporary(told),
    }
}

/// The enhanced status code in a reply, such as `5.1.1`.
fn enhanced(told: &str) -> Option<&str> {
    told.split([' ', ':', '(', ')', ',']).find(|word| {
        let mut parts = word.split('.');
        let is_number =
            |part: Option<&str>| part.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
        parts.next() == Some("5") && is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none()
    })
}

/// The error with all its sources.
fn told(error: &smtp::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Whether a password would be sent to another host unencrypted, or with encryption that an attacker can disable.
fn sends_an_open_password(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("smtp://") else { return false };
    let (authority, query) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let Some((_, host)) = authority.rsplit_once('@') else { return false };
    let is_here = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|here| host.strip_prefix(here).is_some_and(|port| port.is_empty() || port.starts_with(':')));
    !is_here && !query.split(['?', '&']).any(|part| part == "tls=required")
}

/// Whether the URL gives the name for EHLO.
fn has_a_name_for_us(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    rest.split_once('/').is_some_and(|(_, path)| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Smtp, UnusableMail> {
        Smtp::open(url, Sender::new("PortTask <no-reply@porttask.example>").unwrap())
    }

    #[test]
    fn a_url_says_where_the_server_is() {
        for good in [
            "smtps://bob:hunter2@mail.example",
            "smtps://bob:hunter2@mail.example:465/porttask.example",
            "smtp://bob:hunter2@mail.example:587?tls=required",
            "smtp://bob:hunter2@localhost:25",
            "smtp://mail.example:25",
            "smtp://127.0.0.1:1025",
        ] {
            assert!(open(good).is_ok(), "{good}: {:?}", open(good).err());
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for (bad, expected) in [
            ("bob:hunter2@mail.example", "invalid SMTP URL"),
            ("http://bob:hunter2@mail.example", "invalid SMTP URL"),
            ("smtps://bob:hunter2@", "invalid SMTP URL"),
            ("smtps://bob:hun#ter2@mail.example:x", "invalid SMTP URL"),
            ("smtp://bob:hunter2@localhost?tls=hunter2", "invalid SMTP URL"),
            ("smtp://bob:hunter2@mail.example", "password unencrypted"),
            ("smtp://bob:hunter2@mail.example?tls=opportunistic", "password unencrypted"),
            ("smtp://bob:hunter2@localhost.evil.example", "password unencrypted"),
        ] {
            let error = open(bad).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("hunter") && !error.contains("ter2"), "{bad}: {error}");
        }
    }
}

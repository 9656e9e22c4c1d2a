//! An email as an RFC 5322 message. Names and subjects are encoded, never pasted, which prevents header injection.

use lettre::{
    Address, Message,
    message::{
        Attachment, Body, Mailbox, MultiPart, MultiPartKind, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use porttask_runtime::ports::mail::{Attachment as File, Mail, MailError};
use uuid::Uuid;

use super::UnusableMail;

/// What the transport transmits unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transparency {
    /// ASCII.
    SevenBit,
    /// UTF-8 in bodies.
    EightBit,
}

/// The sender of all emails.
pub(super) struct Sender(Mailbox);

impl Sender {
    /// # Errors
    /// If it is not an email address.
    pub(super) fn new(text: &str) -> Result<Self, UnusableMail> {
        let from = on_one_line(text).trim().parse::<Mailbox>();
        let from = from.map_err(|error| {
            UnusableMail(format!("invalid sender {text:?}: {error}; expected e.g. PortTask <no-reply@example.com>"))
        })?;
        Ok(Self(from))
    }

    /// The domain of the sender's address.
    pub(super) fn domain(&self) -> &str {
        self.0.email.domain()
    }

    /// The message for an email.
    ///
    /// # Errors
    /// If its recipient's address is invalid.
    pub(super) fn message(&self, mail: &Mail, transparency: Transparency) -> Result<Message, MailError> {
        let Mail { id, to_name, to_address, subject, text, html, attachments } = mail;
        let no_address = || MailError::Permanent("the recipient's email address is invalid".to_owned());
        let (local, domain) = to_address.rsplit_once('@').ok_or_else(no_address)?;
        let to = Address::new(local, domain).map_err(|_| no_address())?;
        // Clients show the last part that they support. A fixed boundary makes retries byte-identical.
        let forms = MultiPart::builder().kind(MultiPartKind::Alternative).boundary(id.to_string()).build();
        let parts =
            [(text, ContentType::TEXT_PLAIN), (html, ContentType::TEXT_HTML)].map(|it| part(it.0, it.1, transparency));
        let [text, html] = parts;
        let forms = forms.singlepart(text).singlepart(html);
        let content = match attachments.is_empty() {
            true => forms,
            false => with_attachments(*id, forms, attachments)?,
        };
        let name = Some(on_one_line(to_name)).filter(|name| !name.is_empty());
        // RFC 3834: suppresses out-of-office replies.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.domain())))
            .from(self.0.clone())
            .to(Mailbox::new(name, to))
            .subject(on_one_line(subject))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(MIME_VERSION_1_0)
            .multipart(content)
            .map_err(|error| MailError::Permanent(format!("the message cannot be built: {error}")))
    }
}

fn with_attachments(id: Uuid, forms: MultiPart, attachments: &[File]) -> Result<MultiPart, MailError> {
    let all = MultiPart::builder().kind(MultiPartKind::Mixed).boundary(format!("mixed-{id}")).build();
    attachments.iter().try_fold(all.multipart(forms), |all, file| {
        let media_type = ContentType::parse(file.media_type);
        let media_type = media_type.map_err(|error| MailError::Permanent(format!("{}: {error}", file.media_type)))?;
        // In lines, so that it passes every server.
        let content = Body::new_with_encoding(file.content.to_vec(), ContentTransferEncoding::Base64);
        let content = content.map_err(|_| MailError::Permanent("the attachment cannot be encoded".to_owned()))?;
        Ok(all.singlepart(Attachment::new(on_one_line(&file.name)).body(content, media_type)))
    })
}

fn part(text: &str, content_type: ContentType, transparency: Transparency) -> SinglePart {
    SinglePart::builder().header(content_type).body(body(text, transparency))
}

/// Unencoded if that is allowed, so that the raw file is readable; otherwise encoded.
fn body(text: &str, transparency: Transparency) -> Body {
    /// Maximum line length (RFC 5322).
    const LONGEST: usize = 998;
    let is_in_order = |character: &char| !character.is_control() || matches!(character, '\n' | '\t');
    let text: String = text.chars().filter(is_in_order).collect();
    let encoding = match (text.is_ascii(), transparency) {
        (true, _) => ContentTransferEncoding::SevenBit,
        (false, Transparency::EightBit) => ContentTransferEncoding::EightBit,
        (false, Transparency::SevenBit) => return Body::new(text),
    };
    match text.split('\n').all(|line| line.len() <= LONGEST) {
        true => Body::dangerous_pre_encoded(text.replace('\n', "\r\n").into_bytes(), encoding),
        false => Body::new(text),
    }
}

/// Replaces control characters, which headers must not contain.
fn on_one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to_name: &str, to_address: &str, subject: &str) -> Mail {
        let (to_name, to_address, subject) = (to_name.to_owned(), to_address.to_owned(), subject.to_owned());
        let (text, html) = ("Hello,\n\nthere.\n".to_owned(), "<p>Hello</p>\n".to_owned());
        Mail { id: Uuid::from_u128(7), to_name, to_address, subject, text, html, attachments: Vec::new() }
    }

    fn written(mail: &Mail) -> String {
        let sender = Sender::new("PortTask <no-reply@porttask.example>").unwrap();
        String::from_utf8(sender.message(mail, Transparency::SevenBit).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_mail_is_a_complete_message() {
        let written = written(&mail("Bob Fisher", "bob@acme.example", "Hello"));
        let (head, body) = written.split_once("\r\n\r\n").unwrap();
        for line in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@porttask.example>",
            "From: PortTask <no-reply@porttask.example>",
            "To: \"Bob Fisher\" <bob@acme.example>",
            "Subject: Hello",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(head.lines().any(|it| it == line), "no {line} in {head}");
        }
        assert!(head.lines().any(|line| line.starts_with("Date: ")), "{head}");
        assert!(head.contains("Content-Type: multipart/alternative;"), "{head}");
        let part = |kind: &str, content: &str| {
            let head = format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 7bit");
            format!("--00000000-0000-0000-0000-000000000007\r\n{head}\r\n\r\n{content}\r\n")
        };
        let [text, html] =
            [("plain", "Hello,\r\n\r\nthere.\r\n"), ("html", "<p>Hello</p>\r\n")].map(|it| part(it.0, it.1));
        assert_eq!(body, format!("{text}{html}--00000000-0000-0000-0000-000000000007--\r\n"));
    }

    #[test]
    fn files_are_attached_after_the_text() {
        let (name, content) = ("PT-2026-000001.pdf".to_owned(), vec![0xff; 100].into());
        let attachments = vec![File { name, media_type: "application/pdf", content }];
        let mail = Mail { attachments, ..mail("Bob Fisher", "bob@acme.example", "Invoice") };
        let (once, again) = (written(&mail), written(&mail));
        let (head, body) = once.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: multipart/mixed;"), "{head}");
        assert_eq!(again.split_once("\r\n\r\n").unwrap().1, body, "a retry is the same");
        for expected in [
            "Content-Type: multipart/alternative;",
            "Content-Disposition: attachment; filename=\"PT-2026-000001.pdf\"",
            "Content-Type: application/pdf",
            "Content-Transfer-Encoding: base64",
        ] {
            assert!(body.contains(expected), "no {expected} in {body}");
        }
        assert!(body.lines().all(|line| line.len() <= 78), "{body}");
        let evil = File { name: "x\"\r\nBcc: eve@evil.example".to_owned(), ..mail.attachments[0].clone() };
        let written = written(&Mail { attachments: vec![evil], ..mail });
        assert!(!written.lines().any(|line| line.starts_with("Bcc")), "{written}");
    }

    #[test]
    fn a_link_stays_on_its_line_and_other_scripts_are_encoded() {
        let link = format!("https://admin.example/invitation#token={}", "a".repeat(200));
        let text = format!("Open this:\n\n{link}\n");
        let plain = written(&Mail { text: text.clone(), ..mail("Bob", "bob@acme.example", "Hello") });
        assert!(plain.contains(&format!("\r\n\r\nOpen this:\r\n\r\n{link}\r\n\r\n--")), "{plain}");
        for other in [format!("Grüße\n{text}"), format!("{}\n", "a".repeat(999)), "a\0b\n".to_owned()] {
            let encoded = written(&Mail { text: other, ..mail("Bob", "bob@acme.example", "Hello") });
            assert!(
                encoded.is_ascii() && !encoded.contains('\0') && encoded.lines().all(|line| line.len() < 80),
                "{encoded}"
            );
        }
    }

    #[test]
    fn text_of_all_scripts_is_readable_in_a_file() {
        let link = format!("https://admin.example/invitation#token={}", "a".repeat(200));
        let (text, html) = (format!("Olá João,\n\n{link}\n你好\n"), "<p>João</p>\n".to_owned());
        let sender = Sender::new("no-reply@porttask.example").unwrap();
        let written = |text: &str| {
            let mail = Mail { text: text.to_owned(), html: html.clone(), ..mail("João", "joao@acme.example", "Oi") };
            String::from_utf8(sender.message(&mail, Transparency::EightBit).unwrap().formatted()).unwrap()
        };
        let readable = written(&text);
        let body = format!("Content-Transfer-Encoding: 8bit\r\n\r\nOlá João,\r\n\r\n{link}\r\n你好\r\n\r\n--");
        assert!(readable.contains(&body) && readable.contains("8bit\r\n\r\n<p>João</p>\r\n"), "{readable}");
        // A line may have at most 998 bytes.
        let long = written(&"é".repeat(500));
        assert!(
            long.lines().all(|line| line.len() <= 998) && long.contains("Content-Transfer-Encoding: base64"),
            "{long}"
        );
    }

    #[test]
    fn nothing_that_is_said_becomes_a_header() {
        for evil in [
            "Bob\r\nBcc: eve@evil.example",
            "Bob\nBcc: eve@evil.example",
            "Bob\rBcc: x",
            "B\0ob",
            "\"Bob\" <eve@evil.example>, X",
        ] {
            let written = written(&mail(evil, "bob@acme.example", evil));
            let (head, _) = written.split_once("\r\n\r\n").unwrap();
            let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<&str> = names.map(|line| line.split(':').next().unwrap()).collect();
            assert_eq!(names.len(), 8, "{evil:?} made {head}");
            assert!(!names.contains(&"Bcc") && !head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head:?}");
        }
    }

    #[test]
    fn names_and_addresses_of_all_scripts_are_written() {
        for (name, address) in [
            ("Fisher, Bob \"Hook\" \\", "o'brien+x@example.ie"),
            ("Jörg Müller 🚢", "jörg@xn--mller-kva.example"),
            ("用户", "用户@xn--fsqu00a.xn--0zwm56d"),
            ("", "!#$%&'*+-/=?^_`{|}~@example.com"),
            (&"é".repeat(200), "a@example.com"),
        ] {
            let sender = Sender::new("no-reply@porttask.example").unwrap();
            let mail = mail(name, address, &format!("{name} invites you"));
            let message = sender.message(&mail, Transparency::SevenBit).unwrap();
            assert_eq!(message.envelope().to()[0].to_string(), address);
            let text = String::from_utf8(message.formatted()).unwrap();
            assert!(text.lines().all(|line| line.len() <= 998), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_gets_no_mail() {
        for bad in ["", "bob", "@", "bob@", "bob@acme.example>\r\nRCPT TO:<eve@evil.example", "bob @acme.example"] {
            let sender = Sender::new("no-reply@porttask.example").unwrap();
            let refused = sender.message(&mail("Bob", bad, "Hello"), Transparency::SevenBit).unwrap_err();
            assert!(matches!(refused, MailError::Permanent(_)), "{bad:?}");
            assert!(bad.is_empty() || bad.len() < 4 || !refused.to_string().contains(bad), "{refused}");
        }
        assert!(Sender::new("PortTask").is_err());
    }
}

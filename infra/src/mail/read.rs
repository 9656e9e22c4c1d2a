//! Reading emails that were written as files, as text for people. Understands what `message.rs` writes, no other emails.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// An email, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadableMail {
    /// Its file.
    pub file: PathBuf,
    /// The headers `Date`, `To` and `Subject`, in this order, without those that are missing.
    pub headers: Vec<(&'static str, String)>,
    /// The body as plain text.
    pub text: String,
}

/// The newest email in a folder that was sent to an address; `None` if there is none.
///
/// # Errors
/// If the folder or a file in it cannot be read.
pub fn last_to(folder: &Path, address: &str) -> io::Result<Option<ReadableMail>> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        files => files?,
    };
    let mut mails = Vec::new();
    for file in files {
        let file = file?;
        if file.path().extension().is_some_and(|extension| extension == "eml") {
            mails.push((file.metadata()?.modified()?, file.path()));
        }
    }
    mails.sort();
    let wanted = address.to_lowercase();
    for (_, path) in mails.into_iter().rev() {
        let message = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        let to = header(&message, "To").unwrap_or_default().to_lowercase();
        let recipient = to.rsplit_once('<').map_or(to.as_str(), |(_, rest)| rest.trim_end_matches('>'));
        if recipient == wanted {
            return Ok(Some(readable(path, &message)));
        }
    }
    Ok(None)
}

fn readable(file: PathBuf, message: &str) -> ReadableMail {
    let headers = ["Date", "To", "Subject"].into_iter().filter_map(|name| Some((name, header(message, name)?)));
    let headers = headers.collect();
    // The first part is the plain text, or, before attachments, holds it.
    let mut part = message;
    while let Some(first) = first_part(part) {
        part = first;
    }
    let (_, body) = part.trim_start().split_once("\r\n\r\n").unwrap_or_default();
    let bytes = match header(part.trim_start(), "Content-Transfer-Encoding").as_deref() {
        Some("base64") => {
            let line: String = body.split_whitespace().collect();
            STANDARD.decode(line).unwrap_or_default()
        }
        Some("quoted-printable") => quoted_printable(body),
        _ => body.as_bytes().to_vec(),
    };
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim_end().to_owned() + "\n";
    ReadableMail { file, headers, text }
}

/// The first part of a message of several parts.
fn first_part(message: &str) -> Option<&str> {
    let kind = header(message, "Content-Type").filter(|kind| kind.starts_with("multipart/"))?;
    let boundary = kind.split_once("boundary=")?.1.trim_matches('"').split(['"', ';']).next()?;
    message.split(&format!("--{boundary}")).nth(1).map(str::trim_start)
}

/// A header, unfolded and decoded.
fn header(message: &str, name: &str) -> Option<String> {
    let (head, _) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let line = head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    line.map(|value| decoded_words(&value))
}

/// Decodes the encoded words of a header (RFC 2047); white space between two of them is no part of the text.
fn decoded_words(value: &str) -> String {
    let (mut text, mut was_encoded) = (String::new(), false);
    for word in value.split(' ') {
        // A name in quotes can follow or precede an encoded word.
        let encoded = word.strip_prefix("=?utf-8?").and_then(|rest| rest.strip_suffix("?="));
        let bytes = encoded.and_then(|encoded| match encoded.split_once('?')? {
            ("b" | "B", content) => STANDARD.decode(content).ok(),
            ("q" | "Q", content) => Some(quoted_printable(&content.replace('_', " "))),
            _ => None,
        });
        if !(text.is_empty() || was_encoded && bytes.is_some()) {
            text.push(' ');
        }
        was_encoded = bytes.is_some();
        text.push_str(&bytes.map_or_else(|| word.into(), |bytes| String::from_utf8_lossy(&bytes).into_owned()));
    }
    text
}

/// Decodes quoted-printable text (RFC 2045).
fn quoted_printable(text: &str) -> Vec<u8> {
    let (text, mut bytes) = (text.replace("=\r\n", ""), Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'=').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use porttask_runtime::ports::mail::{Attachment, Mail};
    use uuid::Uuid;

    use super::*;
    use crate::mail::message::{Sender, Transparency};

    #[test]
    fn what_was_written_is_read_whatever_its_encoding() {
        let folder = std::env::temp_dir().join(format!("porttask-mail-{}", Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let link = format!("https://admin.example/invitation#token={}", "a".repeat(200));
        for (index, text) in [
            format!("Hello,\n\n{link}\n"),
            format!("Olá João =\n\n{link}\n"),
            format!("你好，王小明。您好。\n{link}\n"),
        ]
        .iter()
        .enumerate()
        {
            let (to_name, to_address) = ("João Müller".to_owned(), format!("joão{index}@acme.example"));
            let (subject, html) = ("Convite para João, já".to_owned(), "<p></p>".to_owned());
            let file = Attachment { name: "a.txt".to_owned(), media_type: "text/plain", content: "secret".into() };
            let attachments = if index == 0 { vec![file] } else { Vec::new() };
            let id = Uuid::now_v7();
            let mail = Mail { id, to_name, to_address, subject, text: text.clone(), html, attachments };
            for transparency in [Transparency::SevenBit, Transparency::EightBit] {
                let sender = Sender::new("no-reply@porttask.example").unwrap();
                let message = sender.message(&mail, transparency).unwrap().formatted();
                fs::write(folder.join(format!("{index}.eml")), message).unwrap();
                let found = last_to(&folder, &mail.to_address.to_uppercase()).unwrap().unwrap();
                assert_eq!(found.text, *text);
                assert!(found.headers.contains(&("Subject", mail.subject.clone())), "{found:?}");
                assert!(found.headers[1].1.contains("João Müller"), "{found:?}");
            }
        }
        assert_eq!(last_to(&folder, "eve@acme.example").unwrap(), None);
        assert_eq!(last_to(&folder, "joão").unwrap(), None, "a part of an address is none");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(last_to(&folder, "joão0@acme.example").unwrap(), None);
    }
}

//! The ways in which mail leaves: a folder, and a server that answers this and that.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use porttask_infra::mail::{MailSettings, delete_old, open};
use porttask_runtime::ports::mail::{Mail, MailError};
use porttask_tests::run;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};
use uuid::Uuid;

const FROM: &str = "PortTask <no-reply@porttask.example>";

fn mail(to_address: &str, text: &str) -> Mail {
    let (to_name, subject) = ("Bob \"Hook\" Fisher, Jr.".to_owned(), "Grüße 🚢".to_owned());
    let (to_address, text, html) = (to_address.to_owned(), text.to_owned(), format!("<p>{text}</p>\n"));
    Mail { id: Uuid::from_u128(7), to_name, to_address, subject, text, html, attachments: Vec::new() }
}

fn settings(smtp_url: Option<String>, folder: PathBuf) -> MailSettings {
    MailSettings { smtp_url, from: FROM.to_owned(), folder }
}

#[test]
fn emails_in_a_folder_are_deleted_when_they_are_old() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(delete_old(&place.path().join("none"), Duration::ZERO).unwrap(), 0);
    let put = |name: &str, days: u64| {
        let file = fs::File::create(place.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
    };
    put("old.eml", 31);
    put(".cut.unfinished", 31);
    put("new.eml", 29);
    put("notes.txt", 99);
    assert_eq!(delete_old(place.path(), Duration::from_secs(30 * 86_400)).unwrap(), 2);
    let mut left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["new.eml", "notes.txt"]);
}

#[test]
fn a_folder_takes_whole_mails_and_the_same_one_once() {
    run(async {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data/mail");
        let transport = open(&settings(None, folder.clone())).unwrap();
        transport.send(&mail("bob@acme.example", "one\n")).await.unwrap();
        // Somebody may tidy up.
        fs::remove_dir_all(&folder).unwrap();
        transport.send(&mail("bob@acme.example", "one\n")).await.unwrap();
        transport.send(&mail("bob@acme.example", "one\ntwo\n")).await.unwrap();
        let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, [folder.join("00000000-0000-0000-0000-000000000007.eml")]);
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files[0]), mode(&folder)), (0o600, 0o700));
        let text = fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains("\r\nTo: =?utf-8?b?") && text.contains("?= <bob@acme.example>\r\n"), "{text}");
        assert!(text.contains("\r\n\r\none\r\ntwo\r\n\r\n--") && !text.contains("Grüße"), "{text}");
    });
}

#[test]
fn a_folder_that_cannot_be_made_is_said_at_once() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let Err(error) = open(&settings(None, place.path().join("mail"))) else { panic!() };
    assert!(error.to_string().contains("mail"), "{error}");
}

/// A server that answers to a command that begins so in this way, and otherwise as servers do; and what it was told.
async fn server(odd: Option<(&'static str, &'static str)>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://bob:hunter2@{}", listener.local_addr().unwrap());
    let told = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let (mut lines, mut told, mut in_data) = (BufReader::new(reader).lines(), String::new(), false);
        writer.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            told.push_str(&line);
            told.push('\n');
            if in_data && line != "." {
                continue;
            }
            let answer = match odd.filter(|(command, _)| line.starts_with(command)) {
                Some((_, "")) => return told,
                Some((_, answer)) => answer,
                None if line.starts_with("EHLO") => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                None if line.starts_with("AUTH") => "235 welcome",
                None if line == "DATA" => "354 go on",
                None if line == "QUIT" => "221 bye",
                None => "250 good",
            };
            in_data = answer.starts_with("354");
            if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                break;
            }
        }
        told
    });
    (url, told)
}

async fn send(url: &str, mail: &Mail) -> Result<(), MailError> {
    open(&settings(Some(url.to_owned()), PathBuf::new())).unwrap().send(mail).await
}

#[test]
fn a_server_takes_mail() {
    run(async {
        let (url, told) = server(None).await;
        send(&url, &mail("bob@acme.example", "one\n.two\n")).await.unwrap();
        let told = told.await.unwrap();
        for line in [
            "EHLO porttask.example",
            "MAIL FROM:<no-reply@porttask.example>",
            "RCPT TO:<bob@acme.example>",
            "Message-ID: <00000000-0000-0000-0000-000000000007@porttask.example>",
            "..two",
        ] {
            assert!(told.lines().any(|it| it.starts_with(line)), "no {line} in {told}");
        }
    });
}

#[test]
fn what_a_server_refuses_is_tried_again_or_not() {
    run(async {
        for (odd, is_permanent) in [
            (("RCPT", "550 5.1.1 <bob@acme.example>: no such user"), true),
            (("MAIL", "553 not from you"), true),
            ((".", "554 5.6.0 what is this"), true),
            // These are about us, and can be repaired.
            ((".", "554 looks like spam"), false),
            (("MAIL", "550 5.7.60 not as this sender"), false),
            (("RCPT", "451 4.7.1 come back later"), false),
            (("DATA", "421 too many"), false),
            (("RCPT", ""), false),
            (("EHLO", ""), false),
            // A wrong password is no reason to give mails up.
            (("AUTH", "535 5.7.8 who are you"), false),
            (("MAIL", "530 5.7.0 authenticate first"), false),
        ] {
            let (url, told) = server(Some(odd)).await;
            let error = send(&url, &mail("bob@acme.example", "one\n")).await.unwrap_err();
            assert_eq!(matches!(error, MailError::Permanent(_)), is_permanent, "{odd:?}: {error:?}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().is_empty(), "{error}");
            told.await.unwrap();
        }
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = send(&format!("smtp://{nobody}"), &mail("bob@acme.example", "")).await.unwrap_err();
        assert!(matches!(error, MailError::Temporary(_)), "{error:?}");
    });
}

#[test]
fn an_address_that_a_server_cannot_have_is_given_up() {
    run(async {
        let (url, told) = server(None).await;
        let error = send(&url, &mail("用户@xn--fsqu00a.xn--0zwm56d", "one\n")).await.unwrap_err();
        assert!(matches!(error, MailError::Permanent(_)), "{error:?}");
        told.await.unwrap();
    });
}

//! What an operator does by hand: backups, access to a platform that nobody can sign in to, emails in files.

use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::links::{Links, Purpose};
use porttask_runtime::log::Offset;
use porttask_tests::{Engine, History, MASTER_KEY, Node, Store, on_both_engines, private_directory, run_on, work};
use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use super::{complaint, porttask, said};

on_both_engines!(
    a_backup_is_written_while_the_log_is_used,
    an_operator_resets_the_password_of_a_super_admin,
    an_operator_continues_a_series_after_a_restore,
);

fn run(store: &Store, arguments: &[&str]) -> Output {
    porttask(store, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap()
}

async fn a_backup_is_written_while_the_log_is_used(store: Store) {
    let node = Node::on(&store).await;
    work(&node, 40).await;
    let directory = private_directory();
    let file = directory.path().join("log.db");
    let backup = run(&store, &["backup", file.to_str().unwrap(), "--json"]);
    if store.engine() == Engine::Postgres {
        assert_eq!(backup.status.code(), Some(2));
        assert!(complaint(&backup).contains("pg_dump") && !file.exists(), "{}", complaint(&backup));
        return;
    }
    let written: serde_json::Value = serde_json::from_str(&said(&backup)).unwrap();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((&written["bytes"], metadata.permissions().mode() & 0o777), (&metadata.len().into(), 0o600));
    let before = History::of(&*node.log).await;
    node.found("other.example").await;

    let again = run(&store, &["backup", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "a backup is never overwritten");
    assert_eq!(fs::metadata(&file).unwrap().len(), metadata.len());
    let restored = Store::at(Engine::Sqlite, directory.path().to_str().unwrap());
    said(&run(&restored, &["log", "verify"]));
    said(&run(&restored, &["constraints", "verify"]));
    let after = History::of(&*restored.open().await).await;
    assert_eq!(after.events().count(), before.events().count());
    assert!(before.events().all(|event| event.position.offset > Offset(0)));
}

async fn an_operator_resets_the_password_of_a_super_admin(store: Store) {
    let mut init = porttask(&store, &["init"]);
    init.env("PORTTASK_MASTER_KEY", MASTER_KEY).env("PORTTASK_ADMIN_EMAIL", "ana@platform.example");
    said(&init.env("PORTTASK_ADMIN_PASSWORD", "correct horse battery").output().unwrap());
    let node = Node::on(&store).await;
    let links = Links::open(&node.vault, "").await.unwrap();
    let mut resets = Vec::new();
    // A reset that was just requested does not keep the operator's from being recorded.
    for _ in 0..2 {
        let arguments = ["admin", "reset", "ana@platform.example", "--public-url", "https://admin.example", "--json"];
        let reset: serde_json::Value = serde_json::from_str(&said(&run(&store, &arguments))).unwrap();
        let link = reset["link"].as_str().unwrap();
        let token = link.strip_prefix("https://admin.example/password-reset#token=").unwrap();
        let lasts =
            reset["expires_at"].as_str().unwrap().parse::<Timestamp>().unwrap().duration_since(node.clock.now());
        assert!(lasts <= SignedDuration::from_hours(1) && lasts > SignedDuration::from_mins(50), "{lasts:?}");
        resets.push(links.read(token, Purpose::PasswordReset, node.clock.now()).unwrap());
    }
    assert!(resets[0].subject == resets[1].subject && resets[0].generation < resets[1].generation);
    let tail = said(&run(&store, &["events", "tail", "--json"]));
    let requested: Vec<&str> = tail.lines().filter(|line| line.contains("user.password_reset_requested")).collect();
    assert!(!requested.is_empty(), "{tail}");
    assert!(requested.iter().all(|line| line.contains("operator") && line.contains("user_agent")), "{requested:?}");
    for unknown in ["eve@platform.example", "ana"] {
        let refused = run(&store, &["admin", "reset", unknown]);
        assert!(refused.status.code() == Some(1) && complaint(&refused).contains(unknown), "{}", complaint(&refused));
    }
}

#[test]
fn the_newest_mail_to_an_address_is_printed_as_text() {
    run_on(Engine::Sqlite, async |store: Store| {
        let folder = store.file().with_file_name("mail");
        fs::create_dir(&folder).unwrap();
        let mail = "Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nTo: =?utf-8?b?Sm/Do28=?= <joao@acme.example>\r\nSubject: Oi\r\n\
                    Content-Type: multipart/alternative; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\
                    Content-Transfer-Encoding: quoted-printable\r\n\r\nOl=C3=A1 Jo=C3=A3o, https://a=\r\ndmin.example/#token=3Dx\r\n--x--\r\n";
        fs::write(folder.join("1.eml"), mail).unwrap();
        let printed = said(&porttask(&store, &["mail", "last", "--to", "joao@acme.example"]).output().unwrap());
        assert!(printed.contains("To: João <joao@acme.example>\n"), "{printed}");
        assert!(printed.ends_with("\n\nOlá João, https://admin.example/#token=x\n"), "{printed}");
        let json = said(&porttask(&store, &["mail", "last", "--to", "JOAO@acme.example", "--json"]).output().unwrap());
        assert!(json.contains("\"subject\":\"Oi\"") && json.contains("1.eml"), "{json}");
        let none = porttask(&store, &["mail", "last", "--to", "eve@acme.example"]).output().unwrap();
        assert!(none.status.code() == Some(1) && complaint(&none).contains("no email to"), "{}", complaint(&none));
    });
}

#[test]
fn addresses_of_the_service_are_checked_at_the_start() {
    run_on(Engine::Sqlite, async |store: Store| {
        for (variable, value, expected) in
            [("PORTTASK_PUBLIC_URL", "foo", "https://admin.example.com"), ("PORTTASK_LISTEN", "8080", "localhost:8080")]
        {
            let refused = porttask(&store, &["serve"]).env(variable, value).output().unwrap();
            assert_eq!(refused.status.code(), Some(2), "{}", complaint(&refused));
            assert!(complaint(&refused).contains(expected), "{}", complaint(&refused));
        }
        let help = said(&porttask(&store, &["config", "--help"]).output().unwrap());
        assert!(help.starts_with("Show the effective configuration"), "{help}");
        said(&porttask(&store, &["config"]).env("PORTTASK_LISTEN", "localhost:8080").output().unwrap());
        assert!(!store.file().exists());
    });
}

async fn an_operator_continues_a_series_after_a_restore(store: Store) {
    let mut init = porttask(&store, &["init"]);
    init.env("PORTTASK_MASTER_KEY", MASTER_KEY).env("PORTTASK_ADMIN_EMAIL", "ana@platform.example");
    said(&init.env("PORTTASK_ADMIN_PASSWORD", "correct horse battery").output().unwrap());
    let year = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    let go_on = |number: &str| run(&store, &["invoices", "continue-series", number, "--reason", "disk failure"]);
    let done = said(&go_on(&format!("PT-{year}-000041")));
    assert!(done.contains(&format!("PT-{year}-000042")) && done.contains("audit log"), "{done}");
    assert!(said(&go_on(&format!("PT-{year}-000041"))).contains("already"), "a repetition has no effect");
    for (number, reason) in [
        (format!("PT-{year}-000040"), "at number 41 already"),
        (format!("PT-{}-000001", year + 1), "has not begun"),
        (format!("PT-{year}-000000"), "from 1 to 999,999,999"),
        (format!("AB-{year}-000042"), "the prefixes are PT and PT-CN"),
        ("41".to_owned(), "must be a number of a document"),
    ] {
        let refused = go_on(&number);
        assert!(!refused.status.success() && complaint(&refused).contains(reason), "{}", complaint(&refused));
    }
    said(&go_on(&format!("PT-CN-{year}-000003")));
}

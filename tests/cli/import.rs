//! `porttask import`: users from a file.

use porttask_tests::{MASTER_KEY, Node, Store, on_both_engines};
use std::{fs, path::PathBuf, process::Output, thread, time::Duration};

use super::{complaint, porttask, said};

on_both_engines!(
    users_are_imported_and_the_exit_code_tells_whether_all_are_in,
    a_file_that_cannot_be_read_is_said_so,
    an_import_that_was_killed_goes_on_where_it_was,
);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.path().join("users.csv");
        fs::write(&file, content).unwrap();
        file
    }
}

fn import(store: &Store, file: &PathBuf, arguments: &[&str]) -> Output {
    let mut command = porttask(store, &["import", "users", "--organization", "acme.example"]);
    command.arg(file).args(arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap()
}

async fn users_are_imported_and_the_exit_code_tells_whether_all_are_in(store: Store) {
    let acme = Node::on(&store).await.acme().await;
    let folder = Folder::new();
    let good = folder
        .file("\u{feff}Name;E mail;Role\r\nJörg Müller;jörg@müller.example;Agent\r\n\r\nZoë;zoe@acme.example;\r\n");
    let tried = said(&import(&store, &good, &["--dry-run"]));
    assert_eq!(tried, "2 registered, 0 unchanged, 0 rejected; 0 invited. Dry run: nothing was recorded.\n");
    let json = said(&import(&store, &good, &["--json", "--send-invitations"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["registered"], &json["invited"]), (&2.into(), &2.into()), "{json}");
    assert_eq!(json["organization"], acme.organization.to_string());
    assert_eq!((&json["lines"][1]["line"], &json["lines"][1]["email"]), (&4.into(), &"zoe@acme.example".into()));

    let bad = folder
        .file("name,email,role\nZoë,ZOE@acme.example,\nhttp://x.example,eve,captain\nDan,dan@acme.example,admin\n");
    let output = import(&store, &bad, &["--role", "auditor"]);
    assert_eq!((output.status.code(), complaint(&output).as_str()), (Some(2), ""));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "line 3: rejected: name must not contain a web or email address: add a space after each dot\n\
         line 3: rejected: email must be an email address such as ana@example.com\n\
         line 3: rejected: role must be admin, agent, read_only or auditor\n\
         1 registered, 1 unchanged, 1 rejected; 0 invited.\n"
    );
}

async fn a_file_that_cannot_be_read_is_said_so(store: Store) {
    Node::on(&store).await.acme().await;
    let folder = Folder::new();
    for (content, reason) in [
        (&b"name,email\nJos\xe9,jose@acme.example\n"[..], "users.csv: line 2 is not UTF-8 but possibly Latin-1"),
        (b"", "the file is empty"),
        (b"name,phone,Dept\n", "the header has unknown columns: \"phone\", \"Dept\""),
    ] {
        let output = import(&store, &folder.file(content), &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint(&output).contains(reason), "{}", complaint(&output));
    }
    assert_eq!(
        said(&import(&store, &folder.file("name,email\n"), &[])),
        "0 registered, 0 unchanged, 0 rejected; 0 invited.\n"
    );
    let skipped = folder.file("sep=;\r\nFull name;E-mail address;Phone;\r\nZoë;zoe@acme.example;+49 30;\r\n");
    assert_eq!(
        said(&import(&store, &skipped, &["--skip-unknown-columns"])),
        "1 registered, 0 unchanged, 0 rejected; 0 invited.\n"
    );
    let missing = import(&store, &folder.0.path().join("nothing.csv"), &[]);
    assert!(complaint(&missing).contains("nothing.csv"), "{}", complaint(&missing));
    let mut nowhere = porttask(&store, &["import", "users", "--organization", "umbra.example"]);
    let nowhere = nowhere.arg(folder.file("name,email\n")).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
    assert!(complaint(&nowhere).contains("there is no organization umbra.example"), "{}", complaint(&nowhere));
}

async fn an_import_that_was_killed_goes_on_where_it_was(store: Store) {
    let node = Node::on(&store).await;
    node.acme().await;
    let events = async || node.log.heads().await.unwrap().iter().map(|head| head.position.offset.0).sum::<u64>();
    let before = events().await;
    let people = (0..3_000).map(|number| format!("Person {number},p{number}@acme.example\n")).collect::<String>();
    let file = Folder::new();
    let path = file.file(format!("name,email\n{people}"));
    let mut command = porttask(&store, &["import", "users", "--organization", "acme.example"]);
    let mut child = command.arg(&path).env("PORTTASK_MASTER_KEY", MASTER_KEY).spawn().unwrap();
    while events().await < before + 100 {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let json = said(&import(&store, &path, &["--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let count = |word: &str| json[word].as_u64().unwrap();
    assert!(count("unchanged") >= 100 && count("registered") > 0, "{} {}", json["unchanged"], json["registered"]);
    assert_eq!((count("unchanged") + count("registered"), events().await), (3_000, before + 3_000 + 1));
    assert!(node.constraints().verify().await.unwrap().is_empty());
}

//! Mail: whoever is invited finds a link in their mail by which they come in.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Store, on_both_engines};
use serde_json::json;

use super::service::{PASSWORD, Service, porttask};

on_both_engines! {
    an_invitation_comes_by_mail_and_its_link_lets_in,
    another_invitation_voids_the_one_before,
    a_mail_that_cannot_be_sent_is_a_task_that_people_see,
    a_mail_that_is_refused_is_dead_until_it_is_revived,
}

/// Mails by file, once there are so many.
pub(crate) fn mails(folder: &Path, count: usize) -> Vec<(PathBuf, String)> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "eml")).collect();
        files.sort();
        if files.len() >= count {
            return files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
        }
        assert!(Instant::now() < deadline, "{} mails of {count} in {}", files.len(), folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn token(mail: &str) -> &str {
    mail.lines().find_map(|line| line.split_once("/invitation#token=")).unwrap_or_else(|| panic!("no link in {mail}")).1
}

async fn another_invitation_voids_the_one_before(store: Store) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data = match store.engine() {
        Engine::Sqlite => Path::new(store.place()),
        Engine::Postgres => elsewhere.path(),
    };
    let service = Service::start_with(
        &store,
        &[
            ("PORTTASK_DATA", data.to_str().unwrap()),
            ("PORTTASK_ADMIN_EMAIL", "ana@platform.example"),
            ("PORTTASK_ADMIN_PASSWORD", PASSWORD),
        ],
    );
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let carol = bob.post(&users, &body).is(201).id().to_owned();
    // Bob's own may never have been sent: he accepted at once.
    let to_carol = |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let all = mails(&data.join("mail"), 1);
            let hers: Vec<_> = all.into_iter().filter(|mail| mail.1.contains("carol@acme.example")).collect();
            if hers.len() == count {
                return hers;
            }
            assert!(Instant::now() < deadline, "{} of {count}", hers.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let first = to_carol(1);
    bob.post(&format!("{users}/{carol}/invite"), &json!({})).is(200);
    let both = to_carol(2);
    let second = both.iter().find(|mail| mail.0 != first[0].0).unwrap();
    let accept = |mail: &str| {
        let body = json!({"token": token(mail), "password": PASSWORD});
        service.send("POST", "/v1/invitations/accept", &[], Some(&body))
    };
    accept(&first[0].1).refused(409, "invitation-replaced");
    accept(&second.1).is(200);
    bob.post(&format!("{users}/{carol}/invite"), &json!({})).refused(409, "invitation-accepted");
}

async fn an_invitation_comes_by_mail_and_its_link_lets_in(store: Store) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data = match store.engine() {
        Engine::Sqlite => Path::new(store.place()),
        Engine::Postgres => elsewhere.path(),
    };
    let folder = data.join("mail");
    let service = Service::start_with(
        &store,
        &[
            ("PORTTASK_DATA", data.to_str().unwrap()),
            ("PORTTASK_PUBLIC_URL", "https://admin.porttask.example/"),
            ("PORTTASK_ADMIN_EMAIL", "ana@platform.example"),
            ("PORTTASK_ADMIN_PASSWORD", PASSWORD),
        ],
    );
    let ana = service.ana();
    let first_admin = json!({"name": "Bob Fisher", "email": "bob@acme.example"});
    let body = json!({"name": "Acme", "domain": "acme.example", "first_admin": first_admin});
    let organization = ana.post("/v1/organizations", &body).is(201).id().to_owned();
    let [(path, mail)] = &mails(&folder, 1)[..] else { panic!("more than one mail") };
    for line in [
        "To: \"Bob Fisher\" <bob@acme.example>",
        "From: PortTask <no-reply@admin.porttask.example>",
        "Subject: You have been invited to Acme",
        "You have been invited to join Acme on PortTask as an admin.",
    ] {
        assert!(mail.lines().any(|it| it == line), "no {line} in {mail}");
    }
    assert!(mail.contains("\r\nhttps://admin.porttask.example/invitation#token="), "{mail}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path), mode(&folder)), (0o600, 0o700));
    assert!(!path.to_str().unwrap().contains("bob"), "{path:?}");
    let accept = json!({"token": token(mail), "password": PASSWORD});
    service.send("POST", "/v1/invitations/accept", &[], Some(&accept)).is(200);
    let bob = service.sign_in("bob@acme.example");

    let users = format!("/v1/organizations/{organization}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    bob.post(&users, &body).is(201);
    let all = mails(&folder, 2);
    let carols = &all[1].1;
    assert!(carols.contains("\r\nSubject: Bob Fisher invites you to Acme\r\n"), "{carols}");
    let accept = json!({"token": token(carols), "password": PASSWORD});
    service.send("POST", "/v1/invitations/accept", &[], Some(&accept)).is(200);
    let metrics = service.send("GET", "/metrics", &[], None).is(200);
    let metrics = metrics.body.as_str().unwrap();
    assert!(metrics.contains("porttask_tasks_total{reactor=\"mail\",outcome=\"done\"} 2"), "{metrics}");
    assert!(metrics.contains("porttask_reactor_held{reactor=\"mail\"} 0"), "{metrics}");
}

async fn a_mail_that_cannot_be_sent_is_a_task_that_people_see(store: Store) {
    // Nobody listens there.
    let url = ("PORTTASK_SMTP_URL", "smtp://nobody:hunter2@127.0.0.1:9");
    let admin = [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
    let service = Service::start_with(&store, &[url, admin[0], admin[1]]);
    let first_admin = json!({"name": "Bob Fisher", "email": "bob@acme.example"});
    let body = json!({"name": "Acme", "domain": "acme.example", "first_admin": first_admin});
    service.ana().post("/v1/organizations", &body).is(201);
    let deadline = Instant::now() + Duration::from_secs(20);
    let run = |arguments: &[&str]| porttask(&store, arguments).output().unwrap();
    loop {
        let output = run(&["tasks", "list", "--json"]);
        let said = String::from_utf8(output.stdout).unwrap();
        if said.contains("\"last_error\":\"") {
            let task: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
            assert_eq!((task["reactor"].as_str(), task["dead"].as_bool()), (Some("mail"), Some(false)), "{task}");
            assert!(task["last_error"].as_str().unwrap().to_lowercase().contains("connection"), "{task}");
            assert!(!said.contains("hunter2") && !said.contains("bob"), "{said}");
            break;
        }
        assert!(Instant::now() < deadline, "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let listed = String::from_utf8(run(&["tasks", "list"]).stdout).unwrap();
    assert!(listed.contains("mail invitation") && listed.contains("1 attempts"), "{listed}");
    let dead = String::from_utf8(run(&["tasks", "list", "--dead"]).stdout).unwrap();
    assert_eq!(dead, "No task is dead.\n");
    let revived = run(&["tasks", "retry", "00000000-0000-0000-0000-000000000001"]);
    assert!(!revived.status.success() && String::from_utf8_lossy(&revived.stderr).contains("no dead task"));
    assert!(!run(&["tasks", "release", "post"]).status.success());
    let released = run(&["tasks", "release", "mail"]);
    assert!(String::from_utf8_lossy(&released.stdout).contains("; 1 tasks wait."), "{released:?}");
}

/// A server that wants no mail; its URL.
fn unwilling() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            _ = stream.write_all(b"220 mail.example\r\n");
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            if lines.next().is_some() {
                _ = stream.write_all(b"550 5.1.1 nobody is called so\r\n");
            }
        }
    });
    url
}

async fn a_mail_that_is_refused_is_dead_until_it_is_revived(store: Store) {
    let url = unwilling();
    let admin = [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
    let service = Service::start_with(&store, &[("PORTTASK_SMTP_URL", &url), admin[0], admin[1]]);
    let first_admin = json!({"name": "Bob Fisher", "email": "bob@acme.example"});
    let body = json!({"name": "Acme", "domain": "acme.example", "first_admin": first_admin});
    service.ana().post("/v1/organizations", &body).is(201);
    let dead = || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = porttask(&store, &["tasks", "list", "--dead", "--json"]).output().unwrap();
            if let Ok(task) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
                break task;
            }
            assert!(Instant::now() < deadline, "{output:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let task = dead();
    assert!(task["last_error"].as_str().unwrap().contains("nobody is called so"), "{task}");
    let revived = porttask(&store, &["tasks", "retry", task["id"].as_str().unwrap()]).output().unwrap();
    assert!(revived.status.success(), "{revived:?}");
    let again = dead();
    assert_eq!((&again["id"], &again["attempts"]), (&task["id"], &json!(1)), "it was tried as if never before");
}

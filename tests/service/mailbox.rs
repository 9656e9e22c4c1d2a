//! Emails that a service has written to its data directory.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Store};
use tempfile::TempDir;

/// A data directory for one service. Services on PostgreSQL would otherwise write their emails to the same directory.
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// Held because dropping it removes it.
    _directory: Option<TempDir>,
}

impl DataDirectory {
    /// The directory of the store on SQLite, a new one on PostgreSQL.
    pub(crate) fn of(store: &Store) -> Self {
        match store.engine() {
            Engine::Sqlite => Self { path: store.place().into(), _directory: None },
            Engine::Postgres => {
                let directory = tempfile::tempdir().unwrap();
                Self { path: directory.path().to_owned(), _directory: Some(directory) }
            }
        }
    }

    /// The variable that gives it to a service.
    pub(crate) fn variable(&self) -> (&str, &str) {
        ("PORTTASK_DATA", self.path.to_str().unwrap())
    }

    /// Where emails are written.
    pub(crate) fn mail_folder(&self) -> PathBuf {
        self.path.join("mail")
    }

    /// Emails with their files, once there are at least this many.
    pub(crate) fn mails(&self, count: usize) -> Vec<(PathBuf, String)> {
        self.mails_with("", count)
    }

    /// Emails that contain a text, such as an address, with their files, once there are at least this many.
    pub(crate) fn mails_with(&self, text: &str, count: usize) -> Vec<(PathBuf, String)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.written(text);
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "{} emails of {count} with {text:?}", found.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The first email that contains all of these texts, once it is there.
    pub(crate) fn mail_with(&self, texts: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let has_all = |(_, mail): &(PathBuf, String)| texts.iter().all(|text| mail.contains(text));
            if let Some((_, mail)) = self.written("").into_iter().find(has_all) {
                return mail;
            }
            assert!(Instant::now() < deadline, "no email with {texts:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn written(&self, text: &str) -> Vec<(PathBuf, String)> {
        let files = fs::read_dir(self.mail_folder()).into_iter().flatten().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "eml")).collect();
        files.sort();
        let mails = files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
        mails.filter(|(_, mail)| mail.contains(text)).collect()
    }
}

/// The token of the link in an invitation.
pub(crate) fn invitation_token(mail: &str) -> &str {
    mail.lines().find_map(|line| line.split_once("/invitation#token=")).unwrap_or_else(|| panic!("no link in {mail}")).1
}

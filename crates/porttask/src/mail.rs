//! The options for outgoing email, and `porttask mail`: reading emails that were written as files.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use porttask_infra::mail::{MailSettings, delete_old, read::last_to};
use porttask_runtime::{ports::mail::MailTransport, supervise::beat};

use crate::{error::Error, secret, storage::StorageArgs};

#[derive(Args)]
pub(crate) struct MailArgs {
    /// The URL of the SMTP server: smtps://user:password@host, or smtp://user:password@host:587?tls=required. If unset,
    /// emails are written as files to the directory mail in the data directory.
    #[arg(long, env = "PORTTASK_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// A file with the URL of the SMTP server.
    #[arg(long, env = "PORTTASK_SMTP_URL_FILE")]
    smtp_url_file: Option<PathBuf>,
    /// The sender of emails, such as PortTask <no-reply@example.com>. Default: no-reply at the host of the public URL.
    #[arg(long, env = "PORTTASK_MAIL_FROM")]
    mail_from: Option<String>,
}

impl MailArgs {
    /// Opens the configured transport; `domain` is that of the default sender.
    pub(crate) fn open(&self, storage: &StorageArgs, domain: String) -> Result<Arc<dyn MailTransport>, Error> {
        let from = self.mail_from.clone().filter(|from| !from.is_empty());
        let from = from.unwrap_or_else(|| format!("PortTask <no-reply@{domain}>"));
        let settings = MailSettings { smtp_url: self.smtp_url()?, from, folder: storage.mail_folder() };
        porttask_infra::mail::open(&settings)
            .map_err(|error| format!("{error} (PORTTASK_SMTP_URL, PORTTASK_MAIL_FROM, PORTTASK_DATA)").into())
    }

    /// The directory that emails are written to; `None` if they are sent.
    pub(crate) fn folder(&self, storage: &StorageArgs) -> Result<Option<String>, Error> {
        Ok(match self.smtp_url()? {
            Some(_) => None,
            None => Some(storage.mail_folder().display().to_string()),
        })
    }

    /// How emails are sent, as printed to the user.
    pub(crate) fn way(&self, storage: &StorageArgs) -> Result<String, Error> {
        Ok(match self.smtp_url()? {
            Some(_) => "Emails are sent through the SMTP server in PORTTASK_SMTP_URL".to_owned(),
            None => format!(
                "Emails are not sent but written as files to {}; to send them, set PORTTASK_SMTP_URL",
                storage.mail_folder().display()
            ),
        })
    }

    fn smtp_url(&self) -> Result<Option<String>, Error> {
        secret::given("PORTTASK_SMTP_URL", self.smtp_url.as_deref(), self.smtp_url_file.as_deref())
    }
}

/// How long emails that were written as files are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often old ones are deleted.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// Deletes old emails that were written as files, in a loop.
pub(crate) async fn tidy(folder: PathBuf) {
    loop {
        beat(TIDY_EVERY);
        let of = folder.clone();
        match tokio::task::spawn_blocking(move || delete_old(&of, KEPT)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old emails could not be deleted: will retry"),
            Err(error) => tracing::warn!(%error, "old emails could not be deleted: will retry"),
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the newest email to an address, as readable text.
    ///
    /// Emails are written as files to the directory mail in the data directory if no SMTP server is configured.
    Last {
        /// The email address of the recipient.
        #[arg(long)]
        to: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Self::Last { to, json } = self;
        let folder = storage.mail_folder();
        let found = last_to(&folder, &to).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mail = found.ok_or_else(|| {
            format!(
                "there is no email to {to} in {}: emails are written there if PORTTASK_SMTP_URL is not set",
                folder.display()
            )
        })?;
        let mut out = io::stdout().lock();
        if json {
            let headers = mail.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str().into()));
            let mut line: serde_json::Map<String, serde_json::Value> = headers.collect();
            line.insert("text".to_owned(), mail.text.into());
            line.insert("file".to_owned(), mail.file.display().to_string().into());
            writeln!(out, "{}", serde_json::Value::Object(line))?;
            return Ok(());
        }
        for (name, value) in &mail.headers {
            writeln!(out, "{name}: {value}")?;
        }
        write!(out, "\n{}", mail.text)?;
        Ok(())
    }
}

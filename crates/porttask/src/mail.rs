//! How mail leaves, as the command line and the environment say.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_infra::mail::MailSettings;
use porttask_runtime::ports::mail::MailTransport;

use crate::{cli::Error, secret, storage::StorageArgs};

#[derive(Args)]
pub(crate) struct MailArgs {
    /// The server that takes mail: smtps://user:password@host, or smtp://user:password@host:587?tls=required. Otherwise mails
    /// are left as files in the folder mail of the data folder.
    #[arg(long, env = "PORTTASK_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// A file with the URL of the server that takes mail.
    #[arg(long, env = "PORTTASK_SMTP_URL_FILE")]
    smtp_url_file: Option<PathBuf>,
    /// Who mails are from, as in PortTask <no-reply@example.com>. Otherwise no-reply at the host of the public address.
    #[arg(long, env = "PORTTASK_MAIL_FROM")]
    mail_from: Option<String>,
}

impl MailArgs {
    /// The way that is configured; from this domain unless it is said from whom.
    pub(crate) fn open(&self, storage: &StorageArgs, domain: String) -> Result<Arc<dyn MailTransport>, Error> {
        let from = self.mail_from.clone().filter(|from| !from.is_empty());
        let from = from.unwrap_or_else(|| format!("PortTask <no-reply@{domain}>"));
        let settings = MailSettings { smtp_url: self.smtp_url()?, from, folder: storage.mail_folder() };
        porttask_infra::mail::open(&settings)
            .map_err(|error| format!("{error} (PORTTASK_SMTP_URL, PORTTASK_MAIL_FROM, PORTTASK_DATA)").into())
    }

    /// Where mail goes, for the person at the terminal.
    pub(crate) fn way(&self, storage: &StorageArgs) -> Result<String, Error> {
        Ok(match self.smtp_url()? {
            Some(_) => "Mail is sent through the server that PORTTASK_SMTP_URL names".to_owned(),
            None => format!(
                "No mail is sent: it is left as files in {}; set PORTTASK_SMTP_URL",
                storage.mail_folder().display()
            ),
        })
    }

    fn smtp_url(&self) -> Result<Option<String>, Error> {
        secret::given("PORTTASK_SMTP_URL", self.smtp_url.as_deref(), self.smtp_url_file.as_deref())
    }
}

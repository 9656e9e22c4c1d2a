//! `porttask admin`: regaining access to the platform.

use clap::Subcommand;
use porttask_app::identity::{
    links::Links,
    organizations,
    password_resets::{self, BreakGlassError},
};
use porttask_domain::{OrganizationId, identity::EmailAddress};

use crate::{address, error::Error, node::Node, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a link with which a super admin sets a new password, and print it.
    ///
    /// For when no super admin can sign in and no email arrives. It is recorded in the audit log, with the operator as
    /// actor and the account of the operating system. The link can be used once, within an hour. The super admin also
    /// receives it by email.
    Reset {
        /// The email address of the super admin.
        email: String,
        /// The public URL, with which the link starts.
        #[arg(long, env = "PORTTASK_PUBLIC_URL", default_value = "http://127.0.0.1:8080", value_parser = address::public_url)]
        public_url: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Self::Reset { email, public_url, json } = self;
        let address = EmailAddress::new(&email).map_err(|error| format!("{email}: {error}"))?;
        let node = Node::open(storage).await?;
        let (database, platform) = (&*node.database, OrganizationId::PLATFORM);
        let user = organizations::user_with(database, &node.vault, platform, &address).await?;
        let user = user.ok_or_else(|| format!("no super admin has the email address {email}"))?;
        let links = Links::open(&node.vault, &public_url).await?;
        let reset = password_resets::break_glass(&node.executor(), user, &account(), node.clock.now()).await;
        let link = reset.map_err(|error| match error {
            BreakGlassError::Execute(error) => format!("the password of {email} cannot be reset: {error}"),
            other => format!("{email}: {other}"),
        })?;
        let address = links.address(&link);
        if json {
            println!("{}", serde_json::json!({"user": user, "link": address, "expires_at": link.expires_at}));
            return Ok(());
        }
        eprintln!(
            "Use this link until {:.0} to set a new password; it was recorded in the audit log:",
            link.expires_at
        );
        println!("{address}");
        Ok(())
    }
}

/// The account of the operating system that runs this command.
fn account() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    let by_sudo = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty() && !name.contains(char::is_control));
    let by_sudo = by_sudo.map(|name| format!(", by sudo from {name}")).unwrap_or_default();
    format!("{} (uid {id}){by_sudo}", name.unwrap_or_else(|| "unknown".to_owned()))
}

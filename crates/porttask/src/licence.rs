//! `porttask licence`: verifies licences without a connection.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use porttask_licence::{Claims, Keys, Verifier};

use crate::{error::Error, logging::print};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Verify a licence, and print what it permits.
    ///
    /// Succeeds only if it is signed by one of the keys, valid now, and not revoked.
    Verify(Verify),
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The file with the token.
    file: PathBuf,
    /// The file with the public keys, as GET /v1/licences/keys answers. Required to verify the signature.
    #[arg(long)]
    keys: Option<PathBuf>,
    /// The file with the revocation list, as GET /v1/licences/revocations answers.
    #[arg(long)]
    revocations: Option<PathBuf>,
    /// The URL of the service that must have issued the licence. Default: any whose keys are given.
    #[arg(long)]
    issuer: Option<String>,
    /// Verify for this time instead of now, such as 2026-12-31T23:00:00Z.
    #[arg(long)]
    at: Option<Timestamp>,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<(), Error> {
        let Some(keys) = &self.keys else {
            return Err(
                "give the public keys with --keys FILE: without them, the signature cannot be verified. Download \
                        them from /v1/licences/keys of the service that issued the licence"
                    .into(),
            );
        };
        let keys = Keys::from_jwks(&text_of(keys)?).map_err(|error| format!("{}: {error}", keys.display()))?;
        let mut verifier = match &self.issuer {
            Some(issuer) => Verifier::new(issuer.trim_end_matches('/'), keys),
            None => Verifier::of_any_issuer(keys),
        };
        let now = self.at.unwrap_or_else(Timestamp::now);
        if let Some(path) = &self.revocations {
            let list = text_of(path)?;
            let list = verifier.accept_revocations(&list).map_err(|error| format!("{}: {error}", path.display()))?;
            if list.exp <= now.as_second() {
                crate::logging::say(format_args!("{} is out of date: download it again.", path.display()));
            }
        }
        let token = text_of(&self.file)?;
        let claims = verifier.verify(&token, now.as_second());
        show(&claims.map_err(|error| format!("{}: {error}", self.file.display()))?)
    }
}

fn text_of(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn show(claims: &Claims) -> Result<(), Error> {
    let until = Timestamp::from_second(claims.exp)?;
    print(format_args!("The licence {} is valid until {until}.", claims.jti));
    print(serde_json::to_string_pretty(claims)?);
    Ok(())
}

//! The payment provider of the service.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_infra::payments::{PaymentSimulator, Stripe, StripeSettings};
use porttask_runtime::{ledger::Database, ports::payments::PaymentProvider};

use crate::{error::Error, secret};

/// Options of payments.
#[derive(Args)]
pub(crate) struct PaymentArgs {
    /// The secret key of the account at Stripe, which charges what organizations owe. Without one, payments are simulated: no
    /// money is moved.
    #[arg(long, env = "PORTTASK_STRIPE_KEY", hide_env_values = true)]
    stripe_key: Option<String>,
    /// A file with the secret key of the account at Stripe.
    #[arg(long, env = "PORTTASK_STRIPE_KEY_FILE")]
    stripe_key_file: Option<PathBuf>,
    /// The publishable key of the account at Stripe, with which the console shows the form that takes cards.
    #[arg(long, env = "PORTTASK_STRIPE_PUBLISHABLE_KEY")]
    stripe_publishable_key: Option<String>,
    /// The secrets with which Stripe signs its events, separated by commas: two while they are rotated.
    #[arg(long, env = "PORTTASK_STRIPE_WEBHOOK_SECRETS", hide_env_values = true)]
    stripe_webhook_secrets: Option<String>,
    /// A file with the secrets with which Stripe signs its events.
    #[arg(long, env = "PORTTASK_STRIPE_WEBHOOK_SECRETS_FILE")]
    stripe_webhook_secrets_file: Option<PathBuf>,
    /// The URL of the API of Stripe.
    #[arg(long, env = "PORTTASK_STRIPE_URL", default_value = "https://api.stripe.com")]
    stripe_url: String,
}

impl PaymentArgs {
    /// The provider, which may keep its books in the log's database.
    pub(crate) fn provider(&self) -> Result<impl FnOnce(&Arc<dyn Database>) -> Arc<dyn PaymentProvider>, Error> {
        let file = self.stripe_key_file.as_deref();
        let key = secret::given("PORTTASK_STRIPE_KEY", self.stripe_key.as_deref(), file)?;
        let (value, file) = (self.stripe_webhook_secrets.as_deref(), self.stripe_webhook_secrets_file.as_deref());
        let secrets = secret::given("PORTTASK_STRIPE_WEBHOOK_SECRETS", value, file)?;
        let publishable_key = self.stripe_publishable_key.clone().filter(|key| !key.is_empty());
        let stripe = match key {
            None if secrets.is_some() => {
                return Err("PORTTASK_STRIPE_WEBHOOK_SECRETS needs PORTTASK_STRIPE_KEY: set both or neither".into());
            }
            None if publishable_key.is_some() => {
                return Err("PORTTASK_STRIPE_PUBLISHABLE_KEY needs PORTTASK_STRIPE_KEY: set both or neither".into());
            }
            None => None,
            Some(key) => {
                let secrets = secrets.unwrap_or_default();
                let secrets = secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty());
                let webhook_secrets = secrets.map(str::to_owned).collect();
                let settings = StripeSettings { key, publishable_key, webhook_secrets, url: self.stripe_url.clone() };
                Some(Stripe::open(settings).map_err(|error| {
                    format!("{error} (PORTTASK_STRIPE_KEY, PORTTASK_STRIPE_PUBLISHABLE_KEY, PORTTASK_STRIPE_URL)")
                })?)
            }
        };
        Ok(|database: &Arc<dyn Database>| match stripe {
            Some(stripe) => Arc::new(stripe) as Arc<dyn PaymentProvider>,
            None => Arc::new(PaymentSimulator::new(Arc::clone(database))),
        })
    }

    /// How payments are made, as printed to the user.
    pub(crate) fn way(&self) -> &'static str {
        match self.stripe_key.as_ref().is_some_and(|key| !key.is_empty()) || self.stripe_key_file.is_some() {
            true => "Payments are made with Stripe",
            false => "Payments are simulated; to charge cards, set PORTTASK_STRIPE_KEY",
        }
    }
}

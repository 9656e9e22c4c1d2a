//! What metering adds to a request with an API key: compared with its authentication, which every request needs, in turn
//! in the same process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use porttask_app::{
    billing::metering::Metering,
    identity::{
        access::{Access, Credential},
        credential_activity::{CredentialActivity, SessionLimits},
        organizations::StatusAllows,
    },
};
use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{
        Subscription,
        period::Interval,
        plan::built_in,
        quote::Used,
        subscription::{ChangeId, ChangeTerms, Command, EndReason, SubscriptionId},
        terms::{Held, Terms},
    },
};
use porttask_runtime::{
    clock::Clock,
    execute::{Executor, Request, Tx},
    new_id,
};

use crate::{Error, Figure, Options, store::Store};

const AT_ONCE: usize = 8;
/// How often both are measured in turn, because the speed of machines drifts.
const TURNS: u32 = 10;
/// More than is sent.
const LIMIT: u64 = 1 << 40;

/// What a node needs to authenticate and meter.
struct Node {
    access: Access,
    metering: Metering,
    executor: Arc<Executor>,
    clock: Arc<Clock>,
}

/// Authentications of API keys per second with metering, compared with those without.
pub(crate) async fn overhead(
    options: &Options,
    engine: &'static str,
    store: &Store,
    tokens: &[String],
    figures: &mut Vec<Figure>,
) -> Result<(), Error> {
    let clock = Arc::new(Clock::new());
    let (log, vault) = (Arc::clone(&store.log), Arc::clone(&store.vault));
    let executor = Executor::new(Arc::clone(&log), Arc::clone(&vault), Arc::new(StatusAllows), Arc::clone(&clock));
    let limits = SessionLimits { longest: SignedDuration::from_hours(1), idle: None };
    let activity = Arc::new(CredentialActivity::new((Arc::clone(&log), vault), Arc::clone(&clock), limits));
    let access = Access::new(log, Arc::clone(&executor), activity);
    let metering = Metering::new(Arc::clone(&executor), Arc::clone(&clock));
    let node = Arc::new(Node { access, metering, executor, clock });
    for token in tokens {
        let caller = node.access.authenticate(token, node.clock.now()).await?;
        node.subscribe(caller.organization).await?;
    }
    let turn = Duration::from_secs_f64(options.seconds * 5.0) / (2 * TURNS);
    let (mut with, mut without) = (0.0, 0.0);
    for _ in 0..TURNS {
        without += node.rate(tokens, turn, false).await? / f64::from(TURNS);
        with += node.rate(tokens, turn, true).await? / f64::from(TURNS);
    }
    let note = "authentications of API keys, metered, compared with those that are not; target 0.97";
    figures.push(Figure::beside(engine, "metering_overhead", with, "1/s", without, note));
    Ok(())
}

impl Node {
    /// Authentications per second.
    async fn rate(self: &Arc<Self>, tokens: &[String], length: Duration, is_metered: bool) -> Result<f64, Error> {
        let start = Instant::now();
        let callers = (0..AT_ONCE).zip(tokens.iter().cycle()).map(|(_, token)| {
            let (node, token) = (Arc::clone(self), token.clone());
            tokio::spawn(async move {
                let mut count = 0_u32;
                while start.elapsed() < length {
                    node.ask(&token, is_metered).await?;
                    count += 1;
                }
                Ok::<_, Error>(count)
            })
        });
        let mut count = 0.0;
        for caller in callers.collect::<Vec<_>>() {
            count += f64::from(caller.await??);
        }
        Ok(count / start.elapsed().as_secs_f64())
    }

    async fn ask(&self, token: &str, is_metered: bool) -> Result<(), Error> {
        let caller = self.access.authenticate(token, self.clock.now()).await?;
        if let (true, Credential::Key { key, .. }) = (is_metered, caller.credential) {
            self.metering.admit(caller.organization, key).await?.count(self.clock.now());
        }
        Ok(())
    }

    /// Subscribes an organization to a plan with a limit, so that it is compared with what is used.
    async fn subscribe(&self, organization: OrganizationId) -> Result<(), Error> {
        let (plan, code, name, _, mut offer) = built_in().last().cloned().ok_or("no plan")?;
        offer.limits.api_calls = Some(LIMIT);
        let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
        let currency = "EUR".parse().map_err(|_| "no such currency")?;
        let to = Held::new(terms.clone(), 0, Interval::Month, currency).map_err(|_| "no price")?;
        let (terms, to, id) = (&terms, &to, SubscriptionId::from(organization));
        let change: ChangeId = new_id();
        let request = Request::new(organization, Meta::by(Actor::Operator));
        let subscribe = move |tx: Tx| async move {
            let now = tx.now();
            let (terms, zone, trial_ends_at) = (terms.clone(), "UTC".to_owned(), now + SignedDuration::from_hours(48));
            let start = Command::StartTrial { terms, zone, created_at: now, trial_ends_at };
            let end = Command::End { why: EndReason::Canceled, now };
            let (to, quote, used) = (to.clone(), None, Used::default());
            let change =
                ChangeTerms { to, effective: None, quote, is_gated: false, balance: 0, change, used, tax: None, now };
            tx.decide_all::<Subscription>(id, &[start, end, Command::Change(Box::new(change))]).await
        };
        self.executor.transact(&request, subscribe).await?;
        Ok(())
    }
}

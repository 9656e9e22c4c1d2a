//! The licences of an organization.

use jiff::Timestamp;
use porttask_app::billing::licence_renewal;
use porttask_domain::{
    Actor, Meta, OrganizationId, Reason,
    billing::{
        Licence, LicenceSigningKeys, Subscription,
        licence::{self, ActivationId, Command, Issue, Kind, LicenceId, LicenceTerms, Machine},
        licence_signing_key::{LicenceSigningKeyId, Rejection},
    },
    identity::Capability,
};
use porttask_runtime::execute::{ExecuteError, Outcome, Request, Tx};

use super::Site;
use crate::{
    build::Error,
    keys::LicenceStep,
    plan::{DAY, What},
};

impl Site {
    /// Something happens to a licence.
    pub(super) async fn licence_step(&mut self, number: usize, at: Timestamp) -> Result<(), Error> {
        let What::Licence(id, step) = &self.plan.steps[number].what else { return Ok(()) };
        let id = *id;
        match step {
            LicenceStep::Issue { kind, activations, days, reseller } => {
                let (what, reseller) = ((*kind, *activations), *reseller);
                self.issue(id, what, (at + DAY * (*days).max(1), reseller)).await
            }
            LicenceStep::Activate(machine) => {
                let organization = self.plan.organization;
                let request = Request::new(organization, Meta::by(Actor::Anonymous)).needing(Capability::Use);
                let (activation, machine): (ActivationId, _) = (self.random.id(at), Machine::new(machine)?);
                let activate = Command::Activate { activation, machine, now: at };
                Ok(self.executor.execute::<Licence>(id, activate, &request).await.map(drop)?)
            }
            LicenceStep::Revoke => {
                let reason = Reason::new("The installation was given up")?;
                let request = self.by_staff();
                Ok(self.executor.execute::<Licence>(id, Command::Revoke { reason }, &request).await.map(drop)?)
            }
        }
    }

    async fn issue(
        &mut self,
        id: LicenceId,
        (kind, activations): (Kind, u32),
        (until, reseller): (Timestamp, Option<&'static str>),
    ) -> Result<(), Error> {
        let (request, issuer) = (self.by_staff(), &self.issuer.clone());
        let issue = move |tx: Tx| async move {
            let subscription: Subscription = tx.read(tx.request().organization.into()).await?;
            let keys: LicenceSigningKeys = tx.read_in(OrganizationId::PLATFORM, LicenceSigningKeyId::ALL).await?;
            let signing = keys.signing().ok_or(ExecuteError::Rejected(Rejection::NoneSigns.into()))?;
            let now = tx.now();
            let (terms, expires_at) = match (kind, licence::of_subscription(&subscription)) {
                (Kind::Trial, _) => (LicenceTerms::to_try(&subscription), now + licence::TRIAL),
                (Kind::Subscription, Some(found)) => found,
                // It is not paid now.
                (Kind::Subscription, None) => return Ok(false),
                (Kind::Enterprise | Kind::Partner, _) => (LicenceTerms::of(&subscription), until),
            };
            let issue = Issue {
                licence: id,
                kind,
                terms,
                not_before: now,
                expires_at,
                activations,
                reseller: reseller.map(str::to_owned),
                issuer: issuer.clone(),
                issued_at: now,
                kid: signing.kid.clone(),
                replaces: None,
            };
            tx.decide_new::<Licence>(id, &Command::Issue(Box::new(issue))).await.map(|()| true)
        };
        let outcome = self.executor.transact::<_, ExecuteError, _>(&request, issue).await?;
        if kind == Kind::Subscription && outcome.value == Some(true) {
            self.licences.push(id);
        }
        Ok(())
    }

    /// A licence of the subscription follows it.
    pub(super) async fn renew_licence(&self, id: LicenceId) -> Result<Outcome, Error> {
        let request = self.settling(Meta::by(Actor::System));
        let renew = move |tx: Tx| async move { licence_renewal::renew(&tx, id).await };
        Ok(self.executor.transact(&request, renew).await?)
    }
}

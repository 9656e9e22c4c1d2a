//! The subscription of an organization: changes, and what becomes due.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use porttask_app::billing::{
    invoices::billing::{Meters, bill, why_it_waits},
    subscriptions,
};
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId,
    billing::{
        Coupon, PaymentMethods, Plan, Subscription, UsageMonth,
        coupon::{AppliesTo, DiscountTerms, Duration, Off},
        payment_method::{self, Details, MethodKind, PaymentMethodId},
        plan::built_in,
        quote::Used,
        subscription::{self, ChangeId, ChangeTerms, Command, SubscriptionId},
        terms::Held,
        usage_month::{self, UsageMonthId},
    },
    identity::Capability,
};
use porttask_runtime::execute::{ExecuteError, Outcome, Request, Tx};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Site, Task};
use crate::{
    bills::Payer,
    build::{Error, set},
    money::{ENTERPRISE, Money, coupon},
    plan::YEAR,
};

/// The problem of a change while an invoice is not paid.
const PAST_DUE: &str = "subscription-past-due";

impl Site {
    /// When something becomes due for the subscription or its invoices next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.iter().map(|(_, at)| *at).chain(self.bills.next_due()).min()
    }

    /// How the organization pays.
    pub(super) fn payer(&self) -> Payer {
        self.plan.payer
    }

    /// Carries out what is due.
    pub(super) async fn reach(&mut self, due: Timestamp) -> Result<(), Error> {
        set(&self.clock, due);
        let request = self.settling(Meta::by(Actor::System));
        if !self.due.iter().any(|(_, at)| *at == due) && self.reach_bills(due).await? {
            return Ok(());
        }
        if self.due.iter().any(|(what, at)| (*what, *at) == (subscription::Due::Billing, due)) {
            return self.bill(due, &request).await;
        }
        let outcome = self.subscribe(Command::Reach { due, can_pay: true, now: due }, &request).await?;
        self.due.retain(|(_, at)| *at != due);
        self.follow(outcome).await
    }

    /// Issues what is to be billed.
    async fn bill(&mut self, due: Timestamp, request: &Request) -> Result<(), Error> {
        let meters = &Meters { executor: Arc::clone(&self.executor), views: None };
        let billed = self.executor.transact(request, |tx: Tx| async move { bill(meters, &tx, due).await }).await;
        self.due.retain(|(what, at)| (*what, *at) != (subscription::Due::Billing, due));
        match billed {
            Ok(outcome) => self.follow(outcome).await?,
            // Its billing account is entered later.
            Err(error) if why_it_waits(&error).is_some() => {
                self.due.push((subscription::Due::Billing, due + SignedDuration::from_hours(24)));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(super) fn settling(&self, meta: Meta) -> Request {
        Request::new(self.plan.organization, meta).needing(Capability::Settle)
    }

    async fn subscribe(&self, command: Command, request: &Request) -> Result<Outcome, Error> {
        let id = SubscriptionId::from(self.plan.organization);
        Ok(self.executor.execute::<Subscription>(id, command, request).await?)
    }

    /// Remembers what becomes due, and carries out what follows at once: what reactors do in the service.
    pub(super) async fn follow<T>(&mut self, outcome: Outcome<T>) -> Result<(), Error> {
        let mut tasks: VecDeque<Task> = self.learn(&outcome).into();
        while let Some(task) = tasks.pop_front() {
            let outcome = match task {
                Task::Charge(invoice, attempt) => self.charge(invoice, attempt).await?,
                Task::RenewLicence(licence) => self.renew_licence(licence).await?,
            };
            tasks.extend(self.learn(&outcome));
        }
        Ok(())
    }

    /// Remembers what becomes due; returns what follows at once.
    pub(super) fn learn<T>(&mut self, outcome: &Outcome<T>) -> Vec<Task> {
        let (now, payer) = (self.clock.now(), self.payer());
        let mut tasks = Vec::new();
        for event in &outcome.events {
            tasks.extend(self.bills.learn(event, payer, now));
            let DomainEvent::Subscription(event) = &event.event else { continue };
            use subscription::Event::{Activated, Ended, Renewed, TermsChanged};
            if matches!(event, Activated { .. } | Renewed { .. } | TermsChanged { .. } | Ended { .. }) {
                tasks.extend(self.licences.iter().map(|licence| Task::RenewLicence(*licence)));
            }
            for (due, at) in subscription::timers(event, now) {
                self.due.retain(|(known, _)| *known != due);
                self.due.extend(at.map(|at| (due, at)));
            }
        }
        tasks
    }

    pub(super) async fn money(
        &mut self,
        what: usize,
        request: &Request,
        id: Uuid,
        now: Timestamp,
    ) -> Result<(), Error> {
        let crate::plan::What::Money(money) = &self.plan.steps[what].what else { return Ok(()) };
        let request = Request { capability: Capability::Settle, ..request.clone() };
        let organization = self.plan.organization;
        let command = match money {
            Money::Change(place, interval, seats) => {
                let (plan, ..) = &built_in()[*place];
                let (state, _) = self.executor.load::<Plan>(OrganizationId::PLATFORM, *plan).await?;
                let by_staff = *place == ENTERPRISE;
                let terms = state.terms_for(*plan, organization, by_staff);
                let terms = terms.ok_or_else(|| Error::Text("a plan is not on offer".to_owned()))?;
                let currency = terms.offer.prices[0].currency;
                if !self.payer().is_by_transfer() {
                    self.add_payment_method(id, &request).await?;
                }
                let to =
                    Held::new(terms, *seats, *interval, currency).map_err(|_| Error::Text("no price".to_owned()))?;
                let used: Used = subscriptions::used(&self.executor, organization).await.map_err(Error::from_log)?;
                let (effective, quote, is_gated, change) = (None, None, false, ChangeId(id));
                Command::Change(Box::new(ChangeTerms {
                    to,
                    effective,
                    quote,
                    is_gated,
                    balance: 0,
                    change,
                    used,
                    tax: None,
                    now,
                }))
            }
            Money::Redeem => {
                let coupon = coupon(self.seed, self.begin);
                let (state, _) = self.executor.load::<Coupon>(OrganizationId::PLATFORM, coupon).await?;
                let Some((terms, _)) = state.redeemable(now) else { return Ok(()) };
                Command::AddDiscount { discount: id.into(), coupon: Some(coupon), terms: terms.clone(), now }
            }
            Money::Discount => {
                let off = Off::Percent(Decimal::from(15));
                let (applies_to, plans) = (AppliesTo::All, Vec::new());
                let terms = DiscountTerms { off, duration: Duration::Periods(6), applies_to, plans };
                Command::AddDiscount { discount: id.into(), coupon: None, terms, now }
            }
            Money::Cancel => Command::Cancel { on: None, reason: None, now },
            Money::ApiCalls(count) => return self.count_api_calls(*count, now).await,
        };
        match self.subscribe(command, &request).await {
            Ok(outcome) => self.follow(outcome).await,
            // Its last invoice is not paid: people get the same answer.
            Err(Error::Execute(ExecuteError::Rejected(rejected))) if rejected.slug == PAST_DUE => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A method of the simulator, with which what comes next is paid, or not.
    async fn add_payment_method(&self, id: Uuid, request: &Request) -> Result<(), Error> {
        let organization = self.plan.organization;
        let token = match self.payer() {
            Payer::Card { until } if until < self.begin + YEAR => "sim_insufficient_funds",
            Payer::Card { .. } | Payer::Forgetful | Payer::Transfer { .. } | Payer::InParts => "sim_ok",
        };
        let details = Details {
            provider: "simulator".to_owned(),
            customer: organization.to_string(),
            token: token.to_owned(),
            kind: MethodKind::Card,
            brand: token.to_owned(),
            last4: "0000".to_owned(),
            expires: None,
            fingerprint: Some(token.to_owned()),
        };
        let add = payment_method::Command::Add { method: PaymentMethodId(id), details };
        self.executor.execute::<PaymentMethods>(organization.into(), add, request).await.map(drop)?;
        Ok(())
    }

    async fn count_api_calls(&self, count: u64, now: Timestamp) -> Result<(), Error> {
        let organization = self.plan.organization;
        let day = now.to_zoned(TimeZone::UTC).date().yesterday().unwrap_or_default();
        let work = move |tx: Tx| async move {
            let state: Subscription = tx.read(organization.into()).await?;
            let Ok(Some(month)) = state.usage_month(now - crate::plan::DAY) else { return Ok(()) };
            let command = usage_month::Command::CountApiCalls { day, count, by_key: BTreeMap::new() };
            tx.decide::<UsageMonth>(UsageMonthId::new(organization, month.from), &command).await
        };
        Ok(self.executor.transact(&self.settling(Meta::by(Actor::System)), work).await.map(drop)?)
    }
}

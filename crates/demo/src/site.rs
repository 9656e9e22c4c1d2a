//! An organization that is being built: carries out its plan, at the time of its own clock.

mod document;
mod invoice;
mod licence;
mod subscription;

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use porttask_app::{
    billing::subscriptions,
    identity::{access::Access, passwords::Passwords},
    operations::port_calls,
    support::escalations::{RESPONSE_HOURS, response_due_at},
};
use porttask_domain::{
    Actor, FailedSignInsId, Meta, OrganizationId, PersonName, Personal, Reason, Registered, SessionId, UserId,
    billing::{
        Subscription,
        billing_document::InvoiceId,
        licence::LicenceId,
        schedule,
        subscription::{Command as SubscriptionCommand, Due, EndReason},
    },
    identity::{
        Capability, DomainName, EmailAddress, FailedSignIns, Organization, Session, User,
        organization::{self, OrganizationName},
        session::{self, Method, SessionEpoch},
        settings::{BrandingPatch, BusinessHoursPatch, Colour},
        sign_in, user,
    },
    operations::{
        PortCall, Remark, ServiceOrder, Vendor,
        port_call::{self, NewPortCall, Status},
        price::Price,
        service_order::{self, AnsweredBy, Details, NewServiceOrder, ServiceOrderId},
        vendor::{self, VendorName},
        vessel::{ImoNumber, VesselName, VoyageNumber},
    },
    support::{
        Ticket, TicketNumbers,
        ticket::{self, Author, Side, TicketId, TicketSubject, TicketText},
        ticket_number::{self, TicketNumbersId},
    },
};
use porttask_runtime::{
    clock::Clock,
    execute::{Executor, Request, Tx},
    log::NewSecret,
    ports::blobs::BlobStore,
};

use self::invoice::Bills;
use crate::{
    build::{Error, INVITATION, Parts, executor, set},
    desk::TicketStep,
    plan::{By, Person, Plan, Step, What},
    random::Random,
    tax,
    traffic::{CallStep, OrderStep},
};

const SESSION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// An organization that is being built.
pub(crate) struct Site {
    plan: Plan,
    /// How many steps are done.
    done: usize,
    executor: Arc<Executor>,
    clock: Arc<Clock>,
    blobs: Arc<dyn BlobStore>,
    staff: Vec<UserId>,
    password: Arc<NewSecret>,
    /// The last session of each person.
    sessions: HashMap<usize, SessionId>,
    random: Random,
    seed: u64,
    /// The beginning of the year.
    begin: Timestamp,
    /// What becomes due for the subscription.
    due: Vec<(Due, Timestamp)>,
    /// What becomes due of invoices.
    bills: Bills,
    /// The licences that follow the subscription.
    licences: Vec<LicenceId>,
    /// The URL of the service, as licences have it.
    issuer: String,
}

/// What follows at once from what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// The card is charged for an invoice: which attempt it is.
    Charge(InvoiceId, u32),
    /// A licence follows the subscription.
    RenewLicence(LicenceId),
}

impl Site {
    pub(crate) fn new(
        parts: &Parts,
        plan: Plan,
        staff: Vec<UserId>,
        password: &Arc<NewSecret>,
        (seed, begin): (u64, Timestamp),
        issuer: &str,
    ) -> Self {
        let (executor, clock) = executor(parts);
        let random = Random::new(!seed, plan.number as u64);
        let (blobs, password, sessions) = (Arc::clone(&parts.blobs), Arc::clone(password), HashMap::new());
        Self {
            plan,
            done: 0,
            executor,
            clock,
            blobs,
            staff,
            password,
            sessions,
            random,
            seed,
            begin,
            due: Vec::new(),
            bills: Bills::default(),
            licences: Vec::new(),
            issuer: issuer.to_owned(),
        }
    }

    /// Carries out the steps before an instant.
    pub(crate) async fn work(&mut self, until: Timestamp) -> Result<(), Error> {
        loop {
            let next = self.plan.steps.get(self.done).map(|step| step.at).filter(|at| *at < until);
            match (next, self.next_due().filter(|at| *at < until)) {
                (None, None) => return Ok(()),
                (Some(at), due) if due.is_none_or(|due| at < due) => self.step(at).await?,
                (_, Some(due)) => self.reach(due).await?,
                (Some(at), None) => self.step(at).await?,
            }
        }
    }

    async fn step(&mut self, at: Timestamp) -> Result<(), Error> {
        set(&self.clock, at);
        let (number, request) = (self.done, self.request(&self.plan.steps[self.done]));
        let session: SessionId = self.random.id(at);
        match self.plan.steps[number].what {
            What::Create => self.create(&request, at).await?,
            What::Money(_) => self.money(number, &request, session.0, at).await?,
            What::Bill(step) => self.bill_step(step, at).await?,
            What::Licence(..) => self.licence_step(number, at).await?,
            What::Close(reason) => self.close(&request, reason).await?,
            _ => self.carry_out(&self.plan.steps[number], &request, session).await?,
        }
        if let What::SignIn(it) = self.plan.steps[number].what {
            self.sessions.insert(it, session);
        }
        self.done += 1;
        Ok(())
    }

    fn request(&self, step: &Step) -> Request {
        let organization = self.plan.organization;
        let meta = match step.by {
            By::Person(it) => {
                let person = &self.plan.people[it];
                let session = self.sessions.get(&it).copied();
                Meta { session, ..from(person, Actor::User { organization, user: person.user }) }
            }
            By::Staff => {
                let user = self.staff[self.done % self.staff.len()];
                Meta::by(Actor::User { organization: OrganizationId::PLATFORM, user })
            }
            By::Anonymous => Meta::by(Actor::Anonymous),
            By::System => Meta::by(Actor::System),
        };
        let request = Request::new(organization, meta);
        match step.what {
            What::Create => request.creates_organization(),
            What::Suspend(_) | What::Lift | What::Close(_) => request.needing(Capability::ChangeStatus),
            What::FailedSignIns(..) => request.needing(Capability::Settle),
            _ => request,
        }
    }

    async fn carry_out(&self, step: &Step, request: &Request, session: SessionId) -> Result<(), Error> {
        let (organization, at, people) = (self.plan.organization, step.at, &self.plan.people);
        match &step.what {
            What::Create | What::Money(_) | What::Bill(_) | What::Licence(..) | What::Close(_) => Ok(()),
            What::SetUp => self.set_up(request, at).await,
            What::Invite(it) => self.user(*it, self.invitation(&people[*it], at)?, request).await,
            What::Accept(it) => self.accept(people[*it].user, request, at).await,
            What::SignIn(it) => self.sign_in(people[*it].user, session, request, at).await,
            What::FailedSignIns(it, total) => {
                let person = &people[*it];
                let record = sign_in::Command::RecordFailures { user: person.user, total: *total };
                let request = Request { meta: from(person, Actor::Anonymous), ..request.clone() };
                self.execute::<FailedSignIns>(FailedSignInsId(session.0), record, &request).await
            }
            What::ChangeRole(it, role) => {
                self.user(*it, user::Command::ChangeRole { role: *role, permissions: None }, request).await
            }
            What::Deactivate(it) => self.user(*it, user::Command::Deactivate, request).await,
            What::Reactivate(it) => self.user(*it, user::Command::Reactivate, request).await,
            What::Call(number, step) => self.port_call(*number, step, request, at).await,
            What::Order(order, step) => self.order(*order, step, request, at).await,
            What::Document(document, step) => self.document(*document, step, request, at).await,
            What::Ticket(ticket, what) => self.ticket(*ticket, what, step.by, request, at).await,
            What::CreateVendor { vendor, name, service, email } => {
                let create = vendor::Command::Create {
                    vendor: *vendor,
                    name: VendorName::new(name)?,
                    services: [*service].into(),
                    contacts: Vec::new(),
                    order_email: Some(EmailAddress::new(email)?),
                };
                self.execute::<Vendor>(*vendor, create, request).await
            }
            What::Suspend(reason) => {
                let reason = Reason::new(reason)?;
                self.organization(organization::Command::Suspend { organization, reason }, request).await
            }
            What::Lift => self.organization(organization::Command::Reactivate, request).await,
        }
    }

    async fn port_call(&self, number: usize, step: &CallStep, request: &Request, now: Timestamp) -> Result<(), Error> {
        let call = &self.plan.calls[number];
        let command = match step {
            CallStep::Create => {
                let new = &NewPortCall {
                    port: call.port.clone(),
                    vessel: VesselName::new(&call.vessel)?,
                    imo: ImoNumber::new(&call.imo)?,
                    voyage: Some(VoyageNumber::new(&call.voyage)?),
                    reference: None,
                    schedule: call.schedule,
                    agent: self.plan.people[call.agent].user,
                    usage_month: String::new(),
                };
                let id = call.id;
                let work = move |tx: Tx| async move {
                    let usage_month = port_calls::usage_month(&tx).await?;
                    let create = port_call::Command::Create(Box::new(NewPortCall { usage_month, ..new.clone() }));
                    tx.decide_new::<PortCall>(id, &create).await
                };
                return Ok(self.executor.transact(request, work).await.map(drop)?);
            }
            CallStep::Reschedule(schedule) => {
                port_call::Command::Reschedule { eta: Some(schedule.eta), etd: Some(schedule.etd) }
            }
            CallStep::Reach(to) => port_call::Command::ChangeStatus { to: *to, occurred_at: None, remark: None, now },
            CallStep::TakeBack(status) => port_call::Command::RevertStatus { status: *status },
            CallStep::Cancel(remark) => {
                let remark = Some(Remark::new(remark)?);
                port_call::Command::ChangeStatus { to: Status::Canceled, occurred_at: None, remark, now }
            }
        };
        self.execute::<PortCall>(call.id, command, request).await
    }

    async fn order(
        &self,
        order: ServiceOrderId,
        step: &OrderStep,
        request: &Request,
        now: Timestamp,
    ) -> Result<(), Error> {
        let command = match step {
            OrderStep::Create { call, service, requested_at, euros } => {
                let port_call = self.plan.calls[*call].id;
                let price =
                    Price::new(&format!("{euros}.00"), "EUR").map_err(|error| Error::Text(format!("{error:?}")))?;
                let (details, price) = (Details::new("As usual; please confirm by mail")?, Some(price));
                let (service, requested_at) = (*service, *requested_at);
                let create = NewServiceOrder { port_call, service, details, requested_at, price };
                let create = &service_order::Command::Create(Box::new(create));
                let work = move |tx: Tx| async move {
                    tx.decide_new::<ServiceOrder>(order, create).await?;
                    tx.decide::<PortCall>(port_call, &port_call::Command::AddOrder { order }).await
                };
                return Ok(self.executor.transact(request, work).await.map(drop)?);
            }
            OrderStep::Assign(vendor) => service_order::Command::Assign { vendor: *vendor, now },
            OrderStep::Answer(answer) => {
                service_order::Command::Answer { answer: *answer, by: AnsweredBy::Vendor, remark: None }
            }
            OrderStep::Start => service_order::Command::Start,
        };
        self.execute::<ServiceOrder>(order, command, request).await
    }

    async fn ticket(
        &self,
        ticket: TicketId,
        step: &TicketStep,
        by: By,
        request: &Request,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (user, side) = match by {
            By::Person(it) => (self.plan.people[it].user, Side::Organization),
            By::Staff | By::Anonymous | By::System => (self.staff[self.done % self.staff.len()], Side::Staff),
        };
        let by = Author { user, side };
        let command = match step {
            TicketStep::Open { kind, subject, text } => {
                let numbers = TicketNumbersId::from(self.plan.organization);
                let (kind, subject, text) = (*kind, &TicketSubject::new(subject)?, &TicketText::new(text)?);
                let work = move |tx: Tx| async move {
                    let number = tx.read::<TicketNumbers>(numbers).await?.next();
                    let (subject, text) = (subject.clone(), text.clone());
                    tx.decide::<Ticket>(ticket, &ticket::Command::Open { number, kind, subject, text, by }).await?;
                    tx.decide::<TicketNumbers>(numbers, &ticket_number::Command::Take { ticket }).await
                };
                return Ok(self.executor.transact(request, work).await.map(drop)?);
            }
            TicketStep::Reply { reply, text } => {
                ticket::Command::Reply { reply: *reply, text: TicketText::new(text)?, by, now }
            }
            TicketStep::Escalate(reason) => {
                let (organization, reason) = (self.plan.organization, &Reason::new(reason)?);
                let work = move |tx: Tx| async move {
                    let period = SignedDuration::from_hours(RESPONSE_HOURS.into());
                    let response_due_at = response_due_at(&tx, organization, period).await?;
                    let escalate = ticket::Command::Escalate { reason: reason.clone(), by, response_due_at };
                    tx.decide::<Ticket>(ticket, &escalate).await
                };
                return Ok(self.executor.transact(request, work).await.map(drop)?);
            }
            TicketStep::Resolve => ticket::Command::Resolve { by, now },
        };
        self.execute::<Ticket>(ticket, command, request).await
    }

    async fn execute<A: Registered>(&self, id: A::Id, command: A::Command, request: &Request) -> Result<(), Error> {
        Ok(self.executor.execute::<A>(id, command, request).await.map(drop)?)
    }

    async fn user(&self, it: usize, command: user::Command, request: &Request) -> Result<(), Error> {
        self.execute::<User>(self.plan.people[it].user, command, request).await
    }

    async fn organization(&self, command: organization::Command, request: &Request) -> Result<(), Error> {
        self.execute::<Organization>(self.plan.organization, command, request).await
    }

    fn invitation(&self, person: &Person, at: Timestamp) -> Result<user::Command, Error> {
        Ok(user::Command::Invite {
            organization: self.plan.organization,
            user: person.user,
            name: PersonName::new(&person.name)?,
            email: EmailAddress::new(&person.email)?,
            role: person.role,
            permissions: person.role.ceiling(),
            expires_at: at + INVITATION,
        })
    }

    async fn create(&mut self, request: &Request, at: Timestamp) -> Result<(), Error> {
        let Plan { organization, name, domain, people, .. } = &self.plan;
        let (name, domain) = (OrganizationName::new(name)?, DomainName::new(domain)?);
        let create = &organization::Command::Create { name, domain, trial_ends_at: Some(at + schedule::TRIAL) };
        let (organization, admin, invite) = (*organization, people[0].user, &self.invitation(&people[0], at)?);
        let work = move |tx: Tx| async move {
            tx.decide_new::<Organization>(organization, create).await?;
            subscriptions::start_trial(&tx, organization, at + schedule::TRIAL).await?;
            tx.decide_new::<User>(admin, invite).await
        };
        let outcome = self.executor.transact(request, work).await?;
        self.follow(outcome).await
    }

    /// The organization is deactivated, and its subscription ends with it.
    async fn close(&mut self, request: &Request, reason: &str) -> Result<(), Error> {
        let organization = self.plan.organization;
        let deactivate = &organization::Command::Deactivate { organization, reason: Reason::new(reason)? };
        let work = move |tx: Tx| async move {
            tx.decide::<Organization>(organization, deactivate).await?;
            let end = SubscriptionCommand::End { why: EndReason::Deactivated, now: tx.now() };
            tx.decide::<Subscription>(organization.into(), &end).await
        };
        let outcome = self.executor.transact(request, work).await?;
        self.follow(outcome).await
    }

    async fn set_up(&self, request: &Request, at: Timestamp) -> Result<(), Error> {
        let time_zone = Some(self.plan.zone.to_owned());
        let hours = BusinessHoursPatch { time_zone, ..BusinessHoursPatch::default() };
        self.organization(organization::Command::ChangeBusinessHours(hours), request).await?;
        let colours = ["#0b5d7a", "#7a3b0b", "#2f6b2f", "#5b2f7a"];
        let colour = colours[self.plan.people.len() % colours.len()].parse::<Colour>();
        let branding = BrandingPatch { primary_colour: colour.ok().map(Some), ..BrandingPatch::default() };
        self.organization(organization::Command::ChangeBranding(branding), request).await?;
        tax::make_account(&self.executor, &self.plan, request, at).await
    }

    async fn accept(&self, user: UserId, request: &Request, now: Timestamp) -> Result<(), Error> {
        let secret = &Passwords::shared(&self.password, self.plan.organization, user);
        let work = move |tx: Tx| async move {
            tx.secret(secret.clone());
            tx.decide::<User>(user, &user::Command::Accept { invitation: 1, now }).await
        };
        Ok(self.executor.transact(request, work).await.map(drop)?)
    }

    /// Starts a session, without the check of the password that precedes it.
    async fn sign_in(&self, user: UserId, session: SessionId, request: &Request, at: Timestamp) -> Result<(), Error> {
        let organization = self.plan.organization;
        let (_, secret) =
            Access::session_secret(organization, session).map_err(|error| Error::Session(error.to_string()))?;
        let request = Request { meta: Meta { session: Some(session), ..request.meta.clone() }, ..request.clone() };
        let secret = &secret;
        let work = move |tx: Tx| async move {
            let state = tx.read::<User>(user).await?;
            let of_organization = tx.read::<Organization>(organization).await?.session_epoch();
            let session_epoch = SessionEpoch { user: state.session_epoch(), organization: of_organization };
            tx.secret(secret.clone());
            let (method, expires_at) = (Method::Password, at + SESSION);
            let start = session::Command::Start { user, method, started_at: at, expires_at, session_epoch };
            tx.decide_new::<Session>(session, &start).await
        };
        Ok(self.executor.transact(&request, work).await.map(drop)?)
    }
}

/// From the browser of a person.
fn from(person: &Person, actor: Actor) -> Meta {
    Meta {
        ip: Some(Personal::trace(person.user, person.ip.as_str())),
        user_agent: Some(Personal::trace(person.user, person.user_agent)),
        ..Meta::by(actor)
    }
}

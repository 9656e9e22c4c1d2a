//! Mails about service orders.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    Aggregate, OrganizationId,
    identity::{Capability, Organization, User},
    operations::{
        PortCall, ServiceOrder, Vendor,
        service_order::{Answer, AnsweredBy, Event, ServiceOrderId, Status},
    },
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, stream_of},
    ledger::Database,
    log::Version,
    reactors::TaskError,
    tasks::Task,
    vault::Vault,
};

use super::texts::{Message, Order, letter};
use crate::{
    identity::links::{Link, Links, Purpose},
    mail::{
        Draft, Mails,
        language::{Language, Reader, unlinked},
    },
};

/// Events per read of an order's stream.
const PAGE: usize = 1_000;

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// A vendor is asked to provide a service.
        Request = "service_order_request",
        /// A vendor who was asked learns that the order was canceled, or given to another one.
        Withdrawal = "service_order_withdrawal",
        /// Whoever is responsible for the port call learns what the vendor answered.
        Answer = "service_order_answer",
    }
}

/// Mails about service orders.
pub(super) struct ServiceOrderMails {
    pub(super) database: Arc<dyn Database>,
    pub(super) vault: Arc<Vault>,
    pub(super) executor: Arc<Executor>,
    pub(super) links: Links,
}

/// A service order, now and before the event of the mail.
#[derive(Default)]
struct Replayed {
    now: ServiceOrder,
    before: ServiceOrder,
    /// That event; `None` if the stream has no event of this version.
    event: Option<Event>,
}

#[async_trait]
impl Mails for ServiceOrderMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Assigned { .. } => vec![Kind::Request, Kind::Withdrawal],
            Event::Canceled { .. } => vec![Kind::Withdrawal],
            Event::Accepted { by, .. } | Event::Declined { by, .. } | Event::Completed { by, .. } => match by {
                AnsweredBy::Vendor => vec![Kind::Answer],
                AnsweredBy::User => Vec::new(),
            },
            Event::Created { .. } | Event::Amended { .. } | Event::Started {} => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let home = task.organization;
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        if !organization.status().is_none_or(|status| status.allows(Capability::Use)) {
            return Ok(Vec::new());
        }
        let id = ServiceOrderId(task.subject);
        let replayed = self.replayed(home, id, Version(task.number)).await?;
        let draft = match kind {
            Kind::Request => self.request(&organization, (home, id), &replayed, now).await?,
            Kind::Withdrawal => self.withdrawal(&organization, home, &replayed).await?,
            Kind::Answer => self.answer(&organization, home, &replayed).await?,
        };
        Ok(draft.into_iter().collect())
    }
}

impl ServiceOrderMails {
    /// Replays an order, with the event that led to this version.
    async fn replayed(
        &self,
        organization: OrganizationId,
        order: ServiceOrderId,
        at: Version,
    ) -> Result<Replayed, TaskError> {
        let stream = stream_of::<ServiceOrder>(organization, order)?;
        let (mut replayed, mut after) = (Replayed::default(), Version::NONE);
        loop {
            let events = self.database.read_stream(&stream, after, PAGE).await?;
            let Some(end) = events.last() else { return Ok(replayed) };
            after = end.version;
            for (event, domain_event) in events.iter().zip(self.vault.domain_events(&events).await?) {
                let domain_event: Event =
                    domain_event.try_into().map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                if event.version == at {
                    (replayed.before, replayed.event) = (replayed.now.clone(), Some(domain_event.clone()));
                }
                replayed.now.evolve(&domain_event);
            }
        }
    }

    /// The request to a vendor, unless another one follows it or the order is not open any more.
    async fn request(
        &self,
        organization: &Organization,
        (home, order): (OrganizationId, ServiceOrderId),
        Replayed { now: state, event, .. }: &Replayed,
        now: Timestamp,
    ) -> Result<Option<Draft>, TaskError> {
        let Some(Event::Assigned { vendor, request, expires_at, .. }) = event else { return Ok(None) };
        let is_current = state.status() == Some(Status::Assigned) && state.requests() == *request && now < *expires_at;
        if !is_current {
            return Ok(None);
        }
        let (purpose, subject, generation) = (Purpose::VendorResponse, order.0, *request);
        // In whole seconds, as links have it.
        let expires_at = Timestamp::from_second(expires_at.as_second()).unwrap_or(*expires_at);
        let address = self.links.address(&Link { purpose, organization: home, subject, generation, expires_at });
        let (recipient, _) = self.executor.load::<Vendor>(home, *vendor).await?;
        let message = Message::Request { address: &address, expires_at };
        self.to_vendor(organization, home, state, &recipient, &message).await
    }

    /// What a vendor learns who was asked, and counts on an order that was canceled.
    async fn withdrawal(
        &self,
        organization: &Organization,
        home: OrganizationId,
        Replayed { before, event, .. }: &Replayed,
    ) -> Result<Option<Draft>, TaskError> {
        let bound = before.vendor().filter(|_| before.status().is_some_and(Status::binds_vendor));
        let (Some(vendor), Some(event)) = (bound, event) else { return Ok(None) };
        let remark = match event {
            Event::Canceled { remark, .. } => remark.as_deref(),
            Event::Assigned { vendor: next, .. } if *next != vendor => None,
            Event::Created { .. } | Event::Amended { .. } | Event::Assigned { .. } | Event::Accepted { .. } => {
                return Ok(None);
            }
            Event::Declined { .. } | Event::Started {} | Event::Completed { .. } => return Ok(None),
        };
        let (recipient, _) = self.executor.load::<Vendor>(home, vendor).await?;
        self.to_vendor(organization, home, before, &recipient, &Message::Withdrawal { remark }).await
    }

    async fn to_vendor(
        &self,
        organization: &Organization,
        home: OrganizationId,
        order: &ServiceOrder,
        vendor: &Vendor,
        message: &Message<'_>,
    ) -> Result<Option<Draft>, TaskError> {
        let Some((name, to)) = vendor.name().zip(vendor.order_email()) else { return Ok(None) };
        let locale = organization.settings().map(|settings| settings.locale.to_string());
        let language = Language::nearest(locale.as_deref());
        let letter = self.letter(organization, home, order, (language, &unlinked(name)), message).await?;
        Ok(letter.map(|letter| Draft::new((name, to), language, letter)))
    }

    /// What whoever is responsible for the port call learns.
    async fn answer(
        &self,
        organization: &Organization,
        home: OrganizationId,
        Replayed { before, event, .. }: &Replayed,
    ) -> Result<Option<Draft>, TaskError> {
        let (answer, remark) = match event {
            Some(Event::Accepted { remark, .. }) => (Answer::Accepted, remark),
            Some(Event::Declined { remark, .. }) => (Answer::Declined, remark),
            Some(Event::Completed { remark, .. }) => (Answer::Completed, remark),
            Some(Event::Created { .. } | Event::Amended { .. } | Event::Assigned { .. })
            | Some(Event::Started {} | Event::Canceled { .. })
            | None => return Ok(None),
        };
        let Some((vendor, call)) = before.vendor().zip(before.port_call()) else { return Ok(None) };
        let (port_call, _) = self.executor.load::<PortCall>(home, call).await?;
        let Some(agent) = port_call.agent() else { return Ok(None) };
        let (user, _) = self.executor.load::<User>(home, agent).await?;
        let person = user.person().filter(|_| user.rights().is_some());
        let Some((name, to)) = person.and_then(|(name, email)| name.value().zip(email.value())) else {
            return Ok(None);
        };
        let (recorded, _) = self.executor.load::<Vendor>(home, vendor).await?;
        let vendor = unlinked(recorded.name().unwrap_or("The vendor"));
        let settings = organization.settings();
        let locale = user.locale().or(settings.map(|settings| &settings.locale)).map(ToString::to_string);
        let language = Language::nearest(locale.as_deref());
        let address = self.links.page(&format!("/operations/port-calls/{call}"));
        let message = Message::Answer { vendor: &vendor, answer, remark: remark.as_deref(), address: &address };
        let letter = self.letter(organization, home, before, (language, name), &message).await?;
        Ok(letter.map(|letter| Draft::new((name, to), language, letter)))
    }

    /// The text of a mail, with the times of the port; `None` if the port call does not exist any more.
    async fn letter(
        &self,
        organization: &Organization,
        home: OrganizationId,
        order: &ServiceOrder,
        (language, name): (Language, &str),
        message: &Message<'_>,
    ) -> Result<Option<crate::mail::letter::Letter>, TaskError> {
        let Some((call, content)) = order.port_call().zip(order.content()) else { return Ok(None) };
        let (port_call, _) = self.executor.load::<PortCall>(home, call).await?;
        let Some(known) = port_call.recorded() else { return Ok(None) };
        let (vessel, port, time_zone) =
            (unlinked(&known.vessel.name), &known.port.name, known.port.time_zone.to_string());
        let order = Order { vessel: &vessel, imo: &known.vessel.imo, port, schedule: known.schedule, content };
        let organization = unlinked(organization.shown_name().unwrap_or("PortTask"));
        let reader = Reader { name, organization: &organization, time_zone: &time_zone };
        Ok(Some(letter(language, message, &order, &reader)))
    }
}

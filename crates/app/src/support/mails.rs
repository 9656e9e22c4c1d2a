//! The mails of the module: to whoever asks in a ticket, and to the super admins. They contain the number of the ticket and
//! a link, and nothing that was written in it.
//!
//! | file | what it owns |
//! |---|---|
//! | `english.rs` | their text |

mod english;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{Capability, Organization, User, user},
    support::{
        Ticket,
        ticket::{Event, Side, Status, TicketId, TicketKind},
    },
};
use porttask_runtime::{execute::Executor, reactors::TaskError, tasks::Task};

use crate::{
    identity::{accounts::Accounts, links::Links},
    mail::{
        AnyMails, Draft, Mails, boxed,
        language::{Language, Reader, unlinked},
        letter::Letter,
    },
};

/// The name shown where no organization is concerned.
const PLATFORM_NAME: &str = "PortTask";

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// To the super admins: a ticket was opened.
        TicketOpened = "ticket_opened",
        /// To whoever asks: staff replied.
        TicketReply = "ticket_reply",
        /// To the assignee: the organization replied.
        TicketOrganizationReply = "ticket_organization_reply",
        /// To the super admins: a ticket was escalated.
        TicketEscalated = "ticket_escalated",
        /// To the super admins: nobody has replied to an escalated ticket in time.
        TicketResponseMissed = "ticket_response_missed",
        /// To whoever asks: it was resolved.
        TicketResolved = "ticket_resolved",
        /// To the assignee: the organization reopened it.
        TicketReopened = "ticket_reopened",
    }
}

/// The content of a mail, independent of language.
struct Message<'a> {
    kind: Kind,
    number: u64,
    about: TicketKind,
    /// By when staff has to reply, or had to, to an escalated ticket.
    response_due_at: Option<Timestamp>,
    /// The page of the ticket.
    address: &'a str,
}

/// All mails of the module.
pub fn mails(executor: Arc<Executor>, links: Links, accounts: Accounts) -> Vec<Box<dyn AnyMails>> {
    vec![boxed(TicketMails { executor, links, accounts })]
}

struct TicketMails {
    executor: Arc<Executor>,
    links: Links,
    accounts: Accounts,
}

#[async_trait]
impl Mails for TicketMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Opened { side: Side::Organization, .. } => vec![Kind::TicketOpened],
            Event::Replied { side: Side::Staff, .. } => vec![Kind::TicketReply],
            Event::Replied { side: Side::Organization, .. } => vec![Kind::TicketOrganizationReply],
            Event::Escalated { .. } => vec![Kind::TicketEscalated],
            Event::ResponseMissed { .. } => vec![Kind::TicketResponseMissed],
            Event::Resolved { .. } => vec![Kind::TicketResolved],
            Event::Reopened { side: Side::Organization, .. } => vec![Kind::TicketReopened],
            Event::Opened { side: Side::Staff, .. }
            | Event::Assigned { .. }
            | Event::HandedOver { .. }
            | Event::Reopened { side: Side::Staff, .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, _: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, TicketId(task.subject));
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let is_allowed = match organization.status() {
            Some(status) => status.allows(Capability::Use),
            None => home == OrganizationId::PLATFORM,
        };
        let (ticket, _) = self.executor.load::<Ticket>(home, id).await?;
        let (Some(number), Some(about)) = (ticket.number(), ticket.kind()) else { return Ok(Vec::new()) };
        if !is_allowed {
            return Ok(Vec::new());
        }
        let escalation = ticket.open_escalation();
        let still_applies = match kind {
            Kind::TicketOpened | Kind::TicketReply | Kind::TicketOrganizationReply => true,
            Kind::TicketEscalated | Kind::TicketResponseMissed => escalation.is_some(),
            // Whoever resolves their own ticket knows it.
            Kind::TicketResolved => {
                ticket.status() == Some(Status::Resolved) && ticket.resolved_by() != ticket.requester()
            }
            Kind::TicketReopened => ticket.status() == Some(Status::Open),
        };
        if !still_applies {
            return Ok(Vec::new());
        }
        let response_due_at = escalation.map(|escalation| escalation.response_due_at);
        let page = match kind.is_for_staff() {
            true => format!("admin/organizations/{home}/tickets/{id}"),
            false => format!("settings/tickets/{id}"),
        };
        let address = self.links.page(&page);
        let message = Message { kind, number, about, response_due_at, address: &address };
        let readers = match kind.is_for_staff() {
            true => self.staff(kind, &ticket).await?,
            false => self.requester(home, &ticket).into_iter().collect(),
        };
        let mut drafts = Vec::with_capacity(readers.len());
        for reader in readers {
            drafts.extend(self.draft(&message, &organization, reader).await?);
        }
        Ok(drafts)
    }
}

impl Kind {
    const fn is_for_staff(self) -> bool {
        match self {
            Self::TicketOpened
            | Self::TicketOrganizationReply
            | Self::TicketEscalated
            | Self::TicketResponseMissed
            | Self::TicketReopened => true,
            Self::TicketReply | Self::TicketResolved => false,
        }
    }

    /// Whether it is for the assignee alone, if there is one.
    const fn is_for_assignee(self) -> bool {
        match self {
            Self::TicketOrganizationReply | Self::TicketReopened => true,
            Self::TicketOpened
            | Self::TicketReply
            | Self::TicketEscalated
            | Self::TicketResponseMissed
            | Self::TicketResolved => false,
        }
    }
}

impl TicketMails {
    /// All super admins; of what is for the assignee, only this one, unless they are no super admin any more.
    async fn staff(&self, kind: Kind, ticket: &Ticket) -> Result<Vec<(OrganizationId, UserId)>, TaskError> {
        let mut staff = self.accounts.super_admins().await?;
        if let Some(assignee) = ticket.assignee().filter(|user| kind.is_for_assignee() && staff.contains(user)) {
            staff = vec![assignee];
        }
        Ok(staff.into_iter().map(|user| (OrganizationId::PLATFORM, user)).collect())
    }

    /// Whoever asks for the organization of a ticket.
    fn requester(&self, home: OrganizationId, ticket: &Ticket) -> Option<(OrganizationId, UserId)> {
        let requester = ticket.requester().filter(|author| author.side == Side::Organization)?;
        Some((home, requester.user))
    }

    /// The mail to a reader; `None` if they can no longer sign in, or were erased.
    async fn draft(
        &self,
        message: &Message<'_>,
        organization: &Organization,
        (home, user): (OrganizationId, UserId),
    ) -> Result<Option<Draft>, TaskError> {
        let (account, _) = self.executor.load::<User>(home, user).await?;
        if account.status() != Some(user::Status::Active) {
            return Ok(None);
        }
        let Some((name, to)) = account.person() else { return Ok(None) };
        let (Some(name), Some(to)) = (name.value(), to.value()) else { return Ok(None) };
        let settings = organization.settings();
        let locale = account.locale().or(settings.map(|settings| &settings.locale)).map(ToString::to_string);
        let language = Language::nearest(locale.as_deref());
        let shown_name = unlinked(organization.shown_name().unwrap_or(PLATFORM_NAME));
        let time_zone = settings.map_or("UTC", |settings| &settings.business_hours.time_zone);
        let letter = letter(language, message, &Reader { name, organization: &shown_name, time_zone });
        Ok(Some(Draft::new((name, to), language, letter)))
    }
}

/// A mail in a language.
fn letter(language: Language, message: &Message<'_>, reader: &Reader<'_>) -> Letter {
    match language {
        Language::English => english::letter(message, reader),
    }
}

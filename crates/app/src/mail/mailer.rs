//! The mail reactor: each module defines which events trigger which mails, and composes them.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{DomainEvent, OrganizationId, Source, TextEnum, uuid_of};
use porttask_runtime::{
    clock::Clock,
    log::RecordedEvent,
    ports::mail::{Attachment, Mail, MailTransport},
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{NewTask, Task, TaskId},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{language::Language, letter::Letter};

/// The mails that events of a source trigger. A task's subject is the aggregate of the event, its number the version of
/// the event.
#[async_trait]
pub trait Mails: Send + Sync + 'static {
    /// The events to consider.
    type Source: Source;
    /// The kinds of mail; their string forms are stored with tasks.
    type Kind: TextEnum + Send;

    /// The mails that an event of an organization triggers, in the order of sending.
    fn kinds(event: <Self::Source as Source>::Event<'_>, organization: OrganizationId) -> Vec<Self::Kind>;

    /// The mails of a task, to each recipient one; none if they no longer apply.
    ///
    /// # Errors
    /// Why it cannot be composed now. Must not contain personal data.
    async fn compose(&self, kind: Self::Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError>;
}

/// A composed mail.
pub struct Draft {
    /// The name of the recipient.
    pub to_name: String,
    /// The email address of the recipient.
    pub to_address: String,
    /// The language of the mail: a BCP 47 tag.
    pub language: &'static str,
    /// The text of the mail.
    pub letter: Letter,
    /// The attached files.
    pub attachments: Vec<Attachment>,
}

impl Draft {
    /// A mail without attachments.
    pub fn new((to_name, to_address): (&str, &str), language: Language, letter: Letter) -> Self {
        let (to_name, to_address) = (to_name.to_owned(), to_address.to_owned());
        Self { to_name, to_address, language: language.tag(), letter, attachments: Vec::new() }
    }
}

/// The mails of a module, with the source type erased.
#[async_trait]
pub trait AnyMails: Send + Sync {
    /// Whether events of this category may trigger one of them.
    fn covers(&self, category: &str) -> bool;

    /// Whether it composes this kind of mail.
    fn has(&self, kind: &str) -> bool;

    /// The mails that an event of an organization triggers, in the order of sending.
    fn kinds(&self, event: &DomainEvent, organization: OrganizationId) -> Vec<&'static str>;

    /// The mails of a task, to each recipient one; none if they no longer apply.
    ///
    /// # Errors
    /// Why it cannot be composed now.
    async fn compose(&self, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError>;
}

struct Boxed<M>(M);

/// Boxes the mails of any source.
pub fn boxed<M: Mails>(mails: M) -> Box<dyn AnyMails> {
    Box::new(Boxed(mails))
}

#[async_trait]
impl<M: Mails> AnyMails for Boxed<M> {
    fn covers(&self, category: &str) -> bool {
        M::Source::covers(category)
    }

    fn has(&self, kind: &str) -> bool {
        M::Kind::from_text(kind).is_some()
    }

    fn kinds(&self, event: &DomainEvent, organization: OrganizationId) -> Vec<&'static str> {
        let kinds = M::Source::of(event).map(|event| M::kinds(event, organization)).unwrap_or_default();
        kinds.into_iter().map(|kind| kind.as_str()).collect()
    }

    async fn compose(&self, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        match M::Kind::from_text(&task.kind) {
            Some(kind) => self.0.compose(kind, task, now).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Sends the mails that modules compose.
pub struct Mailer {
    mails: Vec<Box<dyn AnyMails>>,
    transport: Arc<dyn MailTransport>,
    clock: Arc<Clock>,
}

impl Mailer {
    /// The name of the reactor.
    pub const NAME: &'static str = "mail";

    /// Sends these mails with this transport.
    pub fn new(mails: Vec<Box<dyn AnyMails>>, transport: Arc<dyn MailTransport>, clock: Arc<Clock>) -> Self {
        Self { mails, transport, clock }
    }
}

#[async_trait]
impl Reactor for Mailer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn covers(&self, category: &str) -> bool {
        self.mails.iter().any(|mails| mails.covers(category))
    }

    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask> {
        let Some(subject) = uuid_of(recorded.stream.name.id()) else { return Vec::new() };
        let kinds = self.mails.iter().flat_map(|mails| mails.kinds(event, recorded.stream.organization));
        let task = |kind| NewTask {
            id: TaskId::generate(),
            organization: recorded.stream.organization,
            kind,
            subject,
            number: recorded.version.0,
            target: subject,
            due_at: None,
        };
        kinds.map(task).collect()
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let Some(mails) = self.mails.iter().find(|mails| mails.has(&task.kind)) else {
            // Recorded by a newer version of the program, which will run again.
            return Err(TaskError::Temporary(format!("this version does not know the mail kind {:?}", task.kind)));
        };
        let drafts = mails.compose(task, self.clock.now()).await?;
        if drafts.is_empty() {
            return Ok(TaskOutcome::Skipped);
        }
        let is_one = drafts.len() == 1;
        let mut failed = Vec::new();
        for draft in drafts {
            let id = if is_one { task.id.0 } else { id_for(task, &draft.to_address) };
            // One that fails holds up no other.
            failed.extend(self.send(id, draft).await.err());
        }
        // A retry repeats all of them under the same ids. It helps if one of the failures is transient.
        let is_temporary = |error: &TaskError| matches!(error, TaskError::Temporary(_));
        let error = failed.iter().position(is_temporary).or((!failed.is_empty()).then_some(0));
        error.map_or(Ok(TaskOutcome::Done), |index| Err(failed.swap_remove(index)))
    }
}

impl Mailer {
    async fn send(&self, id: Uuid, draft: Draft) -> Result<(), TaskError> {
        let Draft { to_name, to_address, language, letter, attachments } = draft;
        let (text, html) = (letter.text(), letter.html(language));
        let mail = Mail { id, to_name, to_address, subject: letter.subject, text, html, attachments };
        Ok(self.transport.send(&mail).await?)
    }
}

/// The id of the mail of a task to one of several recipients: the same for every attempt.
fn id_for(task: &Task, address: &str) -> Uuid {
    let hash = Sha256::new().chain_update(task.id.0.as_bytes()).chain_update(address).finalize();
    Uuid::new_v8(hash.first_chunk().copied().unwrap_or_default())
}

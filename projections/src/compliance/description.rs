//! Human-readable audit log entries: what happened, in a sentence and field by field.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use porttask_domain::{
    DomainEvent, Undecodable, category_of, compliance::denial as denied, id_prefix, identity::sign_in,
    support::ticket_number, uuid_of,
};
use serde::Serialize;
use uuid::Uuid;

use super::{denial, export, staff_access};
use crate::{
    audit_text::{DescriptionSink, DisplayValue},
    identity::{self, account_reminder, api_key, organization, session, user, user_import},
    normalized, support,
};

/// Event types have fewer versions than this.
const MAX_VERSION: u32 = 9;

/// The description of an event. The actor is in the event's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The event type without its version: `user.role_changed`.
    pub action: String,
    /// The target of the event.
    pub target: Target,
    /// A sentence that starts with its verb: `changed the role from Agent to Admin`.
    pub summary: String,
    /// The changed fields.
    pub changes: Vec<FieldChange>,
}

/// The target of an event. Displayed as `user usr_01h455vb4pex5vsknk084sn02q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The category of its aggregate, such as `user` or `api_key`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// A changed field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: &'static str,
    /// The old value; `None` if it was empty, or the event does not record it.
    pub from: Option<String>,
    /// The new value; `None` if it is empty.
    pub to: Option<String>,
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The id of an entry's target, if it is not its aggregate: the user of a failed sign-in, the ticket that got a number,
/// what a denied request was about.
fn other_target(event: &DomainEvent) -> Option<(Uuid, Target)> {
    if let DomainEvent::FailedSignIns(sign_in::Event::Failed { user, .. }) = event {
        return Some((user.0, Target { kind: "user", id: user.to_string() }));
    }
    if let DomainEvent::TicketNumbers(ticket_number::Event::Taken { ticket, .. }) = event {
        return Some((ticket.0, Target { kind: "ticket", id: ticket.to_string() }));
    }
    if let DomainEvent::LicenceSigningKeys(event) = event {
        let key = event.key();
        return Some((key.0, Target { kind: "licence_signing_key", id: key.to_string() }));
    }
    if let DomainEvent::Denials(denied::Event::Recorded { target: Some(id), .. }) = event {
        return Some((uuid_of(id)?, Target { kind: category_of(id)?, id: id.clone() }));
    }
    None
}

/// The UUID of an entry's target.
pub(super) fn target_of(event: &DomainEvent, subject: Uuid) -> Uuid {
    other_target(event).map_or(subject, |(id, _)| id)
}

impl Target {
    /// The target of an event with this subject.
    pub fn of(event: &DomainEvent, subject: Uuid) -> Self {
        other_target(event).map_or_else(
            || {
                let (kind, id) = event.target(subject);
                Self { kind, id }
            },
            |(_, target)| target,
        )
    }
}

/// Dispatches to the module of the event's aggregate.
fn describe_event(event: &DomainEvent, sink: &mut dyn DescriptionSink) {
    match event {
        DomainEvent::Organization(event) => organization::describe(event, sink),
        DomainEvent::User(event) => user::describe(event, sink),
        DomainEvent::Session(event) => session::describe(event, sink),
        DomainEvent::ApiKey(event) => api_key::describe(event, sink),
        DomainEvent::FailedSignIns(event) => identity::sign_in::describe(event, sink),
        DomainEvent::AccountReminder(event) => account_reminder::describe(event, sink),
        DomainEvent::UserImport(event) => user_import::describe(event, sink),
        DomainEvent::Denials(event) => denial::describe(event, sink),
        DomainEvent::StaffAccess(event) => staff_access::describe(event, sink),
        DomainEvent::Export(event) => export::describe(event, sink),
        DomainEvent::PortCall(event) => crate::operations::port_call::describe(event, sink),
        DomainEvent::ServiceOrder(event) => crate::operations::service_order::describe(event, sink),
        DomainEvent::Vendor(event) => crate::operations::vendor::describe(event, sink),
        DomainEvent::Document(event) => crate::operations::document::describe(event, sink),
        DomainEvent::Ticket(event) => support::ticket::describe(event, sink),
        DomainEvent::TicketNumbers(event) => support::ticket_number::describe(event, sink),
        DomainEvent::TicketNote(event) => support::ticket_note::describe(event, sink),
        DomainEvent::Plan(event) => crate::billing::plan::describe(event, sink),
        DomainEvent::Coupon(event) => crate::billing::coupon::describe(event, sink),
        DomainEvent::Subscription(event) => crate::billing::subscription::describe(event, sink),
        DomainEvent::Seller(event) => crate::billing::seller::describe(event, sink),
        DomainEvent::BillingAccount(event) => crate::billing::billing_account::describe(event, sink),
        DomainEvent::UsageMonth(event) => crate::billing::usage::describe(event, sink),
        DomainEvent::Invoice(event) => crate::billing::invoice::describe(event, sink),
        DomainEvent::CreditNote(event) => crate::billing::credit_note::describe(event, sink),
        DomainEvent::Series(event) => crate::billing::series::describe(event, sink),
        DomainEvent::PaymentMethods(event) => crate::billing::payment_method::describe(event, sink),
        DomainEvent::Payment(event) => crate::billing::payment::describe(event, sink),
        DomainEvent::Licence(event) => crate::billing::licence::describe(event, sink),
        DomainEvent::LicenceSigningKeys(event) => crate::billing::licence::describe_key(event, sink),
        DomainEvent::Task(event) => crate::platform::task::describe(event, sink),
    }
}

/// Describes an event, given its versioned name and the UUID of its aggregate. Personal values appear decrypted; erased
/// ones read `[erased]`.
pub fn describe(event_type: &str, subject: Uuid, event: &DomainEvent) -> Description {
    let mut builder = DescriptionBuilder::default();
    describe_event(event, &mut builder);
    let DescriptionBuilder { summary, changes } = builder;
    Description { action: action(event_type).to_owned(), target: Target::of(event, subject), summary, changes }
}

/// The event type without its version: `user.role_changed`.
pub fn action(event_type: &str) -> &str {
    event_type.rsplit_once(".v").map_or(event_type, |(name, _)| name)
}

/// Whether any event has this action, or it is the category of events.
pub fn is_known_action(action: &str) -> bool {
    let is_type = |name: &str| !matches!(DomainEvent::decode(name, b"null"), Err(Undecodable::UnknownType(_)));
    id_prefix(action).is_some() || (1..=MAX_VERSION).any(|version| is_type(&format!("{action}.v{version}")))
}

/// The normalized words of an entry: those of its sentence, of the changed values, and of its action. Nothing personal,
/// so that an erasure need not change it; no instants or ids, which have filters. What staff did while impersonating a
/// user is found with `impersonated`.
pub(super) fn searched_text(event_type: &str, event: &DomainEvent, is_impersonated: bool) -> String {
    let mut text = SearchedText(String::with_capacity(64));
    describe_event(event, &mut text);
    action(event_type).split('.').for_each(|word| text.add_if_missing(word));
    if is_impersonated {
        text.add_if_missing("impersonated");
    }
    text.0
}

/// Builds a description.
#[derive(Default)]
struct DescriptionBuilder {
    summary: String,
    changes: Vec<FieldChange>,
}

impl DescriptionSink for DescriptionBuilder {
    fn words(&mut self, words: &'static str) {
        self.summary.push_str(words);
    }

    fn value(&mut self, value: DisplayValue<'_>) {
        self.summary.push_str(&value.to_string());
    }

    fn change(&mut self, field: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>) {
        let text = |value: Option<DisplayValue<'_>>| value.map(|value| value.to_string());
        self.changes.push(FieldChange { field, from: text(from), to: text(to) });
    }
}

/// Collects the words for full-text search.
struct SearchedText(String);

impl SearchedText {
    fn add(&mut self, word: &str) {
        let Self(text) = self;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }

    /// Adds a word unless a word of the text starts with it: the search matches prefixes, so it is already found.
    fn add_if_missing(&mut self, word: &str) {
        let text = self.0.as_bytes();
        if !self.0.match_indices(word).any(|(at, _)| at == 0 || text[at - 1] == b' ') {
            self.add(word);
        }
    }
}

/// A value as normalized text for search; `None` if it is not searchable.
fn sought(value: DisplayValue<'_>) -> Option<Cow<'_, str>> {
    let text = match value {
        DisplayValue::Text(text) if text.contains('\n') => Cow::Owned(text.replace('\n', " ")),
        DisplayValue::Text(text) => Cow::Borrowed(text),
        DisplayValue::Written(value) => Cow::Owned(value.to_string()),
        DisplayValue::Filtered(_) | DisplayValue::Personal(_) => return None,
    };
    let is_folded = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    Some(if is_folded { text } else { Cow::Owned(normalized(&text)) })
}

impl DescriptionSink for SearchedText {
    fn words(&mut self, words: &'static str) {
        // Without the punctuation around values that are left out.
        words.split([' ', ':', ',', '<', '>']).filter(|word| !word.is_empty()).for_each(|word| self.add(word));
    }

    fn value(&mut self, value: DisplayValue<'_>) {
        if let Some(value) = sought(value) {
            self.add(&value);
        }
    }

    fn change(&mut self, _: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>) {
        for value in [from, to].into_iter().flatten().filter_map(sought) {
            self.add_if_missing(&value);
        }
    }
}

#[cfg(test)]
mod tests;

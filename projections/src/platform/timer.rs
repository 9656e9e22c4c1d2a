//! Timers: what becomes due for an aggregate, and when.
//!
//! A timer is a fold of events, so a withdrawn schedule vanishes, a rebuild loses none, and a new kind also exists for
//! what was recorded before it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        invoice, payment,
        subscription::{self, Due},
    },
    identity::user::{self, Event, Link},
    operations::document,
    support::ticket,
};
use uuid::Uuid;

use crate::{Change, Index, ReadModel, Recorded, row, text_columns};

porttask_domain::texts! {
    /// What a timer does.
    pub enum Kind {
        /// Voids an invitation that was not accepted.
        InvitationExpiry = "invitation_expiry",
        /// Voids a change of an email address that was not confirmed.
        AddressChangeExpiry = "address_change_expiry",
        /// Voids a link to reset a password that was not used.
        PasswordResetExpiry = "password_reset_expiry",
        /// Records that staff has not replied to an escalated ticket in time.
        TicketResponse = "ticket_response",
        /// Gives up an upload that was not finished in time.
        UploadExpiry = "upload_expiry",
        /// Reminds of the end of a trial or of a renewal.
        BillingReminder = "billing_reminder",
        /// Ends a trial.
        TrialEnd = "trial_end",
        /// Ends a subscription that stayed read-only.
        ReadOnlyEnd = "read_only_end",
        /// Begins the next period of a subscription.
        Renewal = "renewal",
        /// Ends a usage month inside a yearly period of a subscription.
        UsageMonthEnd = "usage_month_end",
        /// Carries out a scheduled change or cancellation of a subscription.
        ScheduledChange = "scheduled_change",
        /// Ends the wait for the payment of a change.
        ChangeExpiry = "change_expiry",
        /// Issues the invoice of a period or a change of a subscription.
        Billing = "billing",
        /// Carries out the next step to collect an invoice.
        Dunning = "dunning",
        /// Looks up a payment whose outcome is not known, and asks for refunds.
        PaymentCheck = "payment_check",
    }
}

text_columns!(Kind);

porttask_domain::sources! {
    /// The events that set or clear timers.
    pub enum Source {
        User(user::Event),
        Ticket(ticket::Event),
        Document(document::Event),
        Subscription(subscription::Event),
        Invoice(invoice::Event),
        Payment(payment::Event),
    }
}

row! {
    /// The timer of an aggregate: the earliest of what is due for it.
    pub struct Timer {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The aggregate.
            subject: Uuid,
        }
        row {
            /// What is due first.
            kind: Kind,
            /// When it is due.
            due_at: Timestamp,
            /// The last event that changed what is open.
            set_by: Uuid,
            /// The lane in which timers are carried out one by one; null for none.
            lane: Option<String>,
            /// All that is open, as a JSON object from kinds to times.
            open: String,
        }
    }
}

/// What is due next?
pub struct Timers;

impl ReadModel for Timers {
    const NAME: &'static str = "timers";
    const VERSION: u32 = 7;
    const INDEXES: &'static [Index] = &[Index { name: "by_time", columns: &["due_at", "organization", "subject"] }];
    const CROSS_PARTITION_INDEXES: &'static [Index] =
        &[Index { name: "all_by_time", columns: &["due_at", "organization", "subject"] }];
    type Source = Source<'static>;
    type Row = Timer;

    fn project(row: Option<Timer>, event: Source<'_>, recorded: &Recorded) -> Change<Timer> {
        let known = row.as_ref().and_then(|row| serde_json::from_str(&row.open).ok()).unwrap_or_default();
        let mut open: BTreeMap<String, Timestamp> = known;
        let lane = lane(&event, row.as_ref().and_then(|row| row.lane.clone()));
        let changes = match event {
            Source::User(event) => of_user(event),
            Source::Ticket(event) => of_ticket(event),
            Source::Document(event) => of_document(event),
            Source::Subscription(event) => of_subscription(event, recorded.time()),
            Source::Invoice(event) => of_invoice(event),
            Source::Payment(event) => of_payment(event, recorded.time()),
        };
        if changes.is_empty() {
            return Change::Keep;
        }
        for (kind, due_at) in changes {
            match due_at {
                Some(due_at) => _ = open.insert(kind.as_str().to_owned(), due_at),
                None => _ = open.remove(kind.as_str()),
            }
        }
        let first = open.iter().min_by_key(|(_, due_at)| **due_at);
        match first.and_then(|(kind, due_at)| Some((Kind::from_text(kind)?, *due_at))) {
            Some((kind, due_at)) => Change::Put(Timer {
                organization: recorded.organization,
                subject: recorded.subject,
                kind,
                due_at,
                set_by: recorded.id,
                lane: if kind == Kind::Billing { lane } else { None },
                open: serde_json::json!(open).to_string(),
            }),
            None if row.is_some() => Change::Delete,
            None => Change::Keep,
        }
    }
}

/// Documents of periods, many of which are due at one moment, are issued one by one: their numbers are of one series. Those
/// of changes are not, because a person waits for them.
fn lane(event: &Source<'_>, before: Option<String>) -> Option<String> {
    use subscription::Event;
    let Source::Subscription(event) = event else { return before };
    if matches!(event, Event::Activated { change: None, .. } | Event::Renewed { .. } | Event::UsageMonthEnded { .. }) {
        Some("invoices".to_owned())
    } else {
        before.filter(|_| !matches!(event, Event::Billed { .. }))
    }
}

/// What an event of a ticket sets or clears.
fn of_ticket(event: &ticket::Event) -> Vec<(Kind, Option<Timestamp>)> {
    match event {
        ticket::Event::Escalated { response_due_at, .. } => vec![(Kind::TicketResponse, Some(*response_due_at))],
        ticket::Event::Replied { side: ticket::Side::Staff, .. }
        | ticket::Event::ResponseMissed { .. }
        | ticket::Event::Resolved { .. } => vec![(Kind::TicketResponse, None)],
        ticket::Event::Opened { .. }
        | ticket::Event::Replied { side: ticket::Side::Organization, .. }
        | ticket::Event::Assigned { .. }
        | ticket::Event::HandedOver { .. }
        | ticket::Event::Reopened { .. } => Vec::new(),
    }
}

/// What an event of a subscription sets or clears.
fn of_subscription(event: &subscription::Event, now: Timestamp) -> Vec<(Kind, Option<Timestamp>)> {
    let kind = |due| match due {
        Due::Reminder => Kind::BillingReminder,
        Due::TrialEnd => Kind::TrialEnd,
        Due::ReadOnlyEnd => Kind::ReadOnlyEnd,
        Due::Renewal => Kind::Renewal,
        Due::UsageMonthEnd => Kind::UsageMonthEnd,
        Due::ScheduledChange => Kind::ScheduledChange,
        Due::ChangeExpiry => Kind::ChangeExpiry,
        Due::Billing => Kind::Billing,
    };
    subscription::timers(event, now).into_iter().map(|(due, at)| (kind(due), at)).collect()
}

/// What an event of an invoice sets or clears.
fn of_invoice(event: &invoice::Event) -> Vec<(Kind, Option<Timestamp>)> {
    use invoice::Event;
    match event {
        Event::Issued { dunning, .. } => vec![(Kind::Dunning, dunning.first().map(|it| it.at))],
        Event::Dunned { rest, .. } => vec![(Kind::Dunning, rest.first().map(|it| it.at))],
        Event::BalanceApplied { due, .. } | Event::PaymentRecorded { due, .. } | Event::Credited { due, .. } => {
            if *due == 0 { vec![(Kind::Dunning, None)] } else { Vec::new() }
        }
        Event::PaymentReversed { .. } | Event::Voided { .. } | Event::MarkedUncollectible { .. } => {
            vec![(Kind::Dunning, None)]
        }
        Event::Drafted { .. }
        | Event::DraftChanged { .. }
        | Event::DraftDiscarded {}
        | Event::BuiltOn { .. }
        | Event::CreditReturned { .. }
        | Event::PdfStored { .. } => Vec::new(),
    }
}

/// After how long a payment is looked up whose outcome is not known.
pub const CHECK_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What an event of a payment sets or clears.
fn of_payment(event: &payment::Event, time: Timestamp) -> Vec<(Kind, Option<Timestamp>)> {
    match event {
        payment::Event::Started { .. } => vec![(Kind::PaymentCheck, Some(time + CHECK_AFTER))],
        payment::Event::RefundStarted { .. } => vec![(Kind::PaymentCheck, Some(time))],
        payment::Event::Succeeded { .. }
        | payment::Event::Failed { .. }
        | payment::Event::Refunded { .. }
        | payment::Event::RefundFailed { .. } => vec![(Kind::PaymentCheck, None)],
        payment::Event::ActionRequired {}
        | payment::Event::OutcomeUnknown {}
        | payment::Event::RecordedManually { .. }
        | payment::Event::Reversed { .. } => Vec::new(),
    }
}

/// What an event of a document sets or clears.
fn of_document(event: &document::Event) -> Vec<(Kind, Option<Timestamp>)> {
    match event {
        document::Event::UploadStarted { expires_at, .. } => vec![(Kind::UploadExpiry, Some(*expires_at))],
        document::Event::Stored { .. } | document::Event::UploadFailed {} => vec![(Kind::UploadExpiry, None)],
        document::Event::Downloaded { .. } | document::Event::Deleted { .. } => Vec::new(),
    }
}

/// What an event of a user sets (with its time) or clears.
fn of_user(event: &Event) -> Vec<(Kind, Option<Timestamp>)> {
    use Kind::{AddressChangeExpiry, InvitationExpiry, PasswordResetExpiry};
    match event {
        Event::Invited { expires_at, .. } | Event::InvitationSent { expires_at, .. } => {
            vec![(InvitationExpiry, Some(*expires_at))]
        }
        Event::InvitationAccepted {}
        | Event::InvitationRevoked {}
        | Event::AddressCorrected { .. }
        | Event::Removed {} => vec![(InvitationExpiry, None)],
        Event::AddressChangeRequested { expires_at, .. } => vec![(AddressChangeExpiry, Some(*expires_at))],
        Event::AddressChanged { .. }
        | Event::Deactivated {}
        | Event::PasswordReset {}
        | Event::PasswordChanged { .. } => {
            vec![(AddressChangeExpiry, None), (PasswordResetExpiry, None)]
        }
        Event::PasswordResetRequested { expires_at } => vec![(PasswordResetExpiry, Some(*expires_at))],
        Event::AddressChangeCancelled {} | Event::SessionsEnded { .. } => vec![(AddressChangeExpiry, None)],
        Event::LinkExpired { link } => match link {
            Link::Invitation => vec![(InvitationExpiry, None)],
            Link::AddressChange => vec![(AddressChangeExpiry, None)],
            Link::PasswordReset => vec![(PasswordResetExpiry, None)],
        },
        Event::Registered { .. }
        | Event::RoleChanged { .. }
        | Event::PermissionsChanged { .. }
        | Event::Reactivated {}
        | Event::Renamed { .. }
        | Event::LocaleChanged { .. }
        | Event::TimeZoneChanged { .. }
        | Event::Promoted { .. }
        | Event::Demoted {}
        | Event::Locked { .. }
        | Event::Unlocked {} => Vec::new(),
    }
}

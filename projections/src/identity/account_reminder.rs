//! Descriptions of requests for account reminders.

use porttask_domain::identity::account_reminder::Event;

use crate::audit_text::{DescriptionSink, DisplayValue};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Requested { email, at: _ } = event;
    sink.words("requested a mail that lists the accounts of ");
    sink.value(DisplayValue::Personal(email));
}

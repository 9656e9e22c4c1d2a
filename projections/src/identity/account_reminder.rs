//! Mails that list the accounts with an email address.

use porttask_domain::identity::account_reminder::Event;

use crate::audit_text::{DescriptionSink, DisplayValue};

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Requested { email, at: _ } = event;
    sink.words("requested a mail that lists the accounts of ");
    sink.value(DisplayValue::Personal(email));
}

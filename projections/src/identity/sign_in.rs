//! Descriptions of failed sign-in attempts.

use porttask_domain::identity::sign_in::Event;

use crate::audit_text::{DescriptionSink, repeated};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Failed { user: _, times } = event;
    sink.words("failed to sign in");
    repeated(times, sink);
}

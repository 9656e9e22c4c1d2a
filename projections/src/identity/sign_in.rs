//! Failed attempts to sign in.

use porttask_domain::identity::sign_in::Event;

use crate::audit_text::{DescriptionSink, repeated};

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Failed { user: _, times } = event;
    sink.words("failed to sign in");
    repeated(times, sink);
}

//! Descriptions of imports of users.

use porttask_domain::identity::user_import::{Event, Summary};

use crate::audit_text::{DescriptionSink, DisplayValue};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Finished(Summary { registered, unchanged, rejected, invited }) = event;
    sink.words("imported users from a file");
    for (field, number) in
        [("registered", registered), ("unchanged", unchanged), ("rejected", rejected), ("invited", invited)]
    {
        sink.change(field, None, Some(DisplayValue::Filtered(number)));
    }
}

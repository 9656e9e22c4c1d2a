//! Series of numbers of billing documents.

use porttask_domain::billing::series::Event;

use crate::audit_text::{DescriptionSink, DisplayValue};

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::NumberAssigned { prefix, number, document, organization, issue_date, .. } => {
            sink.words("assigned the number ");
            sink.value(DisplayValue::Written(number));
            sink.words(" of the series ");
            sink.value(DisplayValue::Text(prefix));
            sink.change("document", None, Some(DisplayValue::Filtered(document)));
            sink.change("organization", None, Some(DisplayValue::Filtered(organization)));
            sink.change("issue_date", None, Some(DisplayValue::Written(issue_date)));
        }
        Event::Continued { prefix, year, after, reason } => {
            sink.words("continued the series ");
            sink.value(DisplayValue::Text(prefix));
            sink.words(" behind a number that was sent out before a restore");
            sink.change("year", None, Some(DisplayValue::Written(year)));
            sink.change("after", None, Some(DisplayValue::Written(after)));
            if !reason.is_empty() {
                sink.words(": ");
                sink.value(DisplayValue::Text(reason));
            }
        }
    }
}

//! Documents as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, DocumentSelection, Event, Format},
};
use porttask_projections::operations::document as view;

use super::bodies::{DocumentFilter, DocumentResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Documents {
    const FILE: &'static str = "documents";
    const NAMES: &'static [&'static str] = &[
        "id",
        "name",
        "status",
        "bytes",
        "sha256",
        "content_type",
        "uploaded_by",
        "created_at",
        "subject",
        "service",
        "vessel",
        "port_name",
    ];

    fn format(filter: &DocumentFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &DocumentFilter, text: Option<Personal>) -> Command {
        let DocumentFilter { status, content_type, subject, format: _ } = *filter;
        let selection = DocumentSelection { status, content_type, subject, text };
        Command::Take(Event::DocumentsTaken { format: Format::Csv, selection })
    }

    fn fields(document: DocumentResponse) -> Vec<String> {
        vec![
            document.id.to_string(),
            document.name.unwrap_or_default(),
            document.status.as_str().to_owned(),
            document.bytes.to_string(),
            document.sha256.unwrap_or_default(),
            document.content_type.map(|it| it.as_str().to_owned()).unwrap_or_default(),
            document.uploaded_by.map(|it| it.to_string()).unwrap_or_default(),
            document.created_at.to_string(),
            document.subject.map(|it| it.to_string()).unwrap_or_default(),
            document.service.map(|it| it.as_str().to_owned()).unwrap_or_default(),
            document.vessel.unwrap_or_default(),
            document.port_name.unwrap_or_default(),
        ]
    }
}

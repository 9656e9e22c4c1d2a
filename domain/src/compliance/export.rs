//! That the audit log was taken out of the platform: recorded before the first byte leaves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Aggregate, ExportId, Kind, Personal};

/// What can be asked of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take entries of the audit log out.
    TakeAuditLog {
        /// In which form.
        format: Format,
        /// Which entries.
        selection: Selection,
    },
}

/// What can happen to an export. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Entries of the audit log were taken out.
    #[serde(rename = "export.audit_log_taken.v1")]
    AuditLogTaken {
        /// In which form.
        format: Format,
        /// Which entries.
        selection: Selection,
    },
}

crate::texts! {
    /// The format of an export.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    #[cfg_attr(feature = "schema", schema(as = ExportFormat))]
    pub enum Format {
        /// Comma-separated values (RFC 4180).
        Csv = "csv",
        /// One JSON object per line.
        Json = "json",
    }
}

/// Which entries of the audit log: all that are as everything here says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Doing what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// With these words, which may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// Why something may not be taken out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is one by this id, and it is another.
    #[error("an export with this id exists already")]
    Exists,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Exists => "export-exists",
        }
    }
}

/// An export, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Export(Option<Event>);

impl Aggregate for Export {
    const CATEGORY: &'static str = "export";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = ExportId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Command::TakeAuditLog { format, selection } = command;
        let event = Event::AuditLogTaken { format: *format, selection: selection.clone() };
        match &self.0 {
            None => Ok(vec![event]),
            Some(taken) if *taken == event => Ok(vec![]),
            Some(_) => Err(Rejection::Exists),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.0 = Some(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OrganizationId, testing::given};

    fn selection(text: &str) -> Selection {
        let text = Some(Personal::identity(OrganizationId(uuid::Uuid::from_u128(7)), text));
        Selection {
            action: Some("user.invited".to_owned()),
            from: Some(Timestamp::UNIX_EPOCH),
            text,
            ..Default::default()
        }
    }

    #[test]
    fn what_is_taken_out_is_recorded_once() {
        let take = |text| Command::TakeAuditLog { format: Format::Csv, selection: selection(text) };
        let taken = |text| Event::AuditLogTaken { format: Format::Csv, selection: selection(text) };
        given::<Export>([]).when(take("ana")).then([taken("ana")]);
        given::<Export>([taken("ana")]).when(take("ana")).then([]);
        given::<Export>([taken("ana")]).when(take("bob")).then_rejected(Rejection::Exists);
    }
}

//! Series of numbers of billing documents: one per prefix and year, without gaps. A number is assigned in the append that
//! issues its document.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::number::printed;
use crate::{Aggregate, Kind, OrganizationId, Reason};

crate::ids! {
    /// The series of a prefix in a year.
    SeriesId = "srs";
}

impl SeriesId {
    /// The series of a prefix in a year.
    pub fn new(prefix: &str, year: i16) -> Self {
        let digest = Sha256::new().chain_update(b"series").chain_update(prefix).chain_update(year.to_string());
        Self(Uuid::new_v8(digest.finalize().first_chunk().copied().unwrap_or_default()))
    }
}

/// Commands on a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Assign the next number.
    Assign {
        /// The prefix.
        prefix: String,
        /// The document: `inv_…` or `crn_…`.
        document: String,
        /// Whose document it is.
        organization: OrganizationId,
        /// The date of issue.
        issue_date: Date,
    },
    /// Go on behind a number that was sent out before a restore.
    Continue {
        /// The prefix.
        prefix: String,
        /// The year.
        year: i16,
        /// The last number that was sent out.
        after: u64,
        /// Why.
        reason: Reason,
        /// The current date in the seller's zone.
        today: Date,
    },
}

/// Events of a series. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A number was assigned.
    #[serde(rename = "series.number_assigned.v1")]
    NumberAssigned {
        /// The prefix.
        prefix: String,
        /// The year.
        year: i16,
        /// The number in the year: 1, 2, …
        number: u64,
        /// The document.
        document: String,
        /// Whose document it is.
        organization: OrganizationId,
        /// The date of issue.
        issue_date: Date,
    },
    /// Numbers up to one were sent out before a restore, and are not assigned again.
    #[serde(rename = "series.continued.v1")]
    Continued {
        /// The prefix.
        prefix: String,
        /// The year.
        year: i16,
        /// The last number that was sent out.
        after: u64,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}

/// The largest number with which a series is continued: so that a mistyped one leaves room for others.
pub const MAX_CONTINUED: u64 = 999_999_999;

/// Why a command on a series is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The date is before that of the last number, or in another year.
    #[error("the date of issue is before the last one of the series, or in another year")]
    Date,
    /// A later number was assigned already.
    #[error("the series is at number {0} already: numbers never go back; name the last number that was sent out")]
    Backwards(u64),
    /// The number is not one that can be sent out.
    #[error("the last number must be from 1 to 999,999,999")]
    Number,
    /// The year has not begun.
    #[error("the year of the series has not begun: a number of it cannot have been sent out")]
    Year,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Date | Self::Backwards(_) => Kind::Conflict,
            Self::Number | Self::Year => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Date => "series-date",
            Self::Backwards(_) => "series-backwards",
            Self::Number => "series-number",
            Self::Year => "series-year",
        }
    }
}

/// The state of a series.
#[derive(Debug, Clone, Default)]
pub struct Series {
    last: u64,
    last_date: Option<Date>,
    /// The document that got the last number.
    last_document: Option<String>,
}

impl Series {
    /// Whether a number was assigned.
    pub fn is_used(&self) -> bool {
        self.last > 0
    }

    /// The date of issue of a document that is issued on a date: never before that of the last one.
    pub fn issue_date(&self, today: Date) -> Date {
        self.last_date.map_or(today, |last| last.max(today))
    }

    /// The last number that was assigned or sent out; zero if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The date of issue of the last document; `None` if there is none.
    pub fn last_date(&self) -> Option<Date> {
        self.last_date
    }

    /// The next number as it is printed, such as `PT-2026-000001`.
    pub fn next_printed(&self, prefix: &str, issue_date: Date) -> String {
        printed(prefix, issue_date, self.last + 1)
    }
}

impl Aggregate for Series {
    const CATEGORY: &'static str = "series";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = SeriesId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Assign { document, .. } if self.last_document.as_ref() == Some(document) => Ok(vec![]),
            Command::Assign { issue_date, .. } if self.issue_date(*issue_date) != *issue_date => Err(Rejection::Date),
            Command::Assign { prefix, document, organization, issue_date } => Ok(vec![Event::NumberAssigned {
                prefix: prefix.clone(),
                year: issue_date.year(),
                number: self.last + 1,
                document: document.clone(),
                organization: *organization,
                issue_date: *issue_date,
            }]),
            Command::Continue { after, .. } if !(1..=MAX_CONTINUED).contains(after) => Err(Rejection::Number),
            Command::Continue { year, today, .. } if *year > today.year() => Err(Rejection::Year),
            Command::Continue { after, .. } if *after == self.last => Ok(vec![]),
            Command::Continue { after, .. } if *after < self.last => Err(Rejection::Backwards(self.last)),
            Command::Continue { prefix, year, after, reason, .. } => {
                let (prefix, reason) = (prefix.clone(), reason.as_str().to_owned());
                Ok(vec![Event::Continued { prefix, year: *year, after: *after, reason }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::NumberAssigned { number, issue_date, document, .. } => {
                (self.last, self.last_date) = (*number, Some(*issue_date));
                self.last_document = Some(document.clone());
            }
            Event::Continued { after, .. } => self.last = *after,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::testing::given;

    fn assign(number: u64, issue_date: Date) -> Command {
        let (prefix, document) = ("PT".to_owned(), format!("inv_{number}"));
        Command::Assign { prefix, document, organization: OrganizationId::PLATFORM, issue_date }
    }

    fn assigned(number: u64, issue_date: Date) -> Event {
        let (prefix, document) = ("PT".to_owned(), format!("inv_{number}"));
        let (year, organization) = (issue_date.year(), OrganizationId::PLATFORM);
        Event::NumberAssigned { prefix, year, number, document, organization, issue_date }
    }

    #[test]
    fn numbers_have_no_gaps_and_dates_never_go_back() {
        let (first, second) = (date(2026, 1, 5), date(2026, 1, 6));
        given::<Series>([]).when(assign(1, first)).then([assigned(1, first)]);
        given::<Series>([assigned(1, second)]).when(assign(2, second)).then([assigned(2, second)]);
        given::<Series>([assigned(1, second)]).when(assign(2, first)).then_rejected(Rejection::Date);
    }

    #[test]
    fn after_a_restore_it_goes_on_behind_what_was_sent_out() {
        let on = date(2026, 1, 5);
        let (prefix, reason) = ("PT".to_owned(), Reason::new("restored the backup of Monday").unwrap());
        let of =
            |after, year| Command::Continue { prefix: prefix.clone(), year, after, reason: reason.clone(), today: on };
        let reason = reason.as_str().to_owned();
        let continued = Event::Continued { prefix: prefix.clone(), year: 2026, after: 41, reason };
        given::<Series>([assigned(7, on)]).when(of(41, 2026)).then([continued.clone()]);
        given::<Series>([assigned(7, on), continued.clone()]).when(assign(42, on)).then([assigned(42, on)]);
        // Repeated, it has no effect; and it never goes back.
        given::<Series>([assigned(7, on), continued.clone()]).when(of(41, 2026)).then([]);
        given::<Series>([assigned(7, on), continued]).when(of(40, 2026)).then_rejected(Rejection::Backwards(41));
        given::<Series>([assigned(7, on)]).when(of(6, 2026)).then_rejected(Rejection::Backwards(7));
        given::<Series>([]).when(of(0, 2026)).then_rejected(Rejection::Number);
        given::<Series>([]).when(of(MAX_CONTINUED + 1, 2026)).then_rejected(Rejection::Number);
        given::<Series>([]).when(of(1, 2027)).then_rejected(Rejection::Year);
    }
}

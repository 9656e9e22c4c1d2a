//! Import of users: a file of people becomes accounts, line by line, and may be begun again at any time.
//!
//! | file | what it owns |
//! |---|---|
//! | `sheet.rs` | from bytes to records: encoding, delimiter, quotation marks, header |
//! | `person.rs` | from a record to a person, or what is wrong with it |
//! | `run.rs` | from people to accounts, many at a time |
//! | `job.rs` | an import as a job |
//!
//! The id of an account follows from its address, and the address is claimed in the append that makes the account. So an
//! import that is repeated, continued after a crash, or raced by another makes no second account.

mod job;
mod person;
mod run;
mod sheet;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use porttask_domain::{Meta, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

pub use self::{
    job::{IMPORT_USERS, ImportJobs, OrderedImport},
    person::{Person, role_named},
    run::{Import, ImportError},
    sheet::{MAX_LINES, Unreadable, count, read},
};

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The person's full name.
    Name,
    /// Their mail address.
    Email,
    /// What they will be.
    Role,
    /// How far they may go with tickets, within their role.
    Tickets,
    /// How far they may go with invoices, within their role.
    Invoices,
    /// How far they may go with reports, within their role.
    Reports,
    /// How far they may go in administration, within their role.
    Administration,
}

impl Column {
    /// All that are known.
    pub const ALL: [Self; 7] =
        [Self::Name, Self::Email, Self::Role, Self::Tickets, Self::Invoices, Self::Reports, Self::Administration];

    /// As it stands in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Role => "role",
            Self::Tickets => "tickets",
            Self::Invoices => "invoices",
            Self::Reports => "reports",
            Self::Administration => "administration",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with a line. The values of the line are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// In which column; `None` if it is the line as a whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<Column>,
    /// What is wrong, for people.
    pub reason: String,
}

impl Fault {
    /// In a column.
    pub(crate) fn at(field: Column, reason: impl Into<String>) -> Self {
        Self { field: Some(field), reason: reason.into() }
    }

    /// Of the line as a whole.
    pub(crate) fn of_line(reason: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into() }
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins: the header is line 1.
    pub number: u64,
    /// The person, or all that is wrong.
    pub content: Result<Person, Vec<Fault>>,
}

/// How many faults of a line a report tells: it is kept in the log's database.
pub const MOST_FAULTS: usize = 3;

/// What became of a line, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineResult {
    /// There is a new account.
    Registered,
    /// There is an account with this address already; it stays as it is.
    Unchanged,
    /// There is none.
    Rejected,
}

impl LineResult {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// What became of a line. Tells nothing of what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReport {
    /// Which line.
    pub line: u64,
    /// What became of it.
    pub result: LineResult,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<UserId>,
    /// An invitation was sent.
    pub invited: bool,
    /// Why an invitation was not sent although it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_invited: Option<String>,
    /// Why it was rejected: the first [`MOST_FAULTS`] reasons.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<Fault>,
}

impl LineReport {
    /// Of a line of which nothing came.
    pub(crate) fn rejected(line: u64, mut faults: Vec<Fault>) -> Self {
        faults.truncate(MOST_FAULTS);
        Self { line, result: LineResult::Rejected, user: None, invited: false, not_invited: None, faults }
    }
}

/// What is to be done with a file.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// Where the accounts are made.
    pub organization: OrganizationId,
    /// Who ordered it. By its request id, accounts that an earlier attempt made are recognised.
    pub meta: Meta,
    /// Whether this order may have been begun before.
    pub is_retry: bool,
    /// Invite everybody who has not been invited yet.
    pub send_invitations: bool,
    /// When the invitations end. Must be the same in every attempt.
    pub invitations_expire_at: Timestamp,
    /// How many invitations the organization may send in a day.
    pub invitations_per_day: u32,
    /// Judge everything, record nothing.
    pub dry_run: bool,
}

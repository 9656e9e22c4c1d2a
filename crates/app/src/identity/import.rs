//! Import of users: a file of people becomes accounts, line by line; an import can be repeated at any time.
//!
//! | file | what it owns |
//! |---|---|
//! | `sheet.rs` | from a file to lines of people |
//! | `person.rs` | from a record to a person, or its faults |
//! | `run.rs` | from people to accounts, concurrently |
//! | `job.rs` | an import as a job |
//!
//! The id of an account is derived from its email address, and the address is claimed in the append that creates the
//! account. So an import that is repeated, resumed after a crash, or concurrent with another creates no second account.

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
    job::{IMPORT_USERS, ImportJobs, RequestedImport},
    person::{Person, role_named},
    run::{Import, ImportError},
    sheet::{count, read},
};
pub use crate::sheet::{UnknownColumns, Unreadable};

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The person's full name.
    Name,
    /// Their email address.
    Email,
    /// Their role.
    Role,
    /// Their access to tickets, within their role.
    Tickets,
    /// Their access to invoices, within their role.
    Invoices,
    /// Their access to reports, within their role.
    Reports,
    /// Their access to administration, within their role.
    Administration,
}

impl Column {
    /// Its name in the header.
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

/// What is wrong with a line. Never includes values of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The column; `None` if it concerns the whole line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<Column>,
    /// What is wrong, in words.
    pub reason: String,
}

impl Fault {
    /// A fault in a column.
    pub(crate) fn at(field: Column, reason: impl Into<String>) -> Self {
        Self { field: Some(field), reason: reason.into() }
    }

    /// A fault of the whole line.
    pub(crate) fn of_line(reason: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into() }
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line number at which it starts: the header is line 1.
    pub number: u64,
    /// The person, or all faults.
    pub content: Result<Person, Vec<Fault>>,
}

/// Maximum faults of a line in a report, which is stored in the database.
pub const MOST_FAULTS: usize = 3;

/// The result of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineResult {
    /// An account was created.
    Registered,
    /// An account with this email address already exists; it is unchanged.
    Unchanged,
    /// No account was created.
    Rejected,
}

impl LineResult {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// The report on a line. Never includes values of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReport {
    /// The line number.
    pub line: u64,
    /// Its result.
    pub result: LineResult,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<UserId>,
    /// Whether an invitation was sent.
    pub invited: bool,
    /// Why a requested invitation was not sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_invited: Option<String>,
    /// Why it was rejected: the first [`MOST_FAULTS`] reasons.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<Fault>,
}

impl LineReport {
    /// The report on a rejected line.
    pub(crate) fn rejected(line: u64, mut faults: Vec<Fault>) -> Self {
        faults.truncate(MOST_FAULTS);
        Self { line, result: LineResult::Rejected, user: None, invited: false, not_invited: None, faults }
    }
}

/// How to import a file.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The organization of the accounts.
    pub organization: OrganizationId,
    /// Who requested it. Accounts created by an earlier attempt are recognised by its request id.
    pub meta: Meta,
    /// Whether this import may have been started before.
    pub is_retry: bool,
    /// Whether to invite everybody who has not been invited yet.
    pub send_invitations: bool,
    /// When the invitations expire. Must be the same in every attempt.
    pub invitations_expire_at: Timestamp,
    /// Maximum invitations of imports per day, unless the organization has a quota of its own.
    pub invitations_per_day: u32,
    /// Whether to validate everything and record nothing.
    pub dry_run: bool,
}

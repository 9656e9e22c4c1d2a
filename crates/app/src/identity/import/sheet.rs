//! From a file to lines of people.

use std::collections::HashMap;

use porttask_domain::identity::Role;

use super::{Column, Fault, Line, person::Person};
use crate::sheet::{self, Columns, UnknownColumns, Unreadable};

impl Columns for Column {
    const ALL: &'static [Self] =
        &[Self::Name, Self::Email, Self::Role, Self::Tickets, Self::Invoices, Self::Reports, Self::Administration];
    const REQUIRED: &'static [Self] = &[Self::Name, Self::Email];
    const MAX_LINES: usize = 100_000;

    fn name(self) -> &'static str {
        Self::name(self)
    }

    fn synonym(heading: &str) -> Option<Self> {
        match heading {
            "fullname" | "displayname" => Some(Self::Name),
            "mail" | "emailaddress" | "mailaddress" => Some(Self::Email),
            "userrole" => Some(Self::Role),
            _ => None,
        }
    }
}

/// The lines of a file; people without a role get `default_role`.
///
/// # Errors
/// If the file cannot be read at all.
pub fn read(bytes: &[u8], default_role: Role, unknown: UnknownColumns) -> Result<Vec<Line>, Unreadable> {
    let (records, header) = sheet::open::<Column>(bytes, unknown)?;
    let mut lines = Vec::new();
    let mut known: HashMap<String, u64> = HashMap::new();
    for (number, record) in records {
        if lines.len() == Column::MAX_LINES {
            return Err(Unreadable::TooManyLines(Column::MAX_LINES));
        }
        let mut content = match record {
            Err(reason) => Err(vec![Fault::of_line(reason)]),
            Ok(record) => Person::read(&record, &header, default_role),
        };
        if let Ok(person) = &content {
            let first = *known.entry(person.email.comparable()).or_insert(number);
            if first != number {
                content = Err(vec![Fault::at(Column::Email, format!("is the same address as in line {first}"))]);
            }
        }
        lines.push(Line { number, content });
    }
    Ok(lines)
}

/// The number of lines that [`read`] finds in a file, without parsing people.
///
/// # Errors
/// As [`read`].
pub fn count(bytes: &[u8], unknown: UnknownColumns) -> Result<u64, Unreadable> {
    sheet::count::<Column>(bytes, unknown)
}

//! From a record to a person, or its faults.

use csv::ByteRecord;
use porttask_domain::{
    InvalidText, PersonName,
    identity::{Access, EmailAddress, Permissions, Role},
};

use super::{Column, Fault, sheet::Heading};

/// A person to create an account for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their full name.
    pub name: PersonName,
    /// Their email address.
    pub email: EmailAddress,
    /// Their role.
    pub role: Role,
    /// Their permissions.
    pub permissions: Permissions,
}

impl Person {
    /// Parses a record.
    pub(super) fn read(record: &ByteRecord, headings: &[Heading], default_role: Role) -> Result<Self, Vec<Fault>> {
        fits(record, headings).map_err(|fault| vec![fault])?;
        let field = |column: Column| {
            let index = headings.iter().position(|it| *it == Heading::Column(column));
            let bytes = index.and_then(|index| record.get(index)).unwrap_or_default();
            // The whole file was validated as UTF-8.
            std::str::from_utf8(bytes).unwrap_or_default().trim()
        };
        let mut faults = Vec::new();
        let name = noted(Column::Name, PersonName::new(field(Column::Name)), &mut faults);
        let email = noted(Column::Email, EmailAddress::new(field(Column::Email)), &mut faults);
        let role = match field(Column::Role) {
            "" => Some(default_role),
            word => role_named(word),
        };
        if role.is_none() {
            faults.push(Fault::at(Column::Role, "must be admin, agent, read_only or auditor"));
        }
        let ceiling = role.map(Role::ceiling);
        let permissions = permissions(field, ceiling, &mut faults);
        match (name, email, role) {
            (Some(name), Some(email), Some(role)) if faults.is_empty() => Ok(Self { name, email, role, permissions }),
            _ => Err(faults),
        }
    }
}

/// Whether a record has a field for each named column, and no value elsewhere: spreadsheets write empty fields there, or
/// none.
fn fits(record: &ByteRecord, headings: &[Heading]) -> Result<(), Fault> {
    let is_filled = |index: usize| record.get(index).is_some_and(|field| !field.iter().all(u8::is_ascii_whitespace));
    let needed = headings.iter().rposition(|heading| matches!(heading, Heading::Column(_))).map_or(0, |last| last + 1);
    let (fields, wanted) = (record.len(), headings.len());
    if fields < needed || (wanted..fields).any(is_filled) {
        return Err(Fault::of_line(format!("has {fields} fields, but the header has {wanted}")));
    }
    let nameless = (0..wanted).find(|index| headings[*index] == Heading::Nameless && is_filled(*index));
    nameless.map_or(Ok(()), |index| {
        Err(Fault::of_line(format!("has a value in column {}, which has no name in the header", index + 1)))
    })
}

fn noted<T>(column: Column, read: Result<T, InvalidText>, faults: &mut Vec<Fault>) -> Option<T> {
    read.map_err(|error| faults.push(Fault::at(column, error.to_string()))).ok()
}

/// The role with this name, ignoring case; a space or hyphen counts as an underscore.
pub fn role_named(word: &str) -> Option<Role> {
    let word = word.trim().to_lowercase().replace([' ', '-'], "_");
    serde_json::from_value(word.into()).ok()
}

/// The permissions: the maximum of the role, narrowed by the columns that are not empty.
fn permissions<'a>(
    field: impl Fn(Column) -> &'a str,
    ceiling: Option<Permissions>,
    faults: &mut Vec<Fault>,
) -> Permissions {
    let mut permissions = ceiling.unwrap_or(Role::Admin.ceiling());
    for (column, access) in [
        (Column::Tickets, &mut permissions.tickets),
        (Column::Invoices, &mut permissions.invoices),
        (Column::Reports, &mut permissions.reports),
        (Column::Administration, &mut permissions.administration),
    ] {
        let word = field(column);
        if word.is_empty() {
            continue;
        }
        match serde_json::from_value::<Access>(word.to_lowercase().into()) {
            Err(_) => faults.push(Fault::at(column, "must be none, read or write")),
            Ok(wanted) if wanted > *access => faults.push(Fault::at(column, "exceeds the maximum of the role")),
            Ok(wanted) => *access = wanted,
        }
    }
    permissions
}

//! From a record to a person, or its faults.

use csv::ByteRecord;
use porttask_domain::{
    InvalidText, PersonName,
    identity::{Access, EmailAddress, Permissions, Role},
};

use super::{Column, Fault};
use crate::sheet::Header;

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
    pub(super) fn read(record: &ByteRecord, header: &Header<Column>, default_role: Role) -> Result<Self, Vec<Fault>> {
        header.fits(record).map_err(|reason| vec![Fault::of_line(reason)])?;
        let field = |column: Column| header.field(record, column);
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

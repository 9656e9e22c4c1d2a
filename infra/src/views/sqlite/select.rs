//! The rows that a query asks for.

use porttask_app::views::{Query, View, Words};
use porttask_projections::Values;
use rusqlite::{Connection, params_from_iter};

use super::{
    Failure,
    rows::{Stored, values_of},
    tables::{BY_TEXTS, DIALECT, are_rare},
};
use crate::views::sql::Select;

/// Rows with rare words are found by the index of texts, all others by those of the table.
pub(super) fn select(connection: &Connection, view: &View, query: &Query) -> Result<Vec<Values>, Failure> {
    let words = query.words();
    let is_searched = words != Words::default() && !view.table.searched.is_empty();
    let dialect = if is_searched && are_rare(connection, view, &words)? { &BY_TEXTS } else { &DIALECT };
    let Select { sql, parameters } = dialect.select(view, query).map_err(Failure::View)?;
    // Of `$2`, SQLite takes 2 as a name, and counts parameters as they come; the values are all bound.
    let mut statement = connection.prepare_cached(&sql.replace('$', "?"))?;
    let mut rows = statement.query(params_from_iter(parameters.iter().map(Stored)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(values_of(view, row)?);
    }
    Ok(found)
}

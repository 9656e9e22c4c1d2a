//! Statements with many rows for PostgreSQL: few, because each costs its turn in a round trip.

use tokio_postgres::types::{ToSql, Type};

/// The most parameters of one statement.
const MAX_PARAMETERS: usize = 65_535;

/// A value with its type.
pub(crate) type Parameter = (Box<dyn ToSql + Sync + Send>, Type);

/// A statement with all its rows.
pub(crate) struct RowsStatement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Parameter>,
}

/// Adds the statements that write `rows` between `head` and `tail`: one, unless they have too many parameters.
pub(crate) fn add_rows(
    all: &mut Vec<RowsStatement>,
    head: &str,
    rows: impl Iterator<Item = Vec<Parameter>>,
    tail: &str,
) {
    let mut rows = rows.peekable();
    while let Some(columns) = rows.peek().map(Vec::len) {
        let mut parameters = Vec::new();
        let mut sql = head.to_owned();
        for row in rows.by_ref().take(MAX_PARAMETERS / columns) {
            sql.push_str(if parameters.is_empty() { " (" } else { ", (" });
            let numbers = (1..=row.len()).map(|column| format!("${}", parameters.len() + column));
            sql.push_str(&numbers.collect::<Vec<_>>().join(", "));
            sql.push(')');
            parameters.extend(row);
        }
        sql.push(' ');
        sql.push_str(tail);
        all.push(RowsStatement { sql, parameters });
    }
}

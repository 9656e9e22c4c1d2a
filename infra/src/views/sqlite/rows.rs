//! Conversion of values from and to SQLite.

use jiff::Timestamp;
use porttask_projections::{Column, Kind, Value, Values};
use porttask_runtime::views::{View, ViewError};
use rusqlite::{
    Row, ToSql,
    types::{ToSqlOutput, ValueRef},
};
use uuid::Uuid;

use super::Failure;

/// Binds a value as SQLite stores it.
pub(super) struct Stored<'a>(pub(super) &'a Value);

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Boolean(is_true) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*is_true))),
            Value::Time(time) => ToSqlOutput::Borrowed(ValueRef::Integer(time.as_microsecond())),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// All columns of a row, as its table defines them.
pub(super) fn values_of(view: &View, row: &Row<'_>) -> Result<Values, Failure> {
    let foreign = || Failure::View(ViewError::Foreign { view: view.to_string() });
    let value = |(index, column): (usize, &Column)| {
        Ok(match (row.get_ref(index)?, column.kind) {
            (ValueRef::Null, _) => Value::Null,
            (ValueRef::Blob(bytes), Kind::Id) => Value::Id(Uuid::from_slice(bytes).map_err(|_| foreign())?),
            (ValueRef::Integer(number), Kind::Integer) => Value::Integer(number),
            (ValueRef::Integer(number), Kind::Boolean) => Value::Boolean(number != 0),
            (ValueRef::Integer(number), Kind::Time) => {
                // Unlike `from_microsecond`, this covers the full range of timestamps.
                let nanoseconds = number.rem_euclid(1_000_000) as i32 * 1_000;
                let time = Timestamp::new(number.div_euclid(1_000_000), nanoseconds);
                Value::Time(time.map_err(|_| foreign())?)
            }
            (ValueRef::Text(text), Kind::Text) => {
                Value::Text(std::str::from_utf8(text).map_err(|_| foreign())?.to_owned())
            }
            _ => return Err(foreign()),
        })
    };
    view.table.columns.iter().enumerate().map(value).collect()
}

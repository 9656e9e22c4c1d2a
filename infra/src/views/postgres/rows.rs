//! Values as PostgreSQL stores them.

use porttask_app::{
    log::{Checkpoint, EventId, Incarnation, Offset, PartitionId, Position},
    views::{Progress, View, ViewError},
};
use porttask_projections::{Column, Kind, Value, Values};
use tokio_postgres::{Row, types::Type};

use super::tables::VIEW;
use crate::multi_row::Parameter;

/// partition, incarnation, offset, event id, count, digest, view.
pub(super) fn progress_of(row: &Row) -> Result<Progress, ViewError> {
    let partition = PartitionId(row.get::<_, i64>(0) as u16);
    let position = Position { partition, offset: Offset(row.get::<_, i64>(2) as u64) };
    let checkpoint = Checkpoint { incarnation: Incarnation(row.get(1)), position, event_id: EventId(row.get(3)) };
    let foreign = |_| ViewError::Foreign { view: row.get(VIEW) };
    let digest = row.get::<_, &[u8]>(5).try_into().map_err(foreign)?;
    Ok(Progress { checkpoint, count: row.get::<_, i64>(4) as u64, digest })
}

/// A value with its type.
pub(super) fn parameter(value: &Value) -> Parameter {
    match value {
        Value::Null => (Box::new(None::<String>), Type::TEXT),
        Value::Id(id) => (Box::new(*id), Type::UUID),
        Value::Integer(number) => (Box::new(*number), Type::INT8),
        Value::Boolean(is_true) => (Box::new(*is_true), Type::BOOL),
        Value::Time(time) => (Box::new(*time), Type::TIMESTAMPTZ),
        Value::Text(text) => (Box::new(text.clone()), Type::TEXT),
    }
}

/// All columns of a row, as its table defines them.
pub(super) fn values_of(view: &View, row: &Row) -> Result<Values, ViewError> {
    let value = |(index, column): (usize, &Column)| {
        let value = match column.kind {
            Kind::Id => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Id)),
            Kind::Integer => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Integer)),
            Kind::Boolean => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Boolean)),
            Kind::Time => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Time)),
            Kind::Text => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Text)),
        };
        let foreign = |_| ViewError::Foreign { view: view.to_string() };
        Ok(value.map_err(foreign)?.unwrap_or(Value::Null))
    };
    view.table.columns.iter().enumerate().map(value).collect()
}

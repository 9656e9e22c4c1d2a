//! Conversion of values from and to PostgreSQL.

use porttask_projections::{Column, Kind, Value, Values};
use porttask_runtime::{
    log::{Checkpoint, EventId, Incarnation, Offset, PartitionId, Position},
    views::{Progress, View, ViewError},
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::tables::{DIALECT, VIEW};

/// A value with its PostgreSQL type.
pub(super) type Parameter = (Box<dyn ToSql + Sync + Send>, Type);
/// The values of one column.
pub(super) type Array = Box<dyn ToSql + Sync + Send>;

/// partition, incarnation, offset, event id, count, digest, view.
pub(super) fn progress_of(row: &Row) -> Result<Progress, ViewError> {
    let partition = PartitionId(row.get::<_, i64>(0) as u16);
    let position = Position { partition, offset: Offset(row.get::<_, i64>(2) as u64) };
    let checkpoint = Checkpoint { incarnation: Incarnation(row.get(1)), position, event_id: EventId(row.get(3)) };
    let foreign = |_| ViewError::Foreign { view: row.get(VIEW) };
    let digest = row.get::<_, &[u8]>(5).try_into().map_err(foreign)?;
    Ok(Progress { checkpoint, count: row.get::<_, i64>(4) as u64, digest })
}

/// A value with its PostgreSQL type.
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

/// Rows, or keys, as an array of partitions and one array per column, so that a statement is the same for any number of
/// them. Their parameters are numbered from 1.
pub(super) struct Arrays {
    pub(super) values: Vec<Array>,
    pub(super) unnested: String,
}

impl Arrays {
    pub(super) fn of(columns: &[Column], rows: &[(PartitionId, &Values)]) -> Self {
        let partitions: Vec<i64> = rows.iter().map(|(partition, _)| i64::from(partition.0)).collect();
        let column = |(index, column): (usize, &Column)| array(column.kind, rows.iter().map(|(_, row)| &row[index]));
        let values = std::iter::once(Box::new(partitions) as Array).chain(columns.iter().enumerate().map(column));
        let kinds = std::iter::once(Kind::Integer).chain(columns.iter().map(|column| column.kind));
        let numbered = kinds.zip(1..).map(|(kind, number)| {
            // Arrays have no collation.
            let kind = (DIALECT.kind)(kind).split(' ').next().unwrap_or_default();
            format!("${number}::{kind}[]")
        });
        Self { values: values.collect(), unnested: format!("unnest({})", numbered.collect::<Vec<_>>().join(", ")) }
    }
}

pub(super) fn parameters(values: &[Array]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|it| &**it as _).collect()
}

/// Values of another kind become null.
fn array<'a>(kind: Kind, values: impl Iterator<Item = &'a Value>) -> Array {
    macro_rules! of {
        ($kind:path) => {
            Box::new(values.map(|it| if let $kind(it) = it { Some(it.clone()) } else { None }).collect::<Vec<_>>())
        };
    }
    match kind {
        Kind::Id => of!(Value::Id),
        Kind::Integer => of!(Value::Integer),
        Kind::Boolean => of!(Value::Boolean),
        Kind::Time => of!(Value::Time),
        Kind::Text => of!(Value::Text),
    }
}

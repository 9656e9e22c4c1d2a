//! The table of a read model: defined by its row type, once for all engines.

use jiff::Timestamp;
use porttask_domain::OrganizationId;
use uuid::Uuid;

/// A table. The engine adds the partition as the first column of its key and of every index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The version of its columns and fold. Each version is a separate table.
    pub version: u32,
    /// Its columns, the key first.
    pub columns: &'static [Column],
    /// The number of key columns.
    pub key: usize,
    /// Its indexes, for filtering and sorting.
    pub indexes: &'static [Index],
    /// Indexes over the rows of all partitions.
    pub cross_partition_indexes: &'static [Index],
    /// The columns for full-text search: normalized, never null.
    pub full_text_columns: &'static [&'static str],
}

impl Table {
    /// The text of a row for full-text search.
    pub fn searched_text(&self, row: &[Value]) -> String {
        let mut text = String::new();
        for (column, value) in self.columns.iter().zip(row) {
            if let Value::Text(part) = value
                && self.full_text_columns.contains(&column.name)
            {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(part);
            }
        }
        text
    }
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// Whether it may be null. Never true for columns that are sorted by.
    pub optional: bool,
}

/// The closed set of column kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Id,
    /// An integer.
    Integer,
    /// A boolean.
    Boolean,
    /// An instant, in microseconds.
    Time,
    /// A string, compared bytewise.
    Text,
}

/// An index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name within the table.
    pub name: &'static str,
    /// Its columns, after the partition unless it spans all partitions.
    pub columns: &'static [&'static str],
}

/// The value of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as the kinds")]
pub enum Value {
    Null,
    Id(Uuid),
    Integer(i64),
    Boolean(bool),
    Time(Timestamp),
    Text(String),
}

impl Value {
    /// The kind of column that it fits; `None` for null, which fits all optional ones.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Id(_) => Kind::Id,
            Self::Integer(_) => Kind::Integer,
            Self::Boolean(_) => Kind::Boolean,
            Self::Time(_) => Kind::Time,
            Self::Text(_) => Kind::Text,
        })
    }
}

/// A type that can be stored in a column.
pub trait ColumnType: Sized {
    /// The kind of its values.
    const KIND: Kind;
    /// Whether it may be null.
    const OPTIONAL: bool = false;

    /// Converts to the stored value.
    fn to_value(&self) -> Value;

    /// Converts from the stored value; `None` if it does not match this type.
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: Value) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! column_types {
    ($($type:ty: $kind:ident, $to:expr, $from:expr;)+) => {$(
        impl ColumnType for $type {
            const KIND: Kind = Kind::$kind;

            fn to_value(&self) -> Value {
                let to: fn(&$type) -> _ = $to;
                Value::$kind(to(self))
            }

            fn from_value(value: Value) -> Option<Self> {
                let Value::$kind(value) = value else { return None };
                let from: fn(_) -> Option<$type> = $from;
                from(value)
            }
        }
    )+};
}

/// Implements [`ColumnType`](crate::ColumnType) for typed ids.
#[macro_export]
macro_rules! id_columns {
    ($($id:ty),+ $(,)?) => {$(
        impl $crate::ColumnType for $id {
            const KIND: $crate::Kind = $crate::Kind::Id;

            fn to_value(&self) -> $crate::Value {
                $crate::Value::Id(self.0)
            }

            fn from_value(value: $crate::Value) -> Option<Self> {
                if let $crate::Value::Id(id) = value { Some(Self(id)) } else { None }
            }
        }
    )+};
}

/// Implements [`ColumnType`](crate::ColumnType) for enumerations that are represented as strings.
#[macro_export]
macro_rules! text_columns {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::ColumnType for $type {
            const KIND: $crate::Kind = $crate::Kind::Text;

            fn to_value(&self) -> $crate::Value {
                $crate::Value::Text(porttask_domain::TextEnum::as_str(self).to_owned())
            }

            fn from_value(value: $crate::Value) -> Option<Self> {
                let $crate::Value::Text(text) = value else { return None };
                porttask_domain::TextEnum::from_text(&text)
            }
        }
    )+};
}

id_columns!(OrganizationId);

column_types! {
    Uuid: Id, |it| *it, Some;
    u64: Integer, |it| *it as i64, |it: i64| u64::try_from(it).ok();
    i64: Integer, |it| *it, Some;
    bool: Boolean, |it| *it, Some;
    Timestamp: Time, |it| *it, Some;
    String: Text, String::clone, Some;
}

/// A row of a read model. Implemented by [`row!`](crate::row).
pub trait Row: Clone + PartialEq + Send + Sync + 'static {
    /// Its columns, the key first.
    const COLUMNS: &'static [Column];
    /// The number of key columns.
    const KEY: usize;

    /// Converts to stored values.
    fn to_values(&self) -> Vec<Value>;

    /// Converts from stored values; `None` if they do not match this row.
    fn from_values(values: Vec<Value>) -> Option<Self>;
}

/// Defines a row: the fields in `key` are its key, those in `row` the rest.
#[macro_export]
macro_rules! row {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            key { $($(#[doc = $key_doc:literal])+ $key:ident: $key_type:ty,)+ }
            row { $($(#[doc = $field_doc:literal])+ $field:ident: $field_type:ty,)* }
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $key_doc])+ pub $key: $key_type,)+
            $($(#[doc = $field_doc])+ pub $field: $field_type,)*
        }

        impl $crate::Row for $name {
            const COLUMNS: &'static [$crate::Column] = &[
                $($crate::row!(@column $key, $key_type),)+
                $($crate::row!(@column $field, $field_type),)*
            ];
            const KEY: usize = [$(stringify!($key)),+].len();

            fn to_values(&self) -> Vec<$crate::Value> {
                vec![
                    $($crate::ColumnType::to_value(&self.$key),)+
                    $($crate::ColumnType::to_value(&self.$field),)*
                ]
            }

            fn from_values(values: Vec<$crate::Value>) -> Option<Self> {
                let mut values = values.into_iter();
                Some(Self {
                    $($key: $crate::ColumnType::from_value(values.next()?)?,)+
                    $($field: $crate::ColumnType::from_value(values.next()?)?,)*
                })
            }
        }
    };
    (@column $field:ident, $type:ty) => {
        $crate::Column {
            name: stringify!($field),
            kind: <$type as $crate::ColumnType>::KIND,
            optional: <$type as $crate::ColumnType>::OPTIONAL,
        }
    };
}

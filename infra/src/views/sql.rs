//! Generates SQL from table definitions. Both dialects support `$1` and `ON CONFLICT`; they differ in types.

use porttask_projections::{Column, Index, Kind, Value};
use porttask_runtime::views::{Condition, Direction, Query, View, ViewError, Words};
use std::collections::BTreeSet;

/// The differences between the engines.
pub(super) struct Dialect {
    /// Prefix of every table name.
    pub(super) schema: &'static str,
    /// Suffix of every `CREATE TABLE`.
    pub(super) table_options: &'static str,
    pub(super) searched_table_options: &'static str,
    pub(super) kind: fn(Kind) -> &'static str,
    /// Suffix of the table name in `SELECT … FROM`.
    pub(super) found_by: &'static str,
    /// Whether to sort only row numbers first, and read the other columns of the remaining rows afterwards.
    pub(super) sorts_numbers: bool,
    /// Whether `OneOf` is best evaluated value by value, merging the rows in sort order.
    pub(super) merges: bool,
}

/// Conditions that a row's text contains the searched words, each with its parameter; numbered from the given one.
pub(super) type HasWords<'a> = &'a dyn Fn(usize) -> Vec<(String, String)>;

/// A query as a statement.
pub(super) struct Select {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
}

/// Maximum number of values of one condition that are evaluated value by value.
const MERGED: usize = 32;

impl Dialect {
    pub(super) fn name(&self, view: &View) -> String {
        format!("{}{view}", self.schema)
    }

    /// The `CREATE TABLE`; `number` is an additional first column by which a search finds its row.
    pub(super) fn create(&self, view: &View, number: Option<&str>) -> String {
        let mut columns = number.map(|number| format!("{number}, ")).unwrap_or_default();
        columns.push_str(&format!("partition {} NOT NULL", (self.kind)(Kind::Integer)));
        for Column { name, kind, optional } in view.table.columns {
            let null = if *optional { "" } else { " NOT NULL" };
            columns.push_str(&format!(", {} {}{null}", quoted(name), (self.kind)(*kind)));
        }
        let key = list(&key_columns(view));
        let (key, options) = match number {
            Some(_) => (format!("UNIQUE ({key})"), self.searched_table_options),
            None => (format!("PRIMARY KEY ({key})"), self.table_options),
        };
        format!("CREATE TABLE {} ({columns}, {key}){options}", self.name(view))
    }

    pub(super) fn indexes(&self, view: &View) -> Vec<String> {
        let statement = |index: &Index, first: Option<&'static str>| {
            let columns: Vec<&str> = first.into_iter().chain(index.columns.iter().copied()).collect();
            format!("CREATE INDEX IF NOT EXISTS {view}_{} ON {} ({})", index.name, self.name(view), list(&columns))
        };
        let within = view.table.indexes.iter().map(|index| statement(index, Some("partition")));
        within.chain(view.table.cross_partition_indexes.iter().map(|index| statement(index, None))).collect()
    }

    /// The `SELECT` of a query; `has_words` yields the conditions of a full-text search.
    pub(super) fn select(&self, view: &View, query: &Query, has_words: HasWords<'_>) -> Result<Select, ViewError> {
        let mut filter = Filter::new(view, query);
        let after = query.after.as_ref().filter(|_| !query.conditions.iter().any(|it| narrows(it, query)));
        let conditions = query.conditions.iter().filter(|it| !is_implied(it, query));
        let mut alternatives = Vec::new();
        for condition in conditions {
            match condition {
                Condition::OneOf(name, values) if self.merges && alternatives.is_empty() && !query.sort.is_empty() => {
                    alternatives = filter.alternatives(name, values)?;
                }
                condition => filter.add(condition)?,
            }
        }
        if query.words() != Words::default() {
            if view.table.full_text_columns.is_empty() {
                return Err(ViewError::NoSuchColumn { view: view.to_string(), column: "text".to_owned() });
            }
            for (condition, word) in has_words(filter.parameters.len() + 1) {
                filter.conditions.push(condition);
                filter.parameters.push(Value::Text(word));
            }
        }
        let sort = query.sort.iter().map(|name| filter.column(name)).collect::<Result<Vec<_>, _>>()?;
        let (comparison, direction) = match query.direction {
            Direction::Ascending => (">", ""),
            Direction::Descending => ("<", " DESC"),
        };
        if let Some(after) = after {
            let place: Vec<String> = after.iter().map(|value| filter.parameter(value.clone())).collect();
            filter.conditions.push(format!("({}) {comparison} ({})", sort.join(", "), place.join(", ")));
        }
        let (columns, table) = (list(&all_columns(view)), self.name(view));
        let rows = |alternative: Option<String>| {
            let conditions: Vec<String> = filter.conditions.iter().cloned().chain(alternative).collect();
            format!("SELECT {columns} FROM {table}{} WHERE {}", self.found_by, conditions.join(" AND "))
        };
        let mut sql = match alternatives.is_empty() {
            true => rows(None),
            false => alternatives.into_iter().map(|it| rows(Some(it))).collect::<Vec<_>>().join(" UNION ALL "),
        };
        let by: Vec<String> = sort.iter().map(|name| format!("{name}{direction}")).collect();
        let order = if by.is_empty() { String::new() } else { format!(" ORDER BY {}", by.join(", ")) };
        sql.push_str(&format!("{order} LIMIT {}", query.limit));
        if self.sorts_numbers {
            let numbers = sql.replacen(&format!("SELECT {columns} "), "SELECT number ", 1);
            sql = format!("SELECT {columns} FROM {table} WHERE number IN ({numbers}){order}");
        }
        Ok(Select { sql, parameters: filter.parameters })
    }

    /// Counts the rows that a query selects and those that are examined: at most one more than `most`. An index finds what
    /// is examined; with a full-text search, that is only what is selected.
    pub(super) fn count(
        &self,
        view: &View,
        query: &Query,
        most: usize,
        has_words: HasWords<'_>,
    ) -> Result<Select, ViewError> {
        let mut filter = Filter::new(view, query);
        let is_searched = query.words() != Words::default();
        let sought = if is_searched { Vec::new() } else { sought_columns(view, query) };
        let (found, rest): (Vec<&Condition>, Vec<&Condition>) =
            query.conditions.iter().partition(|it| is_searched || sought.contains(&it.column()));
        for condition in found {
            filter.add(condition)?;
        }
        if is_searched {
            if view.table.full_text_columns.is_empty() {
                return Err(ViewError::NoSuchColumn { view: view.to_string(), column: "text".to_owned() });
            }
            for (condition, word) in has_words(filter.parameters.len() + 1) {
                filter.conditions.push(condition);
                filter.parameters.push(Value::Text(word));
            }
        }
        let examined = std::mem::take(&mut filter.conditions).join(" AND ");
        for condition in &rest {
            filter.add(condition)?;
        }
        let selected = match filter.conditions.is_empty() {
            true => "count(*)".to_owned(),
            false => format!("count(*) FILTER (WHERE {})", filter.conditions.join(" AND ")),
        };
        let columns: BTreeSet<&str> = rest.iter().map(|it| it.column()).collect();
        let columns = if columns.is_empty() { "1".to_owned() } else { list(&columns.into_iter().collect::<Vec<_>>()) };
        let (table, limit) = (self.name(view), most + 1);
        let sql = format!(
            "SELECT {selected}, count(*)
             FROM (SELECT {columns} FROM {table}{} WHERE {examined} LIMIT {limit}) AS examined",
            self.found_by
        );
        Ok(Select { sql, parameters: filter.parameters })
    }

    /// Counts the rows that are in only one of the tables, by partition.
    pub(super) fn differing_rows(&self, one: &View, other: &View) -> String {
        let columns = list(&stored_columns(one));
        let (one, other) = (self.name(one), self.name(other));
        format!(
            "SELECT partition, count(*) FROM (
                 SELECT * FROM (SELECT {columns} FROM {one} EXCEPT SELECT {columns} FROM {other}) AS only_in_one
                 UNION ALL
                 SELECT * FROM (SELECT {columns} FROM {other} EXCEPT SELECT {columns} FROM {one}) AS only_in_other
             ) AS differing GROUP BY partition ORDER BY partition"
        )
    }

    /// Overwrites the non-key columns of an existing row.
    pub(super) fn on_conflict(&self, view: &View) -> String {
        let rest = &view.table.columns[view.table.key..];
        let set: Vec<String> = rest.iter().map(|it| format!("{0} = excluded.{0}", quoted(it.name))).collect();
        let change = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        format!("ON CONFLICT ({}) DO {change}", list(&key_columns(view)))
    }
}

/// The conditions of a query with their parameters, which are always bound.
struct Filter<'a> {
    view: &'a View,
    conditions: Vec<String>,
    parameters: Vec<Value>,
}

impl<'a> Filter<'a> {
    fn new(view: &'a View, query: &Query) -> Self {
        if query.is_everywhere {
            return Self { view, conditions: vec!["1 = 1".to_owned()], parameters: Vec::new() };
        }
        let parameters = vec![Value::Integer(i64::from(query.partition.0))];
        Self { view, conditions: vec!["partition = $1".to_owned()], parameters }
    }

    fn column(&self, name: &str) -> Result<String, ViewError> {
        self.defined(name).map(|column| quoted(column.name))
    }

    fn defined(&self, name: &str) -> Result<&'static Column, ViewError> {
        let view = self.view;
        let found = view.table.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| ViewError::NoSuchColumn { view: view.to_string(), column: name.to_owned() })
    }

    fn parameter(&mut self, value: Value) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    /// The parameter for a value compared with a column.
    fn compared(&mut self, name: &str, value: &Value) -> Result<String, ViewError> {
        if value.kind() != Some(self.defined(name)?.kind) {
            return Err(ViewError::WrongKind { view: self.view.to_string(), column: name.to_owned() });
        }
        Ok(self.parameter(value.clone()))
    }

    fn add(&mut self, condition: &Condition) -> Result<(), ViewError> {
        let condition = match condition {
            Condition::Equal(name, Value::Null) => format!("{} IS NULL", self.column(name)?),
            Condition::Equal(name, value) => format!("{} = {}", self.column(name)?, self.compared(name, value)?),
            Condition::AtLeast(name, value) => format!("{} >= {}", self.column(name)?, self.compared(name, value)?),
            Condition::Below(name, value) => format!("{} < {}", self.column(name)?, self.compared(name, value)?),
            Condition::OneOf(name, values) if values.is_empty() => self.column(name).map(|_| "1 = 0".to_owned())?,
            Condition::OneOf(name, values) => {
                let column = self.column(name)?;
                let values = values.iter().map(|value| self.compared(name, value)).collect::<Result<Vec<_>, _>>()?;
                format!("{column} IN ({})", values.join(", "))
            }
            Condition::HasWord(name, word) => {
                let Value::Text(word) = word else {
                    return Err(ViewError::WrongKind { view: self.view.to_string(), column: (*name).to_owned() });
                };
                let words = format!("(' ' || {} || ' ')", self.column(name)?);
                // The dialects have different functions to find a text in another, and patterns have wildcards.
                let word = self.compared(name, &Value::Text(format!(" {word} ")))?;
                format!("replace({words}, {word}, '') <> {words}")
            }
        };
        self.conditions.push(condition);
        Ok(())
    }

    /// One condition per value, so that an index yields the rows of each in order; empty, with an ordinary condition
    /// added, if there are too few or too many values.
    fn alternatives(&mut self, name: &'static str, values: &[Value]) -> Result<Vec<String>, ViewError> {
        let distinct: BTreeSet<&Value> = values.iter().collect();
        if !(2..=MERGED).contains(&distinct.len()) {
            self.add(&Condition::OneOf(name, values.to_vec()))?;
            return Ok(Vec::new());
        }
        let column = self.column(name)?;
        distinct.into_iter().map(|value| Ok(format!("{column} = {}", self.compared(name, value)?))).collect()
    }
}

/// The columns whose conditions an index can find: of the index with the most leading columns that equal something, these
/// and the next one.
fn sought_columns(view: &View, query: &Query) -> Vec<&'static str> {
    let equals = |column: &&str| {
        let mut conditions = query.conditions.iter();
        conditions.any(|it| matches!(it, Condition::Equal(name, _) | Condition::OneOf(name, _) if name == column))
    };
    let key: Vec<&'static str> = view.table.columns[..view.table.key].iter().map(|column| column.name).collect();
    let (indexes, key) = match query.is_everywhere {
        true => (view.table.cross_partition_indexes, Vec::new()),
        false => (view.table.indexes, key),
    };
    let candidates = std::iter::once(key.as_slice()).chain(indexes.iter().map(|index| index.columns));
    let leading = |columns: &&[&'static str]| columns.iter().take_while(|column| equals(column)).count();
    let best = candidates.max_by_key(leading);
    best.map(|columns| columns.iter().take(leading(&columns) + 1).copied().collect()).unwrap_or_default()
}

/// The bound of a condition and the page's start, if both limit the first sort column on the same side: engines search
/// an index by only one of the two, which must be the narrower one.
fn beside<'a>(condition: &'a Condition, query: &'a Query) -> Option<(&'a Value, &'a Value)> {
    let (sorted, place) = (query.sort.first()?, query.after.as_ref()?.first()?);
    match (condition, query.direction) {
        (Condition::AtLeast(name, bound), Direction::Ascending)
        | (Condition::Below(name, bound), Direction::Descending) => {
            (name == sorted && bound.kind() == place.kind()).then_some((bound, place))
        }
        _ => None,
    }
}

/// Whether all rows after the page's start satisfy the condition.
fn is_implied(condition: &Condition, query: &Query) -> bool {
    beside(condition, query).is_some_and(|(bound, place)| match query.direction {
        Direction::Ascending => bound <= place,
        Direction::Descending => place < bound,
    })
}

/// Whether all rows that satisfy the condition are after the page's start.
fn narrows(condition: &Condition, query: &Query) -> bool {
    beside(condition, query).is_some() && !is_implied(condition, query)
}

/// The full text of a row as an SQL expression, equal to [`porttask_projections::Table::searched_text`].
pub(super) fn searched_text(view: &View) -> String {
    let columns: Vec<&str> =
        all_columns(view).into_iter().filter(|it| view.table.full_text_columns.contains(it)).collect();
    columns.into_iter().map(quoted).collect::<Vec<_>>().join(" || ' ' || ")
}

/// Quotes a name, which may be an SQL keyword.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// The key columns, the partition first.
pub(super) fn key_columns(view: &View) -> Vec<&'static str> {
    let key = view.table.columns[..view.table.key].iter().map(|column| column.name);
    std::iter::once("partition").chain(key).collect()
}

/// The condition that a row has a key, whose columns are parameters numbered from 1.
pub(super) fn has_key(view: &View) -> String {
    let conditions =
        key_columns(view).into_iter().zip(1..).map(|(name, number)| format!("{} = ${number}", quoted(name)));
    conditions.collect::<Vec<_>>().join(" AND ")
}

/// The columns of a stored row, with the partition.
pub(super) fn stored_columns(view: &View) -> Vec<&'static str> {
    std::iter::once("partition").chain(all_columns(view)).collect()
}

/// The columns of the row, without the partition.
pub(super) fn all_columns(view: &View) -> Vec<&'static str> {
    view.table.columns.iter().map(|column| column.name).collect()
}

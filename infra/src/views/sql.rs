//! Statements from the definition of a table. Both dialects understand `$1` and `ON CONFLICT`; they differ in types.

use porttask_app::views::{Direction, Query, View, ViewError, Words};
use porttask_projections::{Column, Kind};

/// What the engines call things.
pub(super) struct Dialect {
    /// Before the name of every table.
    pub(super) schema: &'static str,
    /// After the columns of every table.
    pub(super) table_options: &'static str,
    pub(super) searched_table_options: &'static str,
    pub(super) kind: fn(Kind) -> &'static str,
    /// A condition that a row's text has these words, with its parameters, which are numbered on from the one given.
    pub(super) has_words: fn(&View, &Words, usize) -> (String, Vec<String>),
}

/// A query as a statement.
pub(super) struct Select {
    pub(super) sql: String,
    /// After the partition and the values that must be equal: the words, before the place to go on from.
    pub(super) words: Vec<String>,
}

impl Dialect {
    pub(super) fn name(&self, view: &View) -> String {
        format!("{}{view}", self.schema)
    }

    /// The table; `number` is a column before the others by which a search finds its row.
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
        let statement = |index: &porttask_projections::Index| {
            let columns: Vec<&str> = std::iter::once("partition").chain(index.columns.iter().copied()).collect();
            format!("CREATE INDEX IF NOT EXISTS {view}_{} ON {} ({})", index.name, self.name(view), list(&columns))
        };
        view.table.indexes.iter().map(statement).collect()
    }

    /// The rows that a query asks for, and in which order its parameters follow.
    pub(super) fn select(&self, view: &View, query: &Query) -> Result<Select, ViewError> {
        let column = |name: &str| {
            let known = view.table.columns.iter().any(|column| column.name == name);
            let unknown = || ViewError::NoSuchColumn { view: view.to_string(), column: name.to_owned() };
            known.then(|| quoted(name)).ok_or_else(unknown)
        };
        let mut sql = format!("SELECT {} FROM {} WHERE partition = $1", list(&all_columns(view)), self.name(view));
        let mut parameter = 1;
        for (name, _) in &query.equal {
            parameter += 1;
            sql.push_str(&format!(" AND {} = ${parameter}", column(name)?));
        }
        let asked = query.words();
        let mut words = Vec::new();
        if asked != Words::default() {
            if view.table.searched.is_empty() {
                return Err(ViewError::NoSuchColumn { view: view.to_string(), column: "text".to_owned() });
            }
            let condition;
            (condition, words) = (self.has_words)(view, &asked, parameter + 1);
            sql.push_str(&condition);
            parameter += words.len();
        }
        let sort = query.sort.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
        let (comparison, direction) = match query.direction {
            Direction::Ascending => (">", ""),
            Direction::Descending => ("<", " DESC"),
        };
        if let Some(after) = &query.after {
            let parameters: Vec<String> = (1..=after.len()).map(|number| format!("${}", parameter + number)).collect();
            sql.push_str(&format!(" AND ({}) {comparison} ({})", sort.join(", "), parameters.join(", ")));
        }
        if !sort.is_empty() {
            let by: Vec<String> = sort.iter().map(|name| format!("{name}{direction}")).collect();
            sql.push_str(&format!(" ORDER BY {}", by.join(", ")));
        }
        sql.push_str(&format!(" LIMIT {}", query.limit));
        Ok(Select { sql, words })
    }

    /// How many rows of a partition stand in one table and not in the other.
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

    /// Sets the columns that are not the key to those of the row that is inserted.
    pub(super) fn on_conflict(&self, view: &View) -> String {
        let rest = &view.table.columns[view.table.key..];
        let set: Vec<String> = rest.iter().map(|it| format!("{0} = excluded.{0}", quoted(it.name))).collect();
        let change = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        format!("ON CONFLICT ({}) DO {change}", list(&key_columns(view)))
    }
}

/// The text of a row in which is searched, as an expression: as [`porttask_projections::Table::searched_text`].
pub(super) fn searched_text(view: &View) -> String {
    let columns: Vec<&str> = all_columns(view).into_iter().filter(|it| view.table.searched.contains(it)).collect();
    columns.into_iter().map(quoted).collect::<Vec<_>>().join(" || ' ' || ")
}

/// Names are words of ours, some of which SQL has taken.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// The columns of the key, the partition first.
pub(super) fn key_columns(view: &View) -> Vec<&'static str> {
    let key = view.table.columns[..view.table.key].iter().map(|column| column.name);
    std::iter::once("partition").chain(key).collect()
}

/// That a row has the key whose columns are the parameters, from the first.
pub(super) fn has_key(view: &View) -> String {
    let conditions =
        key_columns(view).into_iter().zip(1..).map(|(name, number)| format!("{} = ${number}", quoted(name)));
    conditions.collect::<Vec<_>>().join(" AND ")
}

/// The columns of a stored row: the partition, and those of the row.
pub(super) fn stored_columns(view: &View) -> Vec<&'static str> {
    std::iter::once("partition").chain(all_columns(view)).collect()
}

/// The columns of the row, without the partition.
pub(super) fn all_columns(view: &View) -> Vec<&'static str> {
    view.table.columns.iter().map(|column| column.name).collect()
}

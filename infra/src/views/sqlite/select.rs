//! Executes queries.

use porttask_projections::Values;
use porttask_runtime::views::{Count, Query, View, Words};
use rusqlite::{Connection, params_from_iter};

use super::{
    Failure,
    rows::{Stored, values_of},
    tables::{BY_NUMBERS, DIALECT},
};
use crate::views::sql::{self, Select};

/// Number of rows that can be looked up and sorted within 10 ms.
const FEW_ROWS: usize = 4_096;

/// Finds rows with rare words by the full-text index, all others by the table's indexes.
pub(super) fn select(connection: &Connection, view: &View, query: &Query) -> Result<Vec<Values>, Failure> {
    let words = query.words();
    let is_searched = words != Words::default() && !view.table.full_text_columns.is_empty();
    let found = if is_searched { with_rare_words(connection, view, &words)? } else { None };
    let selected = match &found {
        Some(numbers) => {
            let is_found = |parameter| vec![is_one_of(numbers, parameter)];
            BY_NUMBERS.select(view, query, &is_found)
        }
        None => DIALECT.select(view, query, &|parameter| has_words(view, &words, parameter)),
    };
    let Select { sql, parameters } = selected.map_err(Failure::View)?;
    // SQLite treats `$2` as a named parameter, `?2` as a numbered one. All values are bound.
    let mut statement = connection.prepare_cached(&sql.replace('$', "?"))?;
    let mut rows = statement.query(params_from_iter(parameters.iter().map(Stored)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(values_of(view, row)?);
    }
    Ok(found)
}

/// Counts the rows that a query selects, as [`select`] finds them.
pub(super) fn count(connection: &Connection, view: &View, query: &Query, most: usize) -> Result<Count, Failure> {
    let words = query.words();
    let is_searched = words != Words::default() && !view.table.full_text_columns.is_empty();
    let found = if is_searched { with_rare_words(connection, view, &words)? } else { None };
    let counted = match &found {
        Some(numbers) => BY_NUMBERS.count(view, query, most, &|parameter| vec![is_one_of(numbers, parameter)]),
        None => DIALECT.count(view, query, most, &|parameter| has_words(view, &words, parameter)),
    };
    let Select { sql, parameters } = counted.map_err(Failure::View)?;
    let mut statement = connection.prepare_cached(&sql.replace('$', "?"))?;
    let counts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (selected, examined) = statement.query_row(params_from_iter(parameters.iter().map(Stored)), counts)?;
    Ok(Count::of(selected.unsigned_abs(), examined.unsigned_abs(), most))
}

/// The numbers of the rows with these words, if there are few enough to load them all. The full-text index is not in
/// sort order: if many rows match, scanning rows in sort order fills a page sooner.
fn with_rare_words(connection: &Connection, view: &View, words: &Words) -> rusqlite::Result<Option<Vec<i64>>> {
    let sql = format!("SELECT rowid FROM {view}_search WHERE {view}_search MATCH $1 LIMIT {FEW_ROWS}");
    let mut search = connection.prepare_cached(&sql)?;
    let numbers: Vec<i64> = search.query_map([phrases(words)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((numbers.len() < FEW_ROWS).then_some(numbers))
}

/// The full-text query. Words that match at the start of a word are prefixed by two blanks, as in the indexed text, so
/// that even a single character forms a trigram.
fn phrases(words: &Words) -> String {
    let quoted = |before: &str, word: &String| format!("\"{before}{}\"", word.replace('"', "\"\""));
    let anywhere = words.anywhere.iter().map(|word| quoted("", word));
    let phrases = anywhere.chain(words.beginning.iter().map(|word| quoted("  ", word)));
    phrases.collect::<Vec<_>>().join(" AND ")
}

/// One parameter for all numbers, so that the statement is the same for any number of them.
fn is_one_of(numbers: &[i64], parameter: usize) -> (String, String) {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    (format!("number IN (SELECT value FROM json_each(${parameter}))"), format!("[{}]", list.join(",")))
}

fn has_words(view: &View, words: &Words, parameter: usize) -> Vec<(String, String)> {
    let text = sql::searched_text(view);
    let anywhere = words.anywhere.iter().map(|word| (text.clone(), word.clone()));
    let beginning = words.beginning.iter().map(|word| (format!("' ' || {text}"), format!(" {word}")));
    let conditions = anywhere.chain(beginning).zip(parameter..);
    conditions.map(|((text, word), number)| (format!("instr({text}, ${number}) > 0"), word)).collect()
}

//! The catalog of tables: which exist, and which serve.

use porttask_projections::{Kind, Table};
use porttask_runtime::views::{View, ViewError, Words};
use tokio_postgres::{Transaction, types::ToSql};

use super::failed;
use crate::views::sql::{self, Dialect};

pub(super) const DIALECT: Dialect = Dialect {
    schema: "views.",
    table_options: "",
    searched_table_options: "",
    found_by: "",
    sorts_numbers: false,
    merges: false,
    kind: |kind| match kind {
        Kind::Id => "uuid",
        Kind::Integer => "bigint",
        Kind::Boolean => "boolean",
        Kind::Time => "timestamptz",
        Kind::Text => "text COLLATE \"C\"",
    },
};

/// The lock serializes nodes that start concurrently.
pub(super) const TABLES: &str = "
    SELECT pg_advisory_xact_lock(x'506f727456696577'::bigint);
    CREATE SCHEMA IF NOT EXISTS views;
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE TABLE IF NOT EXISTS views.catalog (
        name       text    COLLATE \"C\" NOT NULL,
        version    integer NOT NULL,
        generation bigint  NOT NULL,
        serves     boolean NOT NULL,
        PRIMARY KEY (name, version, generation)
    );
    CREATE UNIQUE INDEX IF NOT EXISTS one_serves ON views.catalog (name, version) WHERE serves;
    CREATE TABLE IF NOT EXISTS views.checkpoints (
        view        text   COLLATE \"C\" NOT NULL,
        partition   bigint NOT NULL,
        incarnation uuid   NOT NULL,
        \"offset\"    bigint NOT NULL,
        event_id    uuid   NOT NULL,
        count       bigint NOT NULL,
        digest      bytea  NOT NULL,
        PRIMARY KEY (partition, view)
    );
    -- All rows change many times a second: their new versions fit into the same page.
    ALTER TABLE views.checkpoints SET (fillfactor = 10);";

pub(super) const PROGRESS: &str =
    "SELECT partition, incarnation, \"offset\", event_id, count, digest, view FROM views.checkpoints";
/// The column of [`PROGRESS`] with the name of the table.
pub(super) const VIEW: usize = 6;

fn version(table: &Table) -> i32 {
    table.version as i32
}

/// The indexes of a table; full-text columns have a trigram index.
pub(super) fn indexes(view: &View) -> Vec<String> {
    let mut all = DIALECT.indexes(view);
    if !view.table.full_text_columns.is_empty() {
        let (name, text) = (DIALECT.name(view), sql::searched_text(view));
        all.push(format!("CREATE INDEX IF NOT EXISTS {view}_search ON {name} USING gin (({text}) gin_trgm_ops)"));
    }
    all
}

/// Conditions that a row's text contains these words; `common` are the endings that most rows have.
pub(super) fn has_words(view: &View, words: &Words, common: &[String], parameter: usize) -> Vec<(String, String)> {
    let text = sql::searched_text(view);
    let mut conditions = Vec::new();
    for word in &words.anywhere {
        let (whole, rare) = (format!("%{}%", escaped(word)), format!("%{}%", escaped(rarest_part(word, common))));
        if rare != whole {
            // The concatenation hides the expression from the index; the planner assumes that it is selective.
            conditions.push((format!("({text} || '') LIKE ${}", parameter + conditions.len()), whole));
        }
        conditions.push((format!("({text}) LIKE ${}", parameter + conditions.len()), rare));
    }
    for word in &words.beginning {
        let number = parameter + conditions.len();
        // The trigram index supports both: it pads each word with blanks.
        let condition = format!("(({text}) LIKE ${number} || '%' OR ({text}) LIKE '% ' || ${number} || '%')");
        conditions.push((condition, escaped(word)));
    }
    conditions
}

/// The part of a word to search by index: of an email address or a domain, the rare part. The index reads the posting
/// list of every trigram, and those of domains are very long.
fn rarest_part<'a>(word: &'a str, common: &[String]) -> &'a str {
    let is_rare = |part: &&str| part.chars().count() > RARE;
    if let Some(ending) = ending(word)
        && common.iter().any(|it| it == ending)
    {
        return &word[..=word.len() - ending.len()];
    }
    let local = word.find('@').map(|at| &word[..=at]);
    let host = local.and_then(|local| Some(&word[..local.len() + word[local.len()..].rfind('.')?]));
    local.filter(is_rare).or(host.filter(is_rare)).unwrap_or(word)
}

/// The last label of a word that may be a domain, with its dot.
fn ending(word: &str) -> Option<&str> {
    let dot = word.rfind('.').filter(|dot| !word.contains('@') && word[..*dot].chars().count() >= SHORTEST)?;
    Some(&word[dot..])
}

/// A query for those endings of words that most rows have, by a sample; `None` if no word has an ending. Its parameter
/// is the list of the endings.
pub(super) fn common_endings(view: &View, words: &Words) -> Option<(String, Vec<String>)> {
    let endings: Vec<String> = words.anywhere.iter().filter_map(|word| ending(word)).map(str::to_owned).collect();
    let (text, name) = (sql::searched_text(view), DIALECT.name(view));
    let sql = format!(
        "WITH sample AS (SELECT {text} AS searched FROM {name} LIMIT {SAMPLE})
         SELECT ending FROM unnest($1::text[]) AS ending, sample GROUP BY ending
         HAVING 2 * count(*) FILTER (WHERE position(ending IN searched) > 0) >= count(*)"
    );
    (!endings.is_empty()).then_some((sql, endings))
}

/// How many rows show which endings are common.
const SAMPLE: usize = 200;
/// Characters before an ending that the index needs to find a part of them.
const SHORTEST: usize = 3;

/// Parts longer than this many characters are rare.
const RARE: usize = 8;

/// Escapes a word for a `LIKE` pattern.
fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Serializes nodes that create or drop tables.
pub(super) async fn lock_catalog(transaction: &Transaction<'_>) -> Result<(), ViewError> {
    transaction.batch_execute("LOCK TABLE views.catalog IN SHARE ROW EXCLUSIVE MODE").await.map_err(failed)
}

/// The serving table.
pub(super) async fn served(transaction: &Transaction<'_>, table: &Table) -> Result<Option<View>, ViewError> {
    let find = "SELECT generation FROM views.catalog WHERE name = $1 AND version = $2 AND serves";
    let found = transaction.query_opt(find, &[&table.name, &version(table)]).await.map_err(failed)?;
    Ok(found.map(|row| View { table: *table, generation: row.get(0) }))
}

/// Creates the next table of a model.
pub(super) async fn add(transaction: &Transaction<'_>, table: &Table, serves: bool) -> Result<View, ViewError> {
    let next = "INSERT INTO views.catalog (name, version, generation, serves)
                SELECT $1, $2, coalesce(max(generation), 0) + 1, $3 FROM views.catalog WHERE name = $1 AND version = $2
                RETURNING generation";
    let row = transaction.query_one(next, &[&table.name, &version(table), &serves]).await.map_err(failed)?;
    let view = View { table: *table, generation: row.get(0) };
    transaction.batch_execute(&DIALECT.create(&view, None)).await.map_err(failed)?;
    Ok(view)
}

/// Drops a table. Its catalog entry stays, so that its name is never reused.
pub(super) async fn remove(transaction: &Transaction<'_>, view: &View) -> Result<(), ViewError> {
    let drop = format!("DROP TABLE IF EXISTS {}", DIALECT.name(view));
    transaction.batch_execute(&drop).await.map_err(failed)?;
    let checkpoints = "DELETE FROM views.checkpoints WHERE view = $1";
    transaction.execute(checkpoints, &[&view.to_string()]).await.map_err(failed)?;
    let retire = "UPDATE views.catalog SET serves = false WHERE name = $1 AND version = $2 AND generation = $3";
    let key: [&(dyn ToSql + Sync); 3] = [&view.table.name, &version(&view.table), &view.generation];
    transaction.execute(retire, &key).await.map_err(failed)?;
    Ok(())
}

/// The tables of a model that do not serve.
pub(super) async fn idle(transaction: &Transaction<'_>, table: &Table) -> Result<Vec<View>, ViewError> {
    let find = "SELECT generation FROM views.catalog WHERE name = $1 AND version = $2 AND NOT serves
                AND to_regclass('views.' || name || '_v' || version || '_g' || generation) IS NOT NULL";
    let rows = transaction.query(find, &[&table.name, &version(table)]).await.map_err(failed)?;
    Ok(rows.iter().map(|row| View { table: *table, generation: row.get(0) }).collect())
}

/// Marks a table as serving.
pub(super) async fn serve(transaction: &Transaction<'_>, view: &View) -> Result<(), ViewError> {
    let serve = "UPDATE views.catalog SET serves = true WHERE name = $1 AND version = $2 AND generation = $3";
    let key: [&(dyn ToSql + Sync); 3] = [&view.table.name, &version(&view.table), &view.generation];
    transaction.execute(serve, &key).await.map_err(failed).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_asked_for_what_few_have() {
        for (word, part) in [
            ("ana.souza.77@org500.example", "ana.souza.77@"),
            ("ana@org500.example", "ana@org500"),
            ("@org500.ports.example", "@org500.ports"),
            ("a@b.example", "a@b.example"),
            ("ana.souza@", "ana.souza@"),
            ("jörgensen@", "jörgensen@"),
            ("org500.example", "org500.example"),
            ("quillfeather", "quillfeather"),
            ("@", "@"),
        ] {
            assert_eq!(rarest_part(word, &[".souza".to_owned()]), part);
        }
        let common = [".example".to_owned()];
        for (word, part) in [
            ("org500.example", "org500."),
            ("org500.ports.example", "org500.ports."),
            ("ana.souza", "ana.souza"),
            ("b2.example", "b2.example"),
            (".example", ".example"),
            ("ana.souza.77@org500.example", "ana.souza.77@"),
        ] {
            assert_eq!(rarest_part(word, &common), part);
        }
    }
}

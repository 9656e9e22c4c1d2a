//! `porttask.toml`: its keys are the names of the flags, with `_` instead of `-`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::Setting;
use crate::error::Error;

/// A parsed configuration file.
pub(super) struct File {
    pub(super) path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// The values of one setting.
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) values: Vec<String>,
}

impl File {
    /// Reads a file that may configure these settings.
    ///
    /// # Errors
    /// All errors in the file, each with its line. Values are not repeated: they may be secrets.
    pub(super) fn read(path: &Path, settings: &[Setting]) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = Self {
            path: path.to_owned(),
            entries: parse(&text, settings).map_err(|faults| {
                let lines = faults.iter().map(|(line, fault)| format!("{}:{line}: {fault}", path.display()));
                lines.collect::<Vec<_>>().join("\n")
            })?,
        };
        file.check_mode(settings)?;
        Ok(file)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// A file with secrets must be readable by its owner only.
    fn check_mode(&self, settings: &[Setting]) -> Result<(), Error> {
        let secrets = settings.iter().filter(|setting| setting.is_secret());
        let held: Vec<&str> = secrets.filter(|it| self.entries.contains_key(&it.key)).map(|it| &*it.key).collect();
        let mode = fs::metadata(&self.path)?.permissions().mode() & 0o777;
        if held.is_empty() || mode & 0o077 == 0 {
            return Ok(());
        }
        let place = self.path.display();
        Err(format!(
            "{place} contains secrets ({}) and is readable by others (mode {mode:o}): run chmod 600 {place}",
            held.join(", ")
        )
        .into())
    }
}

type Faults = Vec<(usize, String)>;

fn parse(text: &str, settings: &[Setting]) -> Result<BTreeMap<String, Entry>, Faults> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        // Only the message: the excerpt that the full error shows may contain a secret.
        vec![(line_of(error.span().map_or(0, |span| span.start)), error.message().to_owned())]
    })?;
    let (mut entries, mut faults) = (BTreeMap::new(), Vec::new());
    for (key, value) in table.into_inner() {
        let (line, key) = (line_of(key.span().start), key.into_inner());
        let Some(setting) = settings.iter().find(|setting| setting.key == *key) else {
            faults.push((line, unknown(&key, settings)));
            continue;
        };
        match values(value.get_ref(), setting.is_list()) {
            Some(values) => drop(entries.insert(setting.key.clone(), Entry { line, values })),
            None => faults.push((line, wrong(setting))),
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

fn values(value: &DeValue<'_>, is_list: bool) -> Option<Vec<String>> {
    match value {
        DeValue::Array(items) if is_list => items.iter().map(|item| single(item.get_ref())).collect(),
        value => Some(vec![single(value)?]),
    }
}

fn single(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

fn wrong(setting: &Setting) -> String {
    let what = if setting.is_list() { "a string or a list of strings" } else { "a string or a number" };
    format!("{} must be {what}", setting.key)
}

fn unknown(key: &str, settings: &[Setting]) -> String {
    let likeness = |setting: &&Setting| (strsim::jaro_winkler(key, &setting.key) * 1_000.0) as u32;
    let nearest = settings.iter().max_by_key(likeness).filter(|setting| likeness(setting) > 700);
    match nearest {
        Some(setting) => format!("unknown setting {key}; did you mean {}?", setting.key),
        None => format!("unknown setting {key}; `porttask config --example` lists all settings"),
    }
}

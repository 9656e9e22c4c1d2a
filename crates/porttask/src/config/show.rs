//! `porttask config`: effective values and their sources.

use std::io::{self, Write};

use clap::{ArgMatches, parser::ValueSource};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{File, Setting, source, told};
use crate::error::Error;

/// The maximum width of a comment, in bytes.
const WIDTH: usize = 100;

/// The effective configuration.
pub(crate) struct Effective {
    settings: Vec<Setting>,
    lines: Vec<Line>,
    file: Option<String>,
}

/// The effective value of a setting.
struct Line {
    key: String,
    value: Value,
    from: From,
    /// The flag, the variable, or the file and line.
    place: String,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Flag,
    Environment,
    File,
    Default,
    Unset,
}

impl Effective {
    /// The effective configuration after parsing the command line.
    pub(super) fn of(settings: Vec<Setting>, matches: &ArgMatches, file: Option<File>) -> Self {
        let lines = settings.iter().map(|setting| line(setting, matches, file.as_ref())).collect();
        Self { settings, lines, file: file.map(|file| told(&file.path)) }
    }

    /// Prints the effective configuration, without secrets.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn show(&self, as_json: bool) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        if as_json {
            let all: Map<String, Value> = self.lines.iter().map(Line::json).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&json!({"file": self.file, "settings": all}))?)?;
            return Ok(());
        }
        match &self.file {
            Some(file) => writeln!(out, "Configuration file: {file}")?,
            None => writeln!(out, "Configuration file: none")?,
        }
        let width = self.lines.iter().map(|line| line.key.len()).max().unwrap_or(0);
        for line in &self.lines {
            writeln!(out, "{:<width$}  {:<32}  {}", line.key, line.text(), line.origin())?;
        }
        Ok(())
    }

    /// Prints an example file with all settings, commented out.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn show_example(&self) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "# Configuration of PortTask Admin. Every setting is commented out and shows its default, if it has one."
        )?;
        writeln!(
            out,
            "# Flags take precedence over variables, variables over this file. It is read from ./porttask.toml,"
        )?;
        writeln!(out, "# or from the path in --config or PORTTASK_CONFIG.")?;
        for setting in &self.settings {
            writeln!(out)?;
            let help = setting.argument.get_long_help().or(setting.argument.get_help());
            for line in wrapped(&help.map(ToString::to_string).unwrap_or_default()) {
                writeln!(out, "# {line}")?;
            }
            if setting.is_secret() {
                writeln!(
                    out,
                    "# A secret: preferably set by its variable, or by {}_file, the path of a file that contains it.",
                    setting.key
                )?;
            }
            writeln!(out, "# Variable: {}", setting.variable().unwrap_or_default())?;
            writeln!(out, "# {} = {}", setting.key, example(setting))?;
        }
        Ok(())
    }
}

fn line(setting: &Setting, matches: &ArgMatches, file: Option<&File>) -> Line {
    let key = setting.key.clone();
    let in_file = || file.and_then(|file| Some(format!("{}:{}", told(&file.path), file.get(&key)?.line)));
    let (from, place) = match source(matches, &key) {
        Some(ValueSource::CommandLine) => (From::Flag, format!("--{}", setting.flag())),
        Some(ValueSource::EnvVariable) => (From::Environment, setting.variable().unwrap_or_default().to_owned()),
        Some(_) => in_file().map_or((From::Default, String::new()), |place| (From::File, place)),
        None => (From::Unset, String::new()),
    };
    let raw = matches.try_get_raw(&key).ok().flatten();
    let texts: Vec<String> = raw.into_iter().flatten().map(|text| text.to_string_lossy().into_owned()).collect();
    let value = match from {
        From::Unset => Value::Null,
        _ if setting.is_secret() => json!("(set)"),
        _ if setting.is_list() => json!(texts),
        _ => texts.first().map_or(Value::Null, |text| json!(text)),
    };
    Line { key, value, from, place }
}

impl Line {
    fn json(&self) -> (String, Value) {
        let place = Some(&self.place).filter(|place| !place.is_empty());
        (self.key.clone(), json!({"value": self.value, "source": self.from, "place": place}))
    }

    fn text(&self) -> String {
        match &self.value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }

    fn origin(&self) -> String {
        match self.from {
            From::Flag => format!("flag {}", self.place),
            From::Environment => format!("environment {}", self.place),
            From::File => format!("file {}", self.place),
            From::Default => "default".to_owned(),
            From::Unset => "not set".to_owned(),
        }
    }
}

/// The default, as written in the file.
fn example(setting: &Setting) -> String {
    if setting.is_list() {
        return "[]".to_owned();
    }
    let text = setting.argument.get_default_values().first().map(|text| text.to_string_lossy().into_owned());
    let text = text.unwrap_or_default();
    if text.parse::<u64>().is_ok() || text.parse::<bool>().is_ok() { text } else { format!("{text:?}") }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let is_full = lines.last().is_some_and(|line| line.len() + word.len() + 1 > WIDTH);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

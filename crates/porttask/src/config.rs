//! The configuration. Precedence: flags, environment variables, configuration file, defaults.
//!
//! | file | what it owns |
//! |---|---|
//! | `file.rs` | reading and validating `porttask.toml` |
//! | `show.rs` | `porttask config`: effective values and their sources |
//!
//! The values of the file become the defaults of the flags with the same names before the command line is parsed: so
//! flags and variables take precedence, and `--help` shows the values.

mod file;
mod show;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Args, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use self::file::File;
pub(crate) use self::show::Effective;
use crate::{error::Error, service::ServiceArgs, storage::StorageArgs};

/// The default configuration file.
const FILE: &str = "porttask.toml";
const VARIABLE: &str = "PORTTASK_CONFIG";

/// A setting: an option of `porttask serve`.
struct Setting {
    /// Its key in the file.
    key: String,
    argument: Arg,
}

impl Setting {
    fn is_secret(&self) -> bool {
        self.argument.is_hide_env_values_set()
    }

    fn is_list(&self) -> bool {
        self.argument.get_value_delimiter().is_some()
    }

    fn variable(&self) -> Option<&str> {
        self.argument.get_env().and_then(|name| name.to_str())
    }
}

/// Parses the command line and the configuration file: the command, and the effective configuration.
///
/// # Errors
/// If the file or the command line is invalid.
pub(crate) fn read<C: Parser>(arguments: Vec<OsString>) -> Result<(C, Effective), Error> {
    let command = command::<C>();
    let settings = settings(&command);
    let file = match path(&command, &arguments) {
        Some(path) => Some(File::read(&path, &settings)?),
        None => None,
    };
    let mut ignored = BTreeSet::new();
    loop {
        let prepared = prepare(command.clone(), file.as_ref(), &ignored);
        let matches =
            prepared.try_get_matches_from(&arguments).map_err(|error| blame(error, file.as_ref(), &settings))?;
        let used = deepest(&matches);
        let weaker = weaker_forms(&settings, used, file.as_ref());
        if weaker.is_subset(&ignored) {
            let effective = Effective::of(settings, used, file);
            return Ok((C::from_arg_matches(&matches)?, effective));
        }
        ignored.extend(weaker);
    }
}

/// The command line. `porttask config` accepts the options that it reports on.
fn command<C: Parser>() -> Command {
    C::command().mut_subcommand("config", |config| {
        let about = config.get_about().cloned().unwrap_or_default();
        // The options bring the description of their group along.
        let config = ServiceArgs::augment_args(StorageArgs::augment_args(config));
        config.about(about)
    })
}

/// The settings, in the order of the help.
fn settings(command: &Command) -> Vec<Setting> {
    let serve = command.find_subcommand("serve").into_iter().flat_map(Command::get_arguments);
    let all = serve.chain(command.get_arguments());
    let configured = all.filter(|argument| argument.get_env().is_some_and(|name| name != VARIABLE));
    let key = |argument: &Arg| argument.get_long().unwrap_or_default().replace('-', "_");
    configured.map(|argument| Setting { key: key(argument), argument: argument.clone() }).collect()
}

/// The file to read: specified by a flag or a variable, or the default one if it exists.
fn path(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(arguments);
    let named = matches.ok().and_then(|matches| deepest(&matches).get_one::<PathBuf>("config").cloned());
    let named = named.filter(|path| !path.as_os_str().is_empty());
    named.or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists()))
}

/// The command line with the file's values as defaults. An empty variable counts as unset.
fn prepare(command: Command, file: Option<&File>, ignored: &BTreeSet<String>) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |subcommand| prepare(subcommand, file, ignored)));
    command.mut_args(|argument| {
        let Some(variable) = argument.get_env() else { return argument };
        let is_empty = std::env::var_os(variable).is_some_and(|value| value.is_empty());
        let key = argument.get_long().unwrap_or_default().replace('-', "_");
        let is_ignored = ignored.contains(&key);
        let argument = if is_empty || is_ignored { argument.env(None::<&'static str>) } else { argument };
        match file.and_then(|file| file.get(&key)).filter(|_| !is_ignored) {
            Some(entry) => {
                let is_secret = argument.is_hide_env_values_set();
                argument.default_values(entry.values.clone()).hide_default_value(is_secret)
            }
            None => argument,
        }
    })
}

/// The matches of the innermost subcommand.
fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| deepest(matches))
}

/// A secret can be set directly or by the path of a file. If both are set, the form with the higher precedence wins.
/// Returns the keys of the forms that lose.
fn weaker_forms(settings: &[Setting], matches: &ArgMatches, file: Option<&File>) -> BTreeSet<String> {
    let force = |key: &str| match source(matches, key) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) if file.is_some_and(|file| file.get(key).is_some()) => 1,
        _ => 0,
    };
    let mut weaker = BTreeSet::new();
    for setting in settings.iter().filter(|setting| setting.is_secret()) {
        let (own, other) = (setting.key.clone(), format!("{}_file", setting.key));
        match (force(&own), force(&other)) {
            (0, _) | (_, 0) => {}
            (a, b) if a > b => drop(weaker.insert(other)),
            (a, b) if a < b => drop(weaker.insert(own)),
            _ => {}
        }
    }
    weaker
}

/// The source of a value, if the command has that option.
fn source(matches: &ArgMatches, key: &str) -> Option<ValueSource> {
    matches.try_contains_id(key).ok().filter(|is_there| *is_there).and_then(|_| matches.value_source(key))
}

/// Reports an invalid value with its file and line, if it came from the file.
fn blame(error: clap::Error, file: Option<&File>, settings: &[Setting]) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    if error.kind() == ErrorKind::ValueValidation
        && let Some(file) = file
    {
        let (argument, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
        let is_meant =
            |setting: &&Setting| argument.split_whitespace().next() == Some(&format!("--{}", setting.flag()));
        let entry = settings.iter().find(is_meant).and_then(|setting| Some((setting, file.get(&setting.key)?)));
        if let Some((setting, entry)) = entry.filter(|(_, entry)| entry.values.contains(&value)) {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return format!("{}:{}: {} = {value:?}{cause}", file.path.display(), entry.line, setting.key).into();
        }
    }
    error.into()
}

impl Setting {
    fn flag(&self) -> &str {
        self.argument.get_long().unwrap_or_default()
    }
}

/// A path, as displayed.
fn told(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_alike_everywhere() {
        command::<crate::cli::Cli>().debug_assert();
        let settings = settings(&command::<crate::cli::Cli>());
        assert!(settings.len() > 20);
        for setting in &settings {
            assert_eq!(setting.key, setting.argument.get_id().as_str());
            let is_file_known = settings.iter().any(|other| other.key == format!("{}_file", setting.key));
            assert_eq!(setting.is_secret(), is_file_known, "{}: secrets can be given in files", setting.key);
        }
    }
}

//! Files for the account of the service only: they hold password hashes and encrypted personal data.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use porttask_runtime::log::LogError;

/// Opens a file for appending; creates it for its owner only if it is missing.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Rejects a data directory that others can enter.
pub(crate) fn check_directory(directory: &Path) -> Result<(), LogError> {
    check(directory, vec![directory.to_owned()])
}

/// Rejects a data directory with a database that others can read.
pub(crate) fn check_databases(directory: &Path) -> Result<(), LogError> {
    let is_database = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ["log.db", "views.db"].iter().any(|database| name.starts_with(database))
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    check(directory, entries.filter(is_database).collect())
}

fn check(directory: &Path, paths: Vec<PathBuf>) -> Result<(), LogError> {
    let wide = paths.into_iter().filter_map(|path| {
        let mode = fs::metadata(&path).ok()?.permissions().mode();
        (mode & 0o077 != 0).then(|| format!("{} (mode {:o})", path.display(), mode & 0o777))
    });
    let wide: Vec<String> = wide.collect();
    if wide.is_empty() {
        return Ok(());
    }
    let (wide, folder) = (wide.join(", "), directory.display());
    Err(LogError::Unusable(format!(
        "the data folder is accessible to other users of this machine: {wide}; run chmod -R go= {folder}"
    )))
}

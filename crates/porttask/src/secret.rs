//! Secrets, given themselves or in files.

use std::path::Path;

use crate::cli::Error;

/// A secret that is given as itself or as the name of a file that holds it; nothing if it is empty.
///
/// # Errors
/// If it is given in both ways, or the file cannot be read. The secret is in no error.
pub(crate) fn given(name: &str, value: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Error> {
    let value = value.filter(|value| !value.is_empty());
    let file = file.filter(|file| !file.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(format!("{name} and {name}_FILE are both set: unset one").into()),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, None) => Ok(None),
        (None, Some(file)) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("{name}_FILE, {}: {error}", file.display()))?;
            let text = text.trim_end_matches(['\r', '\n']);
            match text.is_empty() {
                true => Err(format!("{name}_FILE, {}: the file is empty", file.display()).into()),
                false => Ok(Some(text.to_owned())),
            }
        }
    }
}

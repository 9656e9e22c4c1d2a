//! Secrets, set directly or read from files.

use std::path::Path;

use crate::error::Error;

/// A secret that is set directly or by the path of a file that contains it; `None` if it is empty or unset.
///
/// # Errors
/// If both are set, or the file cannot be read or is empty. Errors never contain the secret.
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

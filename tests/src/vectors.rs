//! Test vectors in files `NAME.json`, with `cases`: each case is computed by the domain and compared as JSON.

mod billing;
mod invoices;
mod licences;

use std::{fs, io, path::Path};

use serde_json::Value;

/// Computes the cases of a file; each with its name, what was expected, and what came out.
type Cases = fn(&Value) -> Result<Vec<Case>, String>;

struct Case {
    name: String,
    expected: Value,
    found: Result<Value, String>,
}

/// The files that are known.
const KNOWN: [(&str, Cases); 17] = [
    ("allocation.json", billing::allocation),
    ("credit-notes.json", invoices::credit_notes),
    ("currencies.json", billing::currencies),
    ("discounts.json", billing::discounts),
    ("en16931-groups.json", invoices::groups),
    ("licences.json", licences::licences),
    ("mrr.json", billing::mrr),
    ("numbers.json", invoices::numbers),
    ("periods.json", billing::periods),
    ("proration.json", billing::proration),
    ("schedules.json", billing::schedules),
    ("settlement.json", invoices::settlement),
    ("tax.json", invoices::taxes),
    ("usage.json", billing::usage),
    ("vat-ids.json", invoices::vat_ids),
    ("vat-rates.json", invoices::vat_rates),
    ("vat-treatment.json", invoices::treatments),
];

/// Runs all files of a folder. Returns whether a known file was found and no case failed.
///
/// # Errors
/// If the folder cannot be read.
pub fn run(folder: &Path, say: &mut dyn FnMut(&str)) -> io::Result<bool> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".json").then_some(name));
    }
    names.sort();
    let (mut passed, mut failed, mut known) = (0, 0, 0);
    for name in names {
        let Some((_, cases)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            say(&format!("unknown file {name}"));
            continue;
        };
        known += 1;
        let text = fs::read_to_string(folder.join(&name))?;
        let cases = serde_json::from_str(&text).map_err(|error| error.to_string()).and_then(|file| cases(&file));
        match cases {
            Err(error) => {
                failed += 1;
                say(&format!("{name}: {error}"));
            }
            Ok(cases) => {
                for Case { name: case, expected, found } in cases {
                    match found {
                        Ok(found) if found == expected => passed += 1,
                        Ok(found) => {
                            failed += 1;
                            say(&format!("{name}: {case}: expected {expected}, found {found}"));
                        }
                        Err(error) => {
                            failed += 1;
                            say(&format!("{name}: {case}: {error}"));
                        }
                    }
                }
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed"));
    Ok(known > 0 && failed == 0)
}

//! Vectors of licence keys.

use jiff::Timestamp;
use porttask_licence::{Keys, Verifier};
use serde_json::{Value, json};

use super::{
    Case,
    billing::{Computed, cases, failed},
};

pub(super) fn licences(file: &Value) -> Result<Vec<Case>, String> {
    let text = |name: &str| file[name].as_str().ok_or_else(|| format!("no {name}"));
    let keys = Keys::from_jwks(&file["keys"].to_string()).map_err(failed)?;
    let mut verifier = Verifier::new(text("issuer")?, keys);
    verifier.accept_revocations(text("revocation_list")?).map_err(failed)?;
    let verified = |case: &Value| -> Computed {
        let at: Timestamp = case["at"].as_str().ok_or("no time")?.parse().map_err(failed)?;
        let verified = verifier.verify(case["token"].as_str().ok_or("no token")?, at.as_second());
        Ok(json!(verified.map_or_else(|invalid| invalid.slug(), |_| "valid")))
    };
    let mut all = cases(file, |case| case["expect"].clone(), verified)?;
    let lease = lease(&verifier, file, text("activation")?);
    all.push(Case { name: "the lease".to_owned(), expected: json!("2026-04-09T00:00:00Z"), found: lease });
    Ok(all)
}

/// Until when the lease of the first licence is valid.
fn lease(verifier: &Verifier, file: &Value, token: &str) -> Computed {
    let at: Timestamp = "2026-03-20T00:00:00Z".parse().map_err(failed)?;
    let licence = file["cases"][0]["token"].as_str().ok_or("no token")?;
    let licence = verifier.verify(licence, at.as_second()).map_err(failed)?;
    let machine = "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU";
    let lease = verifier.verify_lease(token, &licence, machine, at.as_second()).map_err(failed)?;
    Ok(json!(Timestamp::from_second(lease.exp).map_err(failed)?.to_string()))
}

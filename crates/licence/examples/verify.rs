//! Verifies a licence at the start of a program: `cargo run --example verify -- LICENCE KEYS [REVOCATIONS]`.

use std::{
    env, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use porttask_licence::{Keys, Verifier};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [licence, keys, revocations @ ..] = paths.as_slice() else {
        return Err("usage: verify LICENCE KEYS [REVOCATIONS]".into());
    };
    // A program that is delivered contains the keys, or fetches them from /v1/licences/keys.
    let keys = Keys::from_jwks(&fs::read_to_string(keys)?)?;
    // It also contains the URL of the service, and uses `Verifier::new`.
    let mut verifier = Verifier::of_any_issuer(keys);
    if let Some(revocations) = revocations.first() {
        verifier.accept_revocations(&fs::read_to_string(revocations)?)?;
    }
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let claims = verifier.verify(&fs::read_to_string(licence)?, now)?;
    println!("{} of {} is valid: {:?}, features {:?}", claims.jti, claims.sub, claims.kind, claims.features);
    Ok(())
}

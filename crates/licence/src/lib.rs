//! Verifies PortTask licence keys offline.
//!
//! | file | what it owns |
//! |---|---|
//! | `jws.rs` | the signed form of all tokens: compact JWS (RFC 7515) with Ed25519 (RFC 8037) |
//! | `key.rs` | public keys as a JWK set (RFC 7517), their thumbprints (RFC 7638), and the key that signs |
//! | `claims.rs` | what the tokens say |
//! | `verifier.rs` | the checks, in their order |
//!
//! Nothing here reads files, clocks or the network: tokens, keys and the time are given. A token is checked in this order:
//! form, header, key, signature, issuer and claims, revocation, time. Only the algorithm `EdDSA` and the expected `typ`
//! are accepted, no other member of the header, and no padding.
//!
//! ```
//! use porttask_licence::{Claims, Kind, Keys, Signer, Verifier};
//!
//! let signer = Signer::from_seed([7; 32]);
//! let claims = Claims {
//!     iss: "https://porttask.example".to_owned(),
//!     jti: "lic_1".to_owned(),
//!     sub: "org_1".to_owned(),
//!     kind: Kind::Enterprise,
//!     iat: 1_772_323_200,
//!     nbf: 1_772_323_200,
//!     exp: 1_803_859_200,
//!     activations: 5,
//!     features: vec!["sso".to_owned()],
//!     limits: [("users".to_owned(), 25)].into(),
//!     reseller: None,
//! };
//! let token = signer.sign(&claims);
//!
//! let keys = Keys::from_jwks(&Keys::from_iter([signer.public()]).to_jwks())?;
//! let verifier = Verifier::new("https://porttask.example", keys);
//! let licence = verifier.verify(&token, 1_780_000_000)?;
//! assert_eq!(licence, claims);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod claims;
mod jws;
mod key;
mod verifier;

pub use self::{
    claims::{Claims, Kind, Lease, RevocationList, Revoked, Token},
    jws::Malformed,
    key::{InvalidKeys, Keys, PublicKey, Signer},
    verifier::{Invalid, RefusedList, Verifier},
};

//! The checks, in their order.

use crate::{
    claims::{Claims, Lease, RevocationList, Revoked, Token},
    jws::{Malformed, Parts},
    key::Keys,
};

/// Why a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It has not the expected form, type, algorithm, issuer or claims.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is signed by a key that is not in the set: fetch the keys again.
    #[error("the token is signed by the key {0:?}, which is not among the given keys: fetch the keys again")]
    UnknownKey(String),
    /// The signature does not match.
    #[error("the signature of the token does not match: it was changed")]
    BadSignature,
    /// The licence was revoked.
    #[error("the licence was revoked: {reason}")]
    Revoked {
        /// When.
        at: i64,
        /// Why.
        reason: String,
    },
    /// It is valid later only.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// The lease is for another licence or machine.
    #[error("the lease is for another licence or another machine")]
    OtherMachine,
}

impl Invalid {
    /// A stable name for programs, in kebab case.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownKey(_) => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::Revoked { .. } => "revoked",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::OtherMachine => "other-machine",
        }
    }
}

/// Why a revocation list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedList {
    /// It is not valid. A list that is past its `exp` is still accepted: what it revokes stays revoked.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is older than the known one: a revocation may be hidden.
    #[error("the revocation list has the number {given}, but one with the number {known} is known: fetch it again")]
    Older {
        /// Its number.
        given: u64,
        /// The number of the known one.
        known: u64,
    },
}

/// Verifies tokens with a set of keys and, if there is one, a revocation list.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: Option<String>,
    keys: Keys,
    revocations: Option<RevocationList>,
}

impl Verifier {
    /// Accepts tokens of an issuer, the URL of the service, that are signed by one of the keys.
    pub fn new(issuer: impl Into<String>, keys: Keys) -> Self {
        Self { issuer: Some(issuer.into()), keys, revocations: None }
    }

    /// Accepts tokens of any issuer that are signed by one of the keys.
    pub fn of_any_issuer(keys: Keys) -> Self {
        Self { issuer: None, keys, revocations: None }
    }

    /// The number of the revocation list that is known: keep it, to refuse lower ones later.
    pub fn revocation_seq(&self) -> Option<u64> {
        self.revocations.as_ref().map(|list| list.seq)
    }

    /// Accepts a revocation list, unless it is older than the known one.
    ///
    /// # Errors
    /// If it is not valid, or older.
    pub fn accept_revocations(&mut self, token: &str) -> Result<&RevocationList, RefusedList> {
        let list: RevocationList = self.read(token, |list: &RevocationList| &list.iss)?;
        match self.revocation_seq() {
            Some(known) if list.seq < known => Err(RefusedList::Older { given: list.seq, known }),
            _ => Ok(self.revocations.insert(list)),
        }
    }

    /// Verifies a licence at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn verify(&self, token: &str, now: i64) -> Result<Claims, Invalid> {
        let claims: Claims = self.read(token, |claims: &Claims| &claims.iss)?;
        self.must_not_be_revoked(&claims.jti)?;
        match () {
            () if now < claims.nbf => Err(Invalid::NotYetValid),
            () if now >= claims.exp => Err(Invalid::Expired),
            () => Ok(claims),
        }
    }

    /// Verifies the lease of a licence on this machine at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn verify_lease(&self, token: &str, licence: &Claims, machine: &str, now: i64) -> Result<Lease, Invalid> {
        let lease: Lease = self.read(token, |lease: &Lease| &lease.iss)?;
        if lease.jti != licence.jti || lease.machine != machine {
            return Err(Invalid::OtherMachine);
        }
        self.must_not_be_revoked(&lease.jti)?;
        if now >= lease.exp { Err(Invalid::Expired) } else { Ok(lease) }
    }

    fn must_not_be_revoked(&self, jti: &str) -> Result<(), Invalid> {
        let mut revoked = self.revocations.iter().flat_map(|list| &list.revoked);
        match revoked.find(|it| it.jti == jti) {
            Some(Revoked { at, reason, .. }) => Err(Invalid::Revoked { at: *at, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Form, header, key, signature, claims and issuer, in this order.
    fn read<T: Token>(&self, token: &str, issuer: impl Fn(&T) -> &String) -> Result<T, Invalid> {
        let parts = Parts::of::<T>(token)?;
        let key = self.keys.get(&parts.kid).ok_or_else(|| Invalid::UnknownKey(parts.kid.clone()))?;
        if !key.has_signed(parts.signed, &parts.signature) {
            return Err(Invalid::BadSignature);
        }
        let claims: T = parts.claims()?;
        match &self.issuer {
            Some(expected) if issuer(&claims) != expected => Err(Malformed("it has another issuer").into()),
            _ => Ok(claims),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::{Kind, Signer};

    const ISSUER: &str = "https://porttask.example";

    fn claims() -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            jti: "lic_1".to_owned(),
            sub: "org_1".to_owned(),
            kind: Kind::Partner,
            iat: 100,
            nbf: 100,
            exp: 200,
            activations: 1,
            features: Vec::new(),
            limits: [("users".to_owned(), 3)].into(),
            reseller: Some("Harbour IT".to_owned()),
        }
    }

    fn list(seq: u64, revoked: &[&str]) -> RevocationList {
        let revoked = revoked.iter().map(|jti| Revoked { jti: (*jti).to_owned(), at: 90, reason: "lost".to_owned() });
        RevocationList { iss: ISSUER.to_owned(), seq, iat: 100, exp: 200, revoked: revoked.collect() }
    }

    fn verifier(signer: &Signer) -> Verifier {
        Verifier::new(ISSUER, Keys::from_iter([signer.public()]))
    }

    #[test]
    fn a_lower_list_is_refused_and_the_known_one_stays() {
        let signer = Signer::from_seed([1; 32]);
        let mut verifier = verifier(&signer);
        verifier.accept_revocations(&signer.sign(&list(2, &["lic_1"]))).unwrap();
        let older = verifier.accept_revocations(&signer.sign(&list(1, &[])));
        assert_eq!(older, Err(RefusedList::Older { given: 1, known: 2 }));
        let verified = verifier.verify(&signer.sign(&claims()), 150);
        assert_eq!(verified, Err(Invalid::Revoked { at: 90, reason: "lost".to_owned() }));
        verifier.accept_revocations(&signer.sign(&list(3, &[]))).unwrap();
        assert_eq!(verifier.verify(&signer.sign(&claims()), 150), Ok(claims()));
    }

    #[test]
    fn a_lease_is_for_one_licence_and_one_machine() {
        let signer = Signer::from_seed([1; 32]);
        let verifier = verifier(&signer);
        let lease = |machine: &str, jti: &str| Lease {
            iss: ISSUER.to_owned(),
            jti: jti.to_owned(),
            machine: machine.to_owned(),
            iat: 100,
            exp: 130,
        };
        let verified = |it: &Lease, now| verifier.verify_lease(&signer.sign(it), &claims(), "m", now);
        assert_eq!(verified(&lease("m", "lic_1"), 129), Ok(lease("m", "lic_1")));
        assert_eq!(verified(&lease("m", "lic_1"), 130), Err(Invalid::Expired));
        assert_eq!(verified(&lease("n", "lic_1"), 129), Err(Invalid::OtherMachine));
        assert_eq!(verified(&lease("m", "lic_2"), 129), Err(Invalid::OtherMachine));
    }

    #[test]
    fn a_token_is_no_token_of_another_type() {
        let signer = Signer::from_seed([1; 32]);
        let mut verifier = verifier(&signer);
        let refused = verifier.accept_revocations(&signer.sign(&claims()));
        assert!(matches!(refused, Err(RefusedList::Invalid(Invalid::Malformed(_)))), "{refused:?}");
    }

    #[test]
    fn a_jwk_set_round_trips_and_a_wrong_kid_is_refused() {
        let keys = Keys::from_iter([Signer::from_seed([1; 32]).public(), Signer::from_seed([2; 32]).public()]);
        let json = keys.to_jwks();
        assert_eq!(Keys::from_jwks(&json), Ok(keys));
        let kid = Signer::from_seed([1; 32]).public().kid();
        assert!(Keys::from_jwks(&json.replace(&format!("\"{kid}\""), "\"other\"")).is_err());
        assert!(Keys::from_jwks(r#"{"keys":[{"kty":"RSA","n":"1"}]}"#).unwrap().is_empty());
        assert!(Keys::from_jwks("[]").is_err());
    }
}

//! Static validation of an append, before it is queued: what fails here can never be recorded.

use bytes::Bytes;

use super::{Append, AppendError, Constraint, EventId, NewEvent, OrganizationId, StreamId};

/// Maximum number of events of one append.
pub const MAX_EVENTS: usize = 1_000;
/// Maximum size of one event's data, in bytes.
pub const MAX_DATA_BYTES: usize = 1 << 20;
/// Maximum size of one event's meta, in bytes.
pub const MAX_META_BYTES: usize = 1 << 16;
/// Maximum size of all data and meta of one append, in bytes.
pub const MAX_APPEND_BYTES: usize = 8 << 20;
/// Maximum number of expected versions, and likewise of constraints, keys and secrets, of one append.
pub const MAX_CONDITIONS: usize = 1_000;

impl Append {
    /// The streams that the append reads or writes.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        let read = self.expected.iter().map(|expected| &expected.stream);
        read.chain(self.events.iter().map(|event| &event.stream))
    }

    /// Whether any part of the append concerns the platform organization, so that its partition must be locked too.
    pub fn touches_platform(&self) -> bool {
        self.creates_organization || self.owners().any(|owner| owner == OrganizationId::PLATFORM)
    }

    /// The organizations whose streams, constraints, keys and secrets the append concerns.
    fn owners(&self) -> impl Iterator<Item = OrganizationId> {
        let streams = self.streams().map(|stream| stream.organization);
        let keys = self.person_keys.iter().map(|key| key.id.organization);
        let secrets = self.secrets.iter().map(|secret| secret.id.organization);
        streams.chain(self.constraints.iter().map(Constraint::organization)).chain(keys).chain(secrets)
    }

    /// The size of data and meta, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.events.iter().map(|event| event.data.len() + event.meta.len()).sum()
    }

    /// Validates the append. Engines call this before they queue it.
    ///
    /// # Errors
    /// [`AppendError::Malformed`], saying what is wrong.
    pub fn check(&self) -> Result<(), AppendError> {
        self.defect().map_or(Ok(()), |defect| Err(AppendError::Malformed(defect)))
    }

    fn defect(&self) -> Option<String> {
        let is_blank = |event: &&NewEvent| event.data.is_empty() || event.meta.is_empty();
        let is_foreign = |owner: OrganizationId| owner != self.organization && owner != OrganizationId::PLATFORM;
        if self.events.is_empty() && self.idempotency_key.is_none() {
            return Some("nothing to record: events or an idempotency key are required".to_owned());
        }
        let brings_nothing = self.constraints.is_empty() && self.person_keys.is_empty() && self.secrets.is_empty();
        if self.events.is_empty() && (self.creates_organization || !brings_nothing) {
            return Some("constraints, creations, keys and secrets require at least one event".to_owned());
        }
        if self.creates_organization && self.organization == OrganizationId::PLATFORM {
            return Some("the platform organization always exists and cannot be created".to_owned());
        }
        if let Some(owner) = self.owners().find(|owner| is_foreign(*owner)) {
            return Some(format!("the append is for organization {} but also concerns {owner}", self.organization));
        }
        if self.events.len() > MAX_EVENTS || self.size_bytes() > MAX_APPEND_BYTES {
            return Some(format!("more than {MAX_EVENTS} events or {MAX_APPEND_BYTES} bytes"));
        }
        let counts = [self.expected.len(), self.constraints.len(), self.person_keys.len(), self.secrets.len()];
        if counts.iter().any(|count| *count > MAX_CONDITIONS) {
            return Some(format!("more than {MAX_CONDITIONS} expected versions, constraints, keys or secrets"));
        }
        let keys = self.person_keys.iter().map(|key| &key.wrapped);
        let mut kept = keys.chain(self.secrets.iter().map(|secret| &secret.hash));
        if kept.any(|bytes| bytes.is_empty() || bytes.len() > 200) {
            return Some("wrapped keys and hashes of secrets must have 1 to 200 bytes".to_owned());
        }
        if let Some(event) = self.events.iter().find(is_blank) {
            return Some(format!("event {} has empty data or meta: blank is reserved for purged events", event.id));
        }
        let is_large = |bytes: &Bytes, limit| bytes.len() > limit;
        let large = |event: &&NewEvent| is_large(&event.data, MAX_DATA_BYTES) || is_large(&event.meta, MAX_META_BYTES);
        if let Some(event) = self.events.iter().find(large) {
            let EventId(id) = event.id;
            return Some(format!(
                "event {id} has more than {MAX_DATA_BYTES} bytes of data or {MAX_META_BYTES} of meta"
            ));
        }
        self.defective_name()
    }

    fn defective_name(&self) -> Option<String> {
        let is_bad = |name: &str, longest: usize| name.is_empty() || name.len() > longest || name.contains('\0');
        let guard_is_bad = |constraint: &Constraint| match constraint {
            Constraint::Claim(claim) | Constraint::Release(claim) => {
                is_bad(&claim.key.kind, 50) || is_bad(&claim.owner, 200)
            }
            Constraint::Count(counter) => is_bad(&counter.key.name, 50),
        };
        if self.constraints.iter().any(guard_is_bad) {
            return Some("the names of a constraint must have 1 to 50 bytes, its owner 1 to 200".to_owned());
        }
        if self
            .idempotency_key
            .as_ref()
            .is_some_and(|idempotency_key| is_bad(&idempotency_key.scope, 200) || is_bad(&idempotency_key.key, 255))
        {
            return Some("the scope of an `IdempotencyKey` must have 1 to 200 bytes, its key 1 to 255".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Claim, ClaimKey, EventType, IdempotencyKey};

    fn organization() -> OrganizationId {
        OrganizationId(uuid::Uuid::from_u128(7))
    }

    fn event() -> NewEvent {
        NewEvent {
            id: EventId::generate(),
            stream: StreamId::new(organization(), "user-1").unwrap(),
            event_type: EventType::new("user.renamed.v1").unwrap(),
            data: Bytes::from_static(b"{}"),
            meta: Bytes::from_static(b"{}"),
        }
    }

    fn append(event: NewEvent) -> Append {
        Append::new(organization(), vec![event])
    }

    #[test]
    fn malformed_appends_are_refused_with_a_reason() {
        let nothing = Append::new(organization(), vec![]);
        let key = ClaimKey { organization: organization(), kind: "email".into(), hash: [1; 32] };
        let claim = Constraint::Claim(Claim { key, owner: String::new() });
        let idempotency_key = IdempotencyKey {
            scope: "test".into(),
            key: "a\0b".into(),
            request_hash: [1; 32],
            kept_for: jiff::SignedDuration::ZERO,
        };
        for (malformed, reason) in [
            (Append::new(OrganizationId::PLATFORM, vec![event()]), "concerns"),
            (append(NewEvent { data: Bytes::new(), ..event() }), "blank"),
            (append(NewEvent { data: vec![b'x'; MAX_DATA_BYTES + 1].into(), ..event() }), "bytes of data"),
            (Append::new(organization(), vec![event(); MAX_EVENTS + 1]), "events"),
            (append(event()).constrained(claim), "constraint"),
            (append(event()).idempotency_key(idempotency_key), "IdempotencyKey"),
            (nothing.clone(), "nothing"),
            (nothing.creates_organization(), "nothing"),
        ] {
            let Err(AppendError::Malformed(message)) = malformed.check() else { panic!("accepted: {reason}") };
            assert!(message.contains(reason), "{message}");
        }
        append(event()).check().unwrap();
    }
}

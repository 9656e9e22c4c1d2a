//! The part of a batch's [`Questions`] that concerns one partition, as query parameters.

use porttask_runtime::log::{Head, OrganizationId, PartitionId, admission::Questions};
use uuid::Uuid;

use crate::log::memory::Memory;

/// Arrays of equal length, one per column.
pub(super) struct PartitionQuestions<'a> {
    pub(super) partition: i32,
    /// The cached head of the partition; `None` if unknown.
    pub(super) head: Option<Head>,
    /// The streams that are not cached.
    pub(super) streams: (Vec<Uuid>, Vec<&'a str>),
    pub(super) claims: (Vec<Uuid>, Vec<&'a str>, Vec<&'a [u8]>),
    pub(super) counters: (Vec<Uuid>, Vec<&'a str>),
    pub(super) idempotency_keys: (Vec<Uuid>, Vec<&'a str>, Vec<&'a str>),
    pub(super) person_keys: (Vec<Uuid>, Vec<Uuid>, Vec<&'static str>),
    /// Looked up only for partition 0, which holds the registry.
    pub(super) creations: Vec<Uuid>,
}

impl<'a> PartitionQuestions<'a> {
    pub(super) fn new(questions: &'a Questions, memory: &Memory) -> Self {
        let here = |organization: OrganizationId| memory.is_home_of(organization);
        let cold = questions.streams.iter().filter(|stream| here(stream.organization) && !memory.remembers(stream));
        let claims = questions.claims.iter().filter(|key| here(key.organization));
        let counters = questions.counters.iter().filter(|key| here(key.organization));
        let idempotency_keys = questions.idempotency_keys.iter().filter(|key| here(key.organization));
        let creations = questions.creations.iter().filter(|_| memory.partition() == PartitionId::PLATFORM);
        let mut asked = Self {
            partition: i32::from(memory.partition().0),
            head: memory.known_head(),
            streams: cold.map(|stream| (stream.organization.0, stream.name.as_str())).unzip(),
            claims: Default::default(),
            counters: counters.map(|key| (key.organization.0, key.name.as_ref())).unzip(),
            idempotency_keys: Default::default(),
            person_keys: Default::default(),
            creations: creations.map(|organization| organization.0).collect(),
        };
        for key in claims {
            asked.claims.0.push(key.organization.0);
            asked.claims.1.push(&key.kind);
            asked.claims.2.push(&key.hash);
        }
        for key in idempotency_keys {
            asked.idempotency_keys.0.push(key.organization.0);
            asked.idempotency_keys.1.push(&key.scope);
            asked.idempotency_keys.2.push(&key.key);
        }
        for key in questions.person_keys.iter().filter(|key| here(key.organization)) {
            asked.person_keys.0.push(key.organization.0);
            asked.person_keys.1.push(key.person.0);
            asked.person_keys.2.push(key.sealing.name());
        }
        asked
    }
}

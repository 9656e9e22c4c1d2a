use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{Personal, UserId, identity::user};
use uuid::Uuid;

use super::*;
use crate::ledger::{ConstraintRepair, ConstraintSnapshot};
use crate::log::{
    CounterKey, Head, LeafHash, LogError, Offset, PartitionId, Position, SecretId, Version,
    admission::{IdempotencyRecord, IdempotencyRecordKey},
};

/// An in-memory ledger.
#[derive(Default)]
struct Shelf {
    persons: Mutex<HashMap<PersonKeyId, StoredKey>>,
    purposes: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl Ledger for Shelf {
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError> {
        let persons = self.persons.lock().unwrap();
        Ok(ids.iter().map(|id| persons.get(id).cloned()).collect())
    }

    async fn count(&self, _: &CounterKey) -> Result<i64, LogError> {
        unreachable!()
    }

    async fn holder(&self, _: &ClaimKey) -> Result<Option<String>, LogError> {
        Ok(None)
    }

    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError> {
        let mut persons = self.persons.lock().unwrap();
        let theirs = persons.iter_mut().filter(|(id, _)| (id.organization, id.person) == (organization, person));
        Ok(theirs.map(|(_, key)| *key = StoredKey::Destroyed).count() as u64)
    }

    async fn all_person_keys(
        &self,
        after: Option<PersonKeyId>,
        limit: usize,
    ) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError> {
        let persons = self.persons.lock().unwrap();
        let mut all: Vec<(PersonKeyId, Vec<u8>)> = persons
            .iter()
            .filter(|(id, _)| after.is_none_or(|after| **id > after))
            .filter_map(|(id, key)| match key {
                StoredKey::Wrapped(wrapped) => Some((*id, wrapped.clone())),
                StoredKey::Destroyed => None,
            })
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.truncate(limit);
        Ok(all)
    }

    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError> {
        let mut persons = self.persons.lock().unwrap();
        for (id, _, new) in keys {
            persons.insert(*id, StoredKey::Wrapped(new.clone()));
        }
        Ok(keys.len() as u64)
    }

    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        Ok(self.purposes.lock().unwrap().clone().into_iter().collect())
    }

    async fn rewrap_purpose_key(&self, purpose: &str, _: &[u8], new: &[u8]) -> Result<(), LogError> {
        self.purposes.lock().unwrap().insert(purpose.to_owned(), new.to_vec());
        Ok(())
    }

    async fn idempotency_record(&self, _: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError> {
        Ok(None)
    }

    async fn secret(&self, _: &SecretId) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }

    async fn constrained(&self) -> Result<ConstraintSnapshot, LogError> {
        Err(LogError::Unavailable("this ledger stores only keys".to_owned()))
    }

    async fn repair(&self, _: &[Head], _: &ConstraintRepair) -> Result<bool, LogError> {
        Ok(false)
    }

    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError> {
        Ok(self.purposes.lock().unwrap().entry(purpose.to_owned()).or_insert_with(|| wrapped.to_vec()).clone())
    }
}

fn master(byte: u8) -> MasterKey {
    MasterKey::new(&[byte; 32])
}

async fn vault(shelf: &Arc<Shelf>) -> Vault {
    Vault::open(Arc::<Shelf>::clone(shelf), MasterKeys::new(master(1), vec![])).await.unwrap()
}

fn acme() -> OrganizationId {
    OrganizationId(Uuid::from_u128(7))
}

fn ana() -> UserId {
    UserId(Uuid::from_u128(11))
}

fn meta() -> Meta {
    let actor = Actor::User { organization: acme(), user: ana() };
    Meta { ip: Some(Personal::trace(ana(), "192.0.2.7")), ..Meta::by(actor) }
}

fn invited() -> DomainEvent {
    let role = porttask_domain::identity::Role::Agent;
    DomainEvent::User(user::Event::Invited {
        name: Personal::identity(ana(), "Ana Souza"),
        email: Personal::identity(ana(), "ana@acme.example"),
        address_rules: 1,
        role,
        permissions: role.ceiling(),
        expires_at: Timestamp::UNIX_EPOCH,
    })
}

/// Seals a domain event and stores its keys; returns it as the log would.
async fn recorded(vault: &Vault, shelf: &Shelf, domain_event: DomainEvent) -> RecordedEvent {
    let stream = StreamId::new(acme(), "user-1").unwrap();
    let SealedEvents { mut events, keys } = vault.seal(acme(), &[(stream, domain_event)], &meta()).await.unwrap();
    for key in keys {
        assert!(shelf.persons.lock().unwrap().insert(key.id, StoredKey::Wrapped(key.wrapped)).is_none());
    }
    let event = events.remove(0);
    RecordedEvent {
        position: Position { partition: PartitionId(0), offset: Offset(1) },
        id: event.id,
        stream: event.stream,
        version: Version(1),
        event_type: event.event_type,
        recorded_at: Timestamp::UNIX_EPOCH,
        data: event.data,
        meta: event.meta,
        leaf_hash: LeafHash([0; 32]),
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

#[test]
fn what_was_sealed_is_opened_by_any_node_and_stands_nowhere_in_the_open() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let event = recorded(&vault(&shelf).await, &shelf, invited()).await;
        let stored = String::from_utf8([&event.data[..], &event.meta[..]].concat()).unwrap();
        for secret in ["Ana", "Souza", "acme.example", "192.0.2.7"] {
            assert!(!stored.contains(secret), "{secret} is in {stored}");
        }
        let other = vault(&shelf).await;
        assert_eq!(other.domain_events(std::slice::from_ref(&event)).await.unwrap(), [invited()]);
        assert_eq!(other.metas(std::slice::from_ref(&event)).await.unwrap(), [meta()]);
    });
}

#[test]
fn a_person_has_two_keys_from_the_start_and_keeps_them() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let vault = vault(&shelf).await;
        recorded(&vault, &shelf, invited()).await;
        assert_eq!(shelf.persons.lock().unwrap().len(), 2);
        recorded(&vault, &shelf, invited()).await;
        assert_eq!(shelf.persons.lock().unwrap().len(), 2);
    });
}

#[test]
fn what_was_erased_reads_as_erased_and_is_never_recorded_again() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let vault = vault(&shelf).await;
        let event = recorded(&vault, &shelf, invited()).await;
        vault.erase(acme(), ana().into()).await.unwrap();
        let domain_events = vault.domain_events(std::slice::from_ref(&event)).await.unwrap();
        let [DomainEvent::User(user::Event::Invited { name, email, .. })] = &domain_events[..] else {
            panic!("{domain_events:?}")
        };
        assert_eq!((name.value(), email.value()), (None, None));
        assert_eq!(vault.metas(std::slice::from_ref(&event)).await.unwrap().remove(0).ip.unwrap().value(), None);
        let later = recorded(&vault, &shelf, invited()).await;
        assert!(!String::from_utf8_lossy(&later.data).contains("Ana"));
        assert_eq!(vault.domain_events(&[later]).await.unwrap(), domain_events);
    });
}

#[test]
fn what_was_changed_or_moved_is_noticed() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let vault = vault(&shelf).await;
        let event = recorded(&vault, &shelf, invited()).await;
        let swapped = String::from_utf8(event.data.to_vec()).unwrap();
        let swapped =
            swapped.replace("\"name\"", "\"x\"").replace("\"email\"", "\"name\"").replace("\"x\"", "\"email\"");
        let moved = RecordedEvent { id: EventId::generate(), ..event.clone() };
        let elsewhere = RecordedEvent { data: swapped.into(), ..event.clone() };
        for bad in [moved, elsewhere] {
            let opened = vault.domain_events(&[bad]).await;
            assert!(matches!(opened, Err(VaultError::Damaged { .. })), "{opened:?}");
        }
        shelf.persons.lock().unwrap().clear();
        let lost = super::tests::vault(&shelf).await.domain_events(&[event]).await;
        assert!(matches!(&lost, Err(VaultError::Damaged { what, .. }) if what.contains("no key")), "{lost:?}");
    });
}

#[test]
fn another_master_key_is_refused_at_the_door_and_a_former_one_still_opens() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let event = recorded(&vault(&shelf).await, &shelf, invited()).await;
        let open = |keys| Vault::open(Arc::<Shelf>::clone(&shelf), keys);
        let refused = open(MasterKeys::new(master(2), vec![])).await.err().unwrap();
        assert_eq!(refused, VaultError::OtherMasterKey(master(1).id()));
        assert!(refused.to_string().contains("PORTTASK_MASTER_KEY"));
        let rotated = open(MasterKeys::new(master(2), vec![master(1)])).await.unwrap();
        assert_eq!(rotated.domain_events(&[event]).await.unwrap(), [invited()]);
    });
}

#[test]
fn after_a_rotation_the_former_key_is_not_needed_any_more() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let event = recorded(&vault(&shelf).await, &shelf, invited()).await;
        let open = |keys| Vault::open(Arc::<Shelf>::clone(&shelf), keys);
        let both = open(MasterKeys::new(master(2), vec![master(1)])).await.unwrap();
        let rotated = both.rotate(&|_| ()).await.unwrap();
        assert_eq!((rotated.people, rotated.purposes), (2, 1));
        assert_eq!(both.rotate(&|_| ()).await.unwrap(), Rotated::default(), "nothing is left to rewrap");
        let only_new = open(MasterKeys::new(master(2), vec![])).await.unwrap();
        assert_eq!(only_new.domain_events(std::slice::from_ref(&event)).await.unwrap(), [invited()]);
        let only_old = open(MasterKeys::new(master(1), vec![])).await.err();
        assert_eq!(only_old, Some(VaultError::OtherMasterKey(master(2).id())));
    });
}

#[test]
fn names_are_claimed_under_hashes_that_differ_by_log_organization_and_kind() {
    run(async {
        let (shelf, other) = (Arc::new(Shelf::default()), Arc::new(Shelf::default()));
        let vault = vault(&shelf).await;
        let key = vault.claim_key(acme(), "email", "ana@acme.example");
        assert_eq!(super::tests::vault(&shelf).await.claim_key(acme(), "email", "ana@acme.example"), key);
        for different in [
            vault.claim_key(OrganizationId::PLATFORM, "email", "ana@acme.example"),
            vault.claim_key(acme(), "domain", "ana@acme.example"),
            vault.claim_key(acme(), "email", "bob@acme.example"),
            super::tests::vault(&other).await.claim_key(acme(), "email", "ana@acme.example"),
        ] {
            assert_ne!(different.hash, key.hash);
        }
    });
}

//! What enters the ledger with an append: keys of people with what they seal, hashes of secrets with what they open.

use futures_util::future::join_all;
use porttask_domain::{PersonId, Sealing};
use porttask_runtime::{
    ledger::StoredKey,
    log::{Append, AppendError, NewPersonKey, NewSecret, OrganizationId, PersonKeyId, SecretId, SecretKind, Version},
};
use porttask_tests::{Engine, Settings, Store, claim, found, on_both_engines, simple, stream};

on_both_engines! {
    a_key_enters_the_ledger_with_its_append,
    a_key_of_a_refused_append_does_not,
    of_two_racing_keys_one_is_recorded,
    a_destroyed_key_is_never_replaced,
    a_secret_enters_the_ledger_with_its_append_and_replaces_the_one_before,
    hashes_of_sessions_are_deleted_once_no_session_can_last_so_long,
    keys_of_people_elsewhere_are_not_touched,
    the_key_of_a_purpose_is_that_of_the_first_who_asked,
}

fn person(number: u128) -> PersonId {
    PersonId(uuid::Uuid::from_u128(number))
}

fn key(organization: OrganizationId, number: u128, sealing: Sealing, wrapped: &str) -> NewPersonKey {
    let id = PersonKeyId { organization, person: person(number), sealing };
    NewPersonKey { id, wrapped: wrapped.as_bytes().to_vec() }
}

fn with(organization: OrganizationId, key: NewPersonKey) -> Append {
    simple(organization, "user-1").with_person_key(key)
}

fn wrapped(text: &str) -> Option<StoredKey> {
    Some(StoredKey::Wrapped(text.as_bytes().to_vec()))
}

async fn a_key_enters_the_ledger_with_its_append(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let organization = found(&*log).await;
    let (identity, trace) =
        (key(organization, 1, Sealing::Identity, "one"), key(organization, 1, Sealing::Trace, "two"));
    let ids = [trace.id, identity.id, PersonKeyId { person: person(2), ..identity.id }];
    assert_eq!(log.person_keys(&ids).await.unwrap(), [None, None, None]);
    log.append(with(organization, identity).with_person_key(trace)).await.unwrap();
    assert_eq!(
        store.open_database(Settings::default()).await.person_keys(&ids).await.unwrap(),
        [wrapped("two"), wrapped("one"), None]
    );
}

async fn a_key_of_a_refused_append_does_not(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let organization = found(&*log).await;
    log.append(simple(organization, "a").constrained(claim(organization, "ana", "1"))).await.unwrap();
    let key = key(organization, 1, Sealing::Identity, "one");
    let refused = with(organization, key.clone()).constrained(claim(organization, "ana", "2"));
    assert!(matches!(log.append(refused).await, Err(AppendError::Constraint(_))));
    assert_eq!(log.person_keys(&[key.id]).await.unwrap(), [None]);
}

async fn of_two_racing_keys_one_is_recorded(store: Store) {
    let (one, other) = (store.open_database(Settings::default()).await, store.open_database(Settings::default()).await);
    let organization = found(&*one).await;
    for number in 0..10 {
        let racers = (0..8).map(|racer| {
            let log = if racer % 2 == 0 { &one } else { &other };
            log.append(with(organization, key(organization, number, Sealing::Identity, &racer.to_string())))
        });
        let answers = join_all(racers).await;
        let winners: Vec<usize> = (0..8).filter(|racer| answers[*racer].is_ok()).collect();
        let id = key(organization, number, Sealing::Identity, "").id;
        assert!(answers.iter().all(|it| it.is_ok() || it == &Err(AppendError::PersonKeyExists(id))), "{answers:?}");
        let [winner] = winners[..] else { panic!("{winners:?} brought a key") };
        assert_eq!(one.person_keys(&[id]).await.unwrap(), [wrapped(&winner.to_string())]);
    }
    // Only the winners' events are there.
    assert_eq!(one.versions(&[stream(organization, "user-1")]).await.unwrap(), [Version(10)]);
}

async fn a_destroyed_key_is_never_replaced(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let organization = found(&*log).await;
    let key = key(organization, 1, Sealing::Identity, "one");
    log.append(with(organization, key.clone())).await.unwrap();
    assert_eq!(log.destroy_person_keys(organization, person(1)).await.unwrap(), 1);
    assert_eq!(log.destroy_person_keys(organization, person(1)).await.unwrap(), 0);
    assert_eq!(log.person_keys(&[key.id]).await.unwrap(), [Some(StoredKey::Destroyed)]);
    let again = log.append(with(organization, key.clone())).await;
    assert_eq!(again, Err(AppendError::PersonKeyExists(key.id)));
}

async fn hashes_of_sessions_are_deleted_once_no_session_can_last_so_long(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let organization = found(&*log).await;
    let ids = [(1, SecretKind::Session), (2, SecretKind::Session), (1, SecretKind::Password)]
        .map(|(owner, kind)| SecretId { organization, owner: person(owner).0, kind });
    for id in ids {
        let stream = format!("session-{}", id.owner);
        log.append(simple(organization, &stream).with_secret(NewSecret { id, hash: b"hash".to_vec() })).await.unwrap();
    }
    // All but one of the sessions were recorded long ago.
    match store.engine() {
        Engine::Sqlite => {
            let database = rusqlite::Connection::open(store.file()).unwrap();
            let set = "UPDATE ledger_secrets SET recorded_at = recorded_at - 31 * 86400000000 WHERE owner = ?1";
            database.execute(set, [ids[0].owner.as_bytes()]).unwrap();
        }
        Engine::Postgres => {
            let owner = ids[0].owner;
            let set = "UPDATE ledger.secrets SET recorded_at = recorded_at - interval '31 days'";
            store.sql(&format!("{set} WHERE owner = '{owner}'")).await;
        }
    }
    log.forget_expired().await.unwrap();
    let mut left = Vec::new();
    for id in ids {
        left.push(log.secret(&id).await.unwrap().is_some());
    }
    assert_eq!(left, [false, true, true]);
}

async fn keys_of_people_elsewhere_are_not_touched(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    for organization in [here, there, OrganizationId::PLATFORM] {
        log.append(with(organization, key(organization, 1, Sealing::Identity, "one"))).await.unwrap();
    }
    log.destroy_person_keys(here, person(1)).await.unwrap();
    let ids = [here, there, OrganizationId::PLATFORM].map(|it| key(it, 1, Sealing::Identity, "").id);
    let expected = [Some(StoredKey::Destroyed), wrapped("one"), wrapped("one")];
    assert_eq!(log.person_keys(&ids).await.unwrap(), expected);
    let foreign = with(here, key(there, 2, Sealing::Identity, "one"));
    assert!(matches!(log.append(foreign).await, Err(AppendError::Malformed(_))));
}

async fn the_key_of_a_purpose_is_that_of_the_first_who_asked(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    let candidates: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 4]).collect();
    let asked = candidates.iter().enumerate().map(|(index, it)| nodes[index % 2].purpose_key("names", it));
    let answers: Vec<Vec<u8>> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert!(candidates.contains(&answers[0]) && answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_ne!(nodes[0].purpose_key("links", b"other").await.unwrap(), answers[0]);
}

async fn a_secret_enters_the_ledger_with_its_append_and_replaces_the_one_before(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let secret = |organization, hash: &str| {
        let id = SecretId { organization, owner: person(1).0, kind: SecretKind::Session };
        NewSecret { id, hash: hash.as_bytes().to_vec() }
    };
    let id = secret(here, "").id;
    let append = |hash| simple(here, "session-1").with_secret(secret(here, hash));
    assert_eq!(log.secret(&id).await.unwrap(), None);
    let conflicting = append("zero").expecting(stream(here, "session-1"), Version(7));
    assert!(log.append(conflicting).await.is_err());
    assert_eq!(log.secret(&id).await.unwrap(), None, "of a refused append");
    for hash in ["one", "two"] {
        log.append(append(hash)).await.unwrap();
        let other = store.open_database(Settings::default()).await;
        assert_eq!(other.secret(&id).await.unwrap().unwrap(), hash.as_bytes());
        assert_eq!(other.secret(&secret(there, "").id).await.unwrap(), None);
    }
    let foreign = simple(here, "session-1").with_secret(secret(there, "one"));
    assert!(matches!(log.append(foreign).await, Err(AppendError::Malformed(_))));
}

//! When sessions and keys were last used.

use jiff::Timestamp;
use porttask_domain::PersonId;
use porttask_runtime::{
    credential_activity::ActivityRecord,
    log::{OrganizationId, SecretKind},
};
use porttask_tests::{Settings, Store, found, on_both_engines};
use uuid::Uuid;

on_both_engines! {
    the_latest_use_is_kept,
    uses_of_others_are_not_shown,
    old_uses_are_forgotten,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn used(organization: OrganizationId, owner: u128, second: i64) -> ActivityRecord {
    ActivityRecord {
        organization,
        owner: Uuid::from_u128(owner),
        kind: SecretKind::Session,
        at: at(second),
        home: OrganizationId::PLATFORM,
        person: PersonId(Uuid::from_u128(9)),
        trace: Some(second.to_be_bytes().to_vec()),
    }
}

async fn the_latest_use_is_kept(store: Store) {
    let (one, two) = (store.open_database(Settings::default()).await, store.open_database(Settings::default()).await);
    let organization = found(&*one).await;
    let [id, other] = [1, 2].map(Uuid::from_u128);
    assert_eq!(one.last_seen(organization, &[id, other]).await.unwrap(), []);
    one.record_activity(&[used(organization, 1, 20), used(organization, 2, 21)]).await.unwrap();
    two.record_activity(&[used(organization, 1, 10)]).await.unwrap();
    assert_eq!(two.last_seen(organization, &[id]).await.unwrap(), [used(organization, 1, 20)]);
    let later = ActivityRecord { trace: None, kind: SecretKind::Session, ..used(organization, 1, 30) };
    two.record_activity(std::slice::from_ref(&later)).await.unwrap();
    let mut found = one.last_seen(organization, &[id, other]).await.unwrap();
    found.sort_by_key(|it| it.owner);
    assert_eq!(found, [later, used(organization, 2, 21)]);
    one.record_activity(&[]).await.unwrap();
}

async fn uses_of_others_are_not_shown(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let (acme, umbra) = (found(&*log).await, found(&*log).await);
    log.record_activity(&[used(acme, 1, 20)]).await.unwrap();
    assert_eq!(log.last_seen(umbra, &[Uuid::from_u128(1)]).await.unwrap(), []);
}

async fn old_uses_are_forgotten(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let organization = found(&*log).await;
    let key = ActivityRecord { kind: SecretKind::ApiKey, ..used(organization, 3, 0) };
    log.record_activity(&[used(organization, 1, 0), used(organization, 2, 5), key.clone()]).await.unwrap();
    assert_eq!(log.delete_activity(SecretKind::Session, at(5)).await.unwrap(), 1);
    let ids = [1, 2, 3].map(Uuid::from_u128);
    let mut left = log.last_seen(organization, &ids).await.unwrap();
    left.sort_by_key(|it| it.owner);
    assert_eq!(left, [used(organization, 2, 5), key]);
}

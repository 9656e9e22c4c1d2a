//! Organizations and where they live.

use futures_util::future::join_all;
use porttask_runtime::log::{AppendError, OrganizationId, PartitionId, Version};
use porttask_tests::{
    History, Store, claim, found, holder_of, idempotency_key, on_both_engines, platform_stream, simple, stream,
};

on_both_engines! {
    an_organization_is_founded_once,
    of_racing_foundings_one_holds,
    an_unknown_organization_is_refused,
    a_refused_founding_founds_nothing,
    the_platform_exists_from_the_start,
    an_organization_stays_in_its_partition,
    a_founding_and_its_first_appends_may_race,
}

async fn an_organization_is_founded_once(store: Store) {
    let log = store.open().await;
    let organization = porttask_runtime::new_id::<OrganizationId>();
    assert_eq!(log.partition_of(organization).await.unwrap(), None);
    let appended = log.append(simple(organization, "organization").creates_organization()).await.unwrap();
    assert_eq!(log.partition_of(organization).await.unwrap(), Some(appended.position.partition));
    let again = log.append(simple(organization, "organization").creates_organization()).await;
    assert_eq!(again, Err(AppendError::OrganizationExists(organization)));
    assert_eq!(log.versions(&[stream(organization, "organization")]).await.unwrap(), [Version(1)]);
}

async fn of_racing_foundings_one_holds(store: Store) {
    let log = store.open().await;
    let other_node = store.open().await;
    let organization = porttask_runtime::new_id::<OrganizationId>();
    let creates_organization =
        |number: usize| simple(organization, format!("organization-{number}")).creates_organization();
    let nodes = [&log, &other_node];
    let answers = join_all((0..10).map(|number| nodes[number % 2].append(creates_organization(number)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let exists = Err(AppendError::OrganizationExists(organization));
    assert_eq!(answers.iter().filter(|answer| **answer == exists).count(), 9, "{answers:?}");
    let history = History::of(&*log).await;
    history.assert_sound();
    assert_eq!(history.events().count(), 1);
}

async fn an_unknown_organization_is_refused(store: Store) {
    let log = store.open().await;
    let stranger = porttask_runtime::new_id::<OrganizationId>();
    let unknown = Err(AppendError::UnknownOrganization(stranger));
    assert_eq!(log.append(simple(stranger, "a")).await, unknown);
    let mut only_once = simple(stranger, "a").idempotency_key(idempotency_key("k", "request"));
    only_once.events.clear();
    assert_eq!(log.append(only_once).await, unknown);
    assert_eq!(log.partition_of(stranger).await.unwrap(), None);
    assert_eq!(History::of(&*log).await.events().count(), 0);
    assert_eq!(log.versions(&[stream(stranger, "a")]).await.unwrap(), [Version::NONE]);
    assert_eq!(log.read_stream(&stream(stranger, "a"), Version::NONE, 10).await.unwrap(), []);
}

async fn a_refused_founding_founds_nothing(store: Store) {
    let log = store.open().await;
    let platform = OrganizationId::PLATFORM;
    log.append(simple(platform, "domains").constrained(claim(platform, "example.org", "org_1"))).await.unwrap();
    let organization = porttask_runtime::new_id::<OrganizationId>();
    let creates_organization =
        |name| simple(organization, "organization").creates_organization().constrained(claim(platform, name, "org_2"));
    log.append(creates_organization("example.org")).await.unwrap_err();
    assert_eq!(log.partition_of(organization).await.unwrap(), None);
    assert_eq!(
        log.append(simple(organization, "a")).await,
        Err(AppendError::UnknownOrganization(organization)),
        "an absence is not remembered as a creates_organization"
    );
    log.append(creates_organization("example.net")).await.unwrap();
    assert_eq!(holder_of(&*log, platform, "example.net").await.as_deref(), Some("org_2"));
    log.append(simple(organization, "a")).await.unwrap();
}

async fn the_platform_exists_from_the_start(store: Store) {
    let log = store.open().await;
    assert_eq!(log.partition_of(OrganizationId::PLATFORM).await.unwrap(), Some(PartitionId::PLATFORM));
    log.append(simple(OrganizationId::PLATFORM, "a").expecting(platform_stream("a"), Version::NONE)).await.unwrap();
}

async fn an_organization_stays_in_its_partition(store: Store) {
    let log = store.open().await;
    let mut homes = Vec::new();
    for _ in 0..20 {
        let organization = found(&*log).await;
        homes.push((organization, log.partition_of(organization).await.unwrap()));
    }
    let partitions = log.heads().await.unwrap().len();
    let reopened = store.open().await;
    for (organization, home) in homes {
        assert_eq!(reopened.partition_of(organization).await.unwrap(), home);
        let appended = reopened.append(simple(organization, "a")).await.unwrap();
        assert_eq!(Some(appended.position.partition), home);
        assert!(usize::from(appended.position.partition.0) < partitions);
    }
    History::of(&*log).await.assert_sound();
}

async fn a_founding_and_its_first_appends_may_race(store: Store) {
    let log = store.open().await;
    for _ in 0..10 {
        let organization = porttask_runtime::new_id::<OrganizationId>();
        let creates_organization = log.append(simple(organization, "organization").creates_organization());
        let early = join_all((0..5).map(|_| log.append(simple(organization, "a"))));
        let (founded, early) = tokio::join!(creates_organization, early);
        founded.unwrap();
        let recorded = early.iter().filter(|answer| answer.is_ok()).count();
        let refused = Err(AppendError::UnknownOrganization(organization));
        assert_eq!(early.iter().filter(|answer| **answer == refused).count(), 5 - recorded, "{early:?}");
        let version = log.versions(&[stream(organization, "a")]).await.unwrap();
        assert_eq!(version, [Version(recorded as u64)]);
    }
}

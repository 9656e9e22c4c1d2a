//! Units of work that read more than one stream.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{Capability, Organization, Role, User, organization, user},
};
use porttask_runtime::{
    execute::{ExecuteError, Request, Tx, stream_of},
    log::Version,
};
use porttask_tests::{Acme, Node, Store, become_role, create, invite, on_both_engines};
use uuid::Uuid;

on_both_engines! {
    another_aggregate_that_changes_before_the_append_is_read_again,
    a_platform_stream_that_changes_before_the_append_is_read_again,
    a_platform_stream_that_is_only_read_is_not_locked,
    an_error_is_returned_only_if_it_is_based_on_current_state,
    every_attempt_has_the_same_ids_and_the_same_time,
    a_required_version_is_not_retried,
    an_organization_does_not_read_another_one,
    sixty_four_callers_change_one_stream,
    callers_who_count_at_once_count_each_number_once,
    a_repeated_request_has_no_value,
}

/// Makes the organization of the platform.
async fn platform(node: &Node) {
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    let platform = OrganizationId::PLATFORM;
    node.executor.execute::<Organization>(platform, create("platform.example"), &request).await.unwrap();
}

async fn rename_platform(node: &Node, name: &str) {
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    let rename = organization::Command::Rename { name: organization::OrganizationName::new(name).unwrap() };
    node.executor.execute::<Organization>(OrganizationId::PLATFORM, rename, &request).await.unwrap();
}

/// The role of the first admin decides about the role of another user; the first attempt is overtaken.
async fn another_aggregate_that_changes_before_the_append_is_read_again(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let eve = one.joined(&acme, "eve@acme.example", Role::Admin).await;
    let (seen, acme, two) = (&Mutex::new(Vec::new()), &acme, &two);
    let follow = move |tx: Tx| async move {
        let role = tx.read::<User>(eve).await?.rights().map(|(role, _)| role).unwrap();
        let is_first = {
            let mut seen = seen.lock().unwrap();
            seen.push(role);
            seen.len() == 1
        };
        if is_first {
            two.user(acme, eve, become_role(Role::Auditor)).await.unwrap();
        }
        tx.decide::<User>(bob, &become_role(role)).await
    };
    let done = one.executor.transact(&acme.request(), follow).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [Role::Admin, Role::Auditor]);
    assert!(!done.events.is_empty());
    let (state, _) = one.executor.load::<User>(acme.organization, bob).await.unwrap();
    assert_eq!(state.rights().map(|(role, _)| role), Some(Role::Auditor));
}

async fn a_platform_stream_that_changes_before_the_append_is_read_again(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    platform(&one).await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    // From now on the first node has the platform's organization in memory, at an old version.
    one.executor.load::<Organization>(OrganizationId::PLATFORM, OrganizationId::PLATFORM).await.unwrap();
    rename_platform(&two, "Renamed").await;
    let attempts = &AtomicUsize::new(0);
    let decide = move |tx: Tx| async move {
        attempts.fetch_add(1, Ordering::Relaxed);
        tx.read_in::<Organization>(OrganizationId::PLATFORM, OrganizationId::PLATFORM).await?;
        tx.decide::<User>(bob, &become_role(Role::Auditor)).await
    };
    one.executor.transact(&acme.request(), decide).await.unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 2, "the first one was based on an old version");
}

/// A change after the confirmation does not stop the append: the platform's stream is not expected under a lock.
async fn a_platform_stream_that_is_only_read_is_not_locked(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    platform(&one).await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let (attempts, two) = (&AtomicUsize::new(0), &two);
    let decide = move |tx: Tx| async move {
        tx.read_in::<Organization>(OrganizationId::PLATFORM, OrganizationId::PLATFORM).await?;
        if attempts.fetch_add(1, Ordering::Relaxed) == 1 {
            // Read from the log in this attempt, so it is confirmed already.
            rename_platform(two, "Later").await;
        } else {
            rename_platform(two, "Earlier").await;
        }
        tx.decide::<User>(bob, &become_role(Role::Auditor)).await
    };
    let done = one.executor.transact(&acme.request(), decide).await.unwrap();
    assert_eq!((attempts.load(Ordering::Relaxed), done.events.is_empty()), (2, false));
}

async fn an_error_is_returned_only_if_it_is_based_on_current_state(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    two.user(&acme, bob, become_role(Role::Auditor)).await.unwrap();
    let only_auditors = move |tx: Tx| async move {
        match tx.read::<User>(bob).await?.rights() {
            Some((Role::Auditor, _)) => Ok(()),
            _ => Err(ExecuteError::Malformed("not an auditor".to_owned())),
        }
    };
    one.executor.transact(&acme.request(), only_auditors).await.unwrap();
    two.user(&acme, bob, become_role(Role::Agent)).await.unwrap();
    let refused = one.executor.transact(&acme.request(), only_auditors).await;
    assert_eq!(refused, Err(ExecuteError::Malformed("not an auditor".to_owned())));
}

async fn every_attempt_has_the_same_ids_and_the_same_time(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let (seen, acme, two) = (&Mutex::new(Vec::<(Uuid, Uuid, Timestamp)>::new()), &acme, &two);
    let work = move |tx: Tx| async move {
        let attempt = (tx.new_id(), tx.new_id(), tx.now());
        tx.read::<User>(bob).await?;
        let role = {
            let mut seen = seen.lock().unwrap();
            seen.push(attempt);
            [Role::Auditor, Role::ReadOnly, Role::Agent][seen.len() - 1]
        };
        if role != Role::Agent {
            two.user(acme, bob, become_role(role)).await.unwrap();
        }
        tx.decide::<User>(bob, &become_role(Role::Admin)).await
    };
    one.executor.transact(&acme.request(), work).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|attempt| *attempt == seen[0]), "{seen:?}");
    assert_ne!(seen[0].0, seen[0].1);
}

async fn a_required_version_is_not_retried(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let stream = stream_of::<User>(acme.organization, bob).unwrap();
    let (_, version) = node.executor.load::<User>(acme.organization, bob).await.unwrap();
    let required = &stream;
    let change = move |version: Version, role: Role| {
        move |tx: Tx| async move {
            tx.require(required.clone(), version);
            tx.decide::<User>(bob, &become_role(role)).await
        }
    };
    node.executor.transact(&acme.request(), change(version, Role::Auditor)).await.unwrap();
    for role in [Role::Agent, Role::Auditor] {
        let late = node.executor.transact(&acme.request(), change(version, role)).await;
        assert_eq!(late, Err(ExecuteError::Outdated(stream.clone())), "{role:?}");
    }
}

async fn an_organization_does_not_read_another_one(store: Store) {
    let node = Node::on(&store).await;
    let (acme, other) = (node.acme().await, node.found("other.example").await);
    let (home, admin) = (other.organization, other.admin);
    let read = move |tx: Tx| async move { tx.read_in::<User>(home, admin).await.map(drop) };
    let refused = node.executor.transact(&acme.request(), read).await;
    assert!(matches!(refused, Err(ExecuteError::Malformed(_))), "{refused:?}");
    let platform = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    node.executor.transact(&platform, read).await.unwrap();
}

async fn sixty_four_callers_change_one_stream(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let bob: UserId = nodes[0].joined(&acme, "bob@acme.example", Role::Agent).await;
    let (_, before) = nodes[0].executor.load::<User>(acme.organization, bob).await.unwrap();
    let rename = |caller: usize| user::Command::Rename {
        name: porttask_domain::PersonName::new(&format!("Bob {caller}")).unwrap(),
    };
    let racers = (0..64).map(|caller| nodes[caller % 2].user(&acme, bob, rename(caller)));
    for result in join_all(racers).await {
        result.unwrap();
    }
    let (_, after) = nodes[1].executor.load::<User>(acme.organization, bob).await.unwrap();
    assert_eq!(after.0, before.0 + 64);
}

/// Each counts on from the number that it reads, up to a limit; some are gone before they are answered.
async fn callers_who_count_at_once_count_each_number_once(store: Store) {
    const LIMIT: u64 = 60;
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let id = acme.organization;
    let number_of =
        |organization: &Organization| organization.name().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    let count = async |tx: Tx| {
        let number = number_of(&tx.read::<Organization>(id).await?);
        if number == LIMIT {
            return Err(ExecuteError::Malformed("full".to_owned()));
        }
        let name = organization::OrganizationName::new(&(number + 1).to_string()).unwrap();
        tx.decide::<Organization>(id, &organization::Command::Rename { name }).await
    };
    let (_, before) = nodes[0].executor.load::<Organization>(id, id).await.unwrap();
    let caller = async |caller: usize| {
        let request = acme.request();
        let counted = nodes[usize::from(caller.is_multiple_of(4))].executor.transact(&request, count);
        let patience = Duration::from_millis(if caller.is_multiple_of(5) { caller as u64 % 7 } else { 60_000 });
        tokio::time::timeout(patience, counted).await
    };
    let (mut counted, mut gone) = (0, 0);
    for result in join_all((0..100).map(caller)).await {
        match result {
            Ok(Ok(_)) => counted += 1,
            Ok(Err(error)) => assert_eq!(error, ExecuteError::Malformed("full".to_owned())),
            Err(_) => gone += 1,
        }
    }
    let (after, version) = nodes[1].executor.load::<Organization>(id, id).await.unwrap();
    assert_eq!((number_of(&after), version.0), (LIMIT, before.0 + LIMIT));
    assert!(counted <= LIMIT && counted + gone >= LIMIT, "{counted} counted, {gone} gone");
}

async fn a_repeated_request_has_no_value(store: Store) {
    let node = Node::on(&store).await;
    let acme: Acme = node.acme().await;
    let key = porttask_tests::idempotency_key("k", "invite bob");
    let request = Request { idempotency_key: Some(key), ..acme.request() }.needing(Capability::Use);
    let home = acme.organization;
    let work = move |tx: Tx| async move {
        let bob = tx.new_id();
        tx.decide_new::<User>(bob, &invite(home, bob, "bob@acme.example", Role::Agent)).await?;
        Ok::<_, ExecuteError>(bob)
    };
    let done = node.executor.transact(&request, work).await.unwrap();
    assert!(done.value.is_some());
    let again = node.executor.transact(&request, work).await.unwrap();
    assert_eq!((again.value, again.position, again.repeated), (None, done.position, true));
}

//! Requests as a whole: all or nothing, once, as of a version.

use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{Capability, Organization, Role, User, organization, user},
};
use porttask_runtime::{
    execute::{ExecuteError, Request, Tx},
    new_id,
};
use porttask_tests::{Node, assert_refused, become_role, create, invite};
use porttask_tests::{Store, idempotency_key, on_both_engines};

on_both_engines! {
    commands_are_carried_out_together_or_not_at_all,
    a_later_command_sees_what_an_earlier_one_changed,
    a_repeated_request_is_carried_out_once,
    a_repetition_is_answered_although_it_would_be_refused_now,
    nothing_happens_where_there_is_no_organization,
    answers_tell_where_it_happened,
}

async fn commands_are_carried_out_together_or_not_at_all(store: Store) {
    let node = Node::on(&store).await;
    let (organization, admin) = (new_id(), new_id());
    // The role does not exist in this organization.
    let done = node.create(organization, create("acme.example"), admin, Role::SuperAdmin).await;
    assert_refused(&done, "role-not-here");
    assert_eq!(node.log.partition_of(organization).await.unwrap(), None);
    // The domain was not claimed either.
    node.acme().await;
}

async fn a_later_command_sees_what_an_earlier_one_changed(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob: UserId = new_id();
    let commands = &[invite(acme.organization, bob, "bob@acme.example", Role::Agent), become_role(Role::ReadOnly)];
    let work = move |tx: Tx| async move { tx.decide_all::<User>(bob, commands).await };
    let done = node.executor.transact(&acme.request(), work).await.unwrap();
    let versions: Vec<u64> = done.events.iter().map(|it| it.version.0).collect();
    assert_eq!(versions, [1, 2, 3], "invited, another role, narrower permissions");
    assert_eq!(node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap().events, []);
}

async fn a_repeated_request_is_carried_out_once(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let request = Request { idempotency_key: Some(idempotency_key("k", "invite bob")), ..acme.request() };
    // Whoever repeats a request decides again, with a new id.
    let (first, again): (UserId, UserId) = (new_id(), new_id());
    let invite = |user| invite(acme.organization, user, "bob@acme.example", Role::Agent);
    let done = node.executor.execute::<User>(first, invite(first), &request).await.unwrap();
    let repeated = node.executor.execute::<User>(again, invite(again), &request).await.unwrap();
    assert_eq!((repeated.position, repeated.repeated), (done.position, true));
    let (_, version) = node.executor.load::<User>(acme.organization, again).await.unwrap();
    assert_eq!(version.0, 0, "the second was not invited");

    let other = Request { idempotency_key: Some(idempotency_key("k", "invite eve")), ..acme.request() };
    let eve = new_id();
    assert_eq!(node.executor.execute::<User>(eve, invite(eve), &other).await, Err(ExecuteError::AnotherRequest));
}

async fn nothing_happens_where_there_is_no_organization(store: Store) {
    let node = Node::on(&store).await;
    let (nowhere, user): (OrganizationId, UserId) = (new_id(), new_id());
    let request = Request::new(nowhere, Meta::by(Actor::Operator));
    let invited =
        node.executor.execute::<User>(user, invite(nowhere, user, "a@b.example", Role::Agent), &request).await;
    assert_refused(&invited, "organization-not-found");
    let request = request.needing(Capability::BeAdministered);
    let renamed = organization::Command::Rename { name: organization::OrganizationName::new("X").unwrap() };
    let renamed = node.executor.execute::<Organization>(nowhere, renamed, &request).await;
    assert_refused(&renamed, "organization-not-found");
}

async fn answers_tell_where_it_happened(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let done = node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();
    let position = done.position.unwrap();
    let home = node.log.partition_of(acme.organization).await.unwrap().unwrap();
    let head = node.log.heads().await.unwrap().into_iter().find(|head| head.position.partition == home).unwrap();
    assert_eq!((head.position, Some(head.recorded_at)), (position, done.recorded_at));
    let unchanged = node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();
    assert_eq!((unchanged.position, unchanged.events), (None, vec![]));
}

async fn a_repetition_is_answered_although_it_would_be_refused_now(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let request = Request { idempotency_key: Some(idempotency_key("k", "make bob an auditor")), ..acme.request() };
    let done = node.executor.execute::<User>(bob, become_role(Role::Auditor), &request).await.unwrap();
    node.user(&acme, bob, user::Command::Deactivate).await.unwrap();
    assert_refused(&node.user(&acme, bob, become_role(Role::Auditor)).await, "user-deactivated");
    let repeated = node.executor.execute::<User>(bob, become_role(Role::Auditor), &request).await.unwrap();
    assert_eq!((repeated.position, repeated.recorded_at, repeated.repeated), (done.position, done.recorded_at, true));
}

//! What a node remembers never answers alone: another node may have changed it.

use futures_util::future::join_all;
use porttask_domain::{
    DomainEvent, UserId,
    identity::{Role, Session, User, organization, session, user},
};
use porttask_runtime::{
    execute::{ExecuteError, Outcome, Request, Tx},
    log::Version,
    new_id,
};
use porttask_tests::{Node, assert_refused, become_role, invite};
use porttask_tests::{Store, on_both_engines};

on_both_engines! {
    a_change_on_another_node_holds_at_once,
    a_suspension_on_another_node_holds_at_once,
    a_refusal_is_not_given_from_memory,
    many_who_change_the_same_thing_all_come_through,
    what_is_said_to_be_new_is_met_as_it_is,
    a_revoked_session_beats_a_command_under_way,
    a_dry_run_is_not_answered_from_memory_and_records_nothing,
}

async fn a_change_on_another_node_holds_at_once(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    for role in [Role::ReadOnly, Role::Auditor, Role::Agent, Role::Admin] {
        two.user(&acme, bob, become_role(role)).await.unwrap();
        assert_eq!(one.user(&acme, bob, become_role(role)).await.unwrap().events, [], "{role:?} twice");
    }
}

async fn a_suspension_on_another_node_holds_at_once(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    two.organization(&acme, acme.suspend()).await.unwrap();
    let bob = new_id();
    let invite = || invite(acme.organization, bob, "bob@acme.example", Role::Agent);
    assert_refused(&one.user(&acme, bob, invite()).await, "organization-suspended");
    two.organization(&acme, organization::Command::Reactivate).await.unwrap();
    one.user(&acme, bob, invite()).await.unwrap();
}

async fn a_refusal_is_not_given_from_memory(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    one.user(&acme, bob, user::Command::Deactivate).await.unwrap();
    assert_refused(&one.user(&acme, bob, become_role(Role::ReadOnly)).await, "user-deactivated");
    two.user(&acme, bob, user::Command::Reactivate).await.unwrap();
    one.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();
}

async fn many_who_change_the_same_thing_all_come_through(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let bob = nodes[0].joined(&acme, "bob@acme.example", Role::Agent).await;
    let roles = [Role::Agent, Role::ReadOnly, Role::Auditor, Role::Admin];
    for round in 0..5 {
        let racers = (0..4).map(|racer| nodes[racer % 2].user(&acme, bob, become_role(roles[(round + racer) % 4])));
        for result in join_all(racers).await {
            result.unwrap();
        }
    }
    let (one, _) = nodes[0].executor.load::<User>(acme.organization, bob).await.unwrap();
    let (two, _) = nodes[1].executor.load::<User>(acme.organization, bob).await.unwrap();
    assert_eq!(one.rights(), two.rights());
    assert!(one.rights().is_some());
}

async fn what_is_said_to_be_new_is_met_as_it_is(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = new_id();
    let invite = || invite(acme.organization, bob, "bob@acme.example", Role::Agent);
    let request = Request::new(acme.organization, acme.meta());
    for (node, domain_events) in [(&one, 1), (&two, 0), (&one, 0)] {
        let done = decide_new(node, &request, bob, invite()).await.unwrap();
        assert_eq!(done.events.len(), domain_events);
    }
    let done = decide_new(&two, &request, bob, become_role(Role::Auditor)).await.unwrap();
    assert_eq!(done.events[0].version, Version(2), "after the invitation");
    let refused = decide_new(&two, &request, new_id(), become_role(Role::Auditor)).await;
    assert_refused(&refused, "user-not-found");
}

async fn decide_new(
    node: &Node,
    request: &Request,
    user: UserId,
    command: user::Command,
) -> Result<Outcome, ExecuteError> {
    let command = &command;
    node.executor.transact(request, move |tx: Tx| async move { tx.decide_new::<User>(user, command).await }).await
}

async fn a_revoked_session_beats_a_command_under_way(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let session = new_id();
    let start = session::Command::Start {
        user: acme.admin,
        method: session::Method::Password,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: jiff::Timestamp::MAX,
        session_epoch: session::SessionEpoch::default(),
    };
    one.executor.execute::<Session>(session, start, &acme.request()).await.unwrap();

    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let (executor, home) = (&one.executor, acme.organization);
    let request = acme.request();
    let as_holder = |command: user::Command| {
        let request = &request;
        async move {
            let command = &command;
            let work = move |tx: Tx| async move {
                match tx.join::<Session>(home, session).await?.holder_at(tx.now()) {
                    Some(_) => tx.decide::<User>(bob, command).await,
                    None => Err(ExecuteError::Malformed("the session has ended".to_owned())),
                }
            };
            executor.transact(request, work).await
        }
    };
    as_holder(become_role(Role::ReadOnly)).await.unwrap();
    two.executor.execute::<Session>(session, session::Command::Revoke, &acme.request()).await.unwrap();
    // This node still has the session in memory, as it was before.
    for command in [become_role(Role::Admin), become_role(Role::ReadOnly)] {
        let late = as_holder(command).await;
        assert_eq!(late, Err(ExecuteError::Malformed("the session has ended".to_owned())));
    }
}

async fn a_dry_run_is_not_answered_from_memory_and_records_nothing(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let mut request = acme.request();
    request.dry_run = true;
    two.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();
    let before = one.log.heads().await.unwrap();
    let would = one.executor.execute::<User>(bob, become_role(Role::Auditor), &request).await.unwrap();
    assert_eq!(would.position, None);
    let changed = DomainEvent::User(user::Event::RoleChanged { from: Role::ReadOnly, to: Role::Auditor });
    assert_eq!(would.events.first().map(|it| (it.version.0, &it.event)), Some((5, &changed)));
    assert_eq!(one.log.heads().await.unwrap(), before);
}

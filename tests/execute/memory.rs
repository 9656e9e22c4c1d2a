//! What a node remembers never answers alone: another node may have changed it.

use futures_util::future::join_all;
use porttask_domain::{
    DomainEvent,
    identity::{Role, Session, User, organization, session, user},
};
use porttask_runtime::{
    execute::{Commands, ExecuteError, Request},
    log::{Expected, Version},
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
        let commands = Commands::new().on_new::<User>(bob, invite());
        let done = node.executor.execute_all(&commands, &request).await.unwrap();
        assert_eq!(done.events.len(), domain_events);
    }
    let commands = Commands::new().on_new::<User>(bob, become_role(Role::Auditor));
    let done = two.executor.execute_all(&commands, &request).await.unwrap();
    assert_eq!(done.events[0].version, Version(2), "after the invitation");
    let commands = Commands::new().on_new::<User>(new_id(), become_role(Role::Auditor));
    let refused = two.executor.execute_all(&commands, &request).await;
    assert_refused(&refused, "user-not-found");
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

    // The caller is known by this session, at this version, when the command sets out.
    let stream = porttask_runtime::execute::stream_of::<Session>(acme.organization, session).unwrap();
    let (_, version) = one.executor.load::<Session>(acme.organization, session).await.unwrap();
    let request = || {
        let mut request = acme.request();
        request.expected.push(Expected { stream: stream.clone(), version });
        request
    };
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    one.executor.execute::<User>(bob, become_role(Role::ReadOnly), &request()).await.unwrap();
    two.executor.execute::<Session>(session, session::Command::Revoke, &acme.request()).await.unwrap();
    for command in [become_role(Role::Admin), become_role(Role::ReadOnly)] {
        let late = one.executor.execute::<User>(bob, command, &request()).await;
        assert_eq!(late, Err(ExecuteError::Outdated(stream.clone())));
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

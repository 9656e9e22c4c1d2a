//! Who calls: tokens, and rights that hold now.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::{
    access::{Access, AccessError, Caller, Credential, Token},
    credential_activity::{CredentialActivity, SessionLimits},
};
use porttask_domain::{
    OrganizationId, SessionId, UserId,
    identity::{Role, Session, User, organization, session, user},
};
use porttask_runtime::{
    execute::{Request, Tx},
    log::{LogError, SecretId, SecretKind},
    new_id,
};
use porttask_tests::{Acme, Node, Store, become_role, on_both_engines};

on_both_engines! {
    a_token_is_known_while_its_session_lasts,
    a_revocation_on_another_node_holds_on_the_next_request,
    a_change_of_role_on_another_node_holds_on_the_next_request,
    a_suspension_on_another_node_holds_on_the_next_request,
    what_ends_all_sessions_on_another_node_holds_on_the_next_request,
    who_was_locked_out_is_a_stranger,
    what_changes_while_a_command_is_under_way_beats_it,
    nobody_gets_in_by_another_token,
    only_a_hash_is_kept,
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn access(node: &Node) -> Access {
    let limits = SessionLimits { longest: SignedDuration::from_hours(12), idle: None };
    let activity =
        Arc::new(CredentialActivity::new((node.log.clone(), node.vault.clone()), node.clock.clone(), limits));
    Access::new(node.log.clone(), node.executor.clone(), activity)
}

async fn sign_in(node: &Node, acme: &Acme, user: UserId) -> String {
    let lasts = now()..now() + SignedDuration::from_hours(1);
    let method = session::Method::Password;
    let token = access(node).start(acme.organization, user, method, lasts, acme.meta()).await;
    token.unwrap().token.reveal()
}

fn session_of(token: &str) -> SessionId {
    let Credential::Session(session) = token.parse::<Token>().unwrap().credential() else { panic!("{token}") };
    session
}

async fn revoke(node: &Node, acme: &Acme, token: &str) {
    let revoke = session::Command::Revoke;
    node.executor.execute::<Session>(session_of(token), revoke, &acme.request()).await.unwrap();
}

async fn a_token_is_known_while_its_session_lasts(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let token = sign_in(&node, &acme, acme.admin).await;
    let access = access(&node);
    let caller = access.authenticate(&token, now()).await.unwrap();
    let session = caller.session().unwrap();
    let Caller { organization, user, role, permissions, .. } = caller;
    assert_eq!((organization, user, session), (acme.organization, acme.admin, session_of(&token)));
    assert_eq!((role, permissions), (Role::Admin, Role::Admin.ceiling()));
    let late = now() + SignedDuration::from_hours(1);
    assert_eq!(access.authenticate(&token, late).await, Err(AccessError::Unknown));
    node.executor.execute::<Session>(session, session::Command::SignOut, &acme.request()).await.unwrap();
    assert_eq!(access.authenticate(&token, now()).await, Err(AccessError::Unknown));
}

async fn a_revocation_on_another_node_holds_on_the_next_request(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let (first, second) = (access(&one), access(&two));
    for _ in 0..10 {
        let token = sign_in(&one, &acme, acme.admin).await;
        first.authenticate(&token, now()).await.unwrap();
        second.authenticate(&token, now()).await.unwrap();
        revoke(&two, &acme, &token).await;
        assert_eq!(first.authenticate(&token, now()).await, Err(AccessError::Unknown));
        assert_eq!(second.authenticate(&token, now()).await, Err(AccessError::Unknown));
    }
}

async fn a_change_of_role_on_another_node_holds_on_the_next_request(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let token = sign_in(&one, &acme, bob).await;
    let access = access(&one);
    for role in [Role::Admin, Role::ReadOnly, Role::Auditor, Role::Agent] {
        two.user(&acme, bob, become_role(role)).await.unwrap();
        let caller = access.authenticate(&token, now()).await.unwrap();
        assert_eq!(caller.role, role);
        assert!(caller.permissions.is_within(role.ceiling()));
    }
}

async fn a_suspension_on_another_node_holds_on_the_next_request(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let token = sign_in(&one, &acme, acme.admin).await;
    let access = access(&one);
    access.authenticate(&token, now()).await.unwrap();
    two.organization(&acme, acme.suspend()).await.unwrap();
    let refused = access.authenticate(&token, now()).await;
    assert!(matches!(&refused, Err(AccessError::Rejected(it)) if it.slug == "organization-suspended"), "{refused:?}");
    let method = session::Method::Password;
    let started = access.start(acme.organization, acme.admin, method, now()..Timestamp::MAX, acme.meta()).await;
    assert!(matches!(&started, Err(AccessError::Rejected(_))), "{started:?}");
    two.organization(&acme, organization::Command::Reactivate).await.unwrap();
    assert_eq!(access.authenticate(&token, now()).await, Err(AccessError::Unknown), "it has ended for good");
    let token = sign_in(&one, &acme, acme.admin).await;
    access.authenticate(&token, now()).await.unwrap();
}

async fn what_ends_all_sessions_on_another_node_holds_on_the_next_request(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let access = access(&one);
    let (here, there) = (sign_in(&one, &acme, bob).await, sign_in(&one, &acme, bob).await);
    for token in [&here, &there] {
        access.authenticate(token, now()).await.unwrap();
    }
    let keeping = Some(session_of(&here));
    two.user(&acme, bob, user::Command::ChangePassword { session_epoch: 0, keeping }).await.unwrap();
    access.authenticate(&here, now()).await.unwrap();
    assert_eq!(access.authenticate(&there, now()).await, Err(AccessError::Unknown));
    let later = sign_in(&one, &acme, bob).await;
    access.authenticate(&later, now()).await.unwrap();
    two.user(&acme, bob, user::Command::Deactivate).await.unwrap();
    two.user(&acme, bob, user::Command::Reactivate).await.unwrap();
    for token in [&here, &later] {
        assert_eq!(access.authenticate(token, now()).await, Err(AccessError::Unknown), "it has ended for good");
    }
}

async fn who_was_locked_out_is_a_stranger(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Agent).await;
    let token = sign_in(&one, &acme, bob).await;
    let access = access(&one);
    access.authenticate(&token, now()).await.unwrap();
    two.user(&acme, bob, user::Command::Deactivate).await.unwrap();
    assert_eq!(access.authenticate(&token, now()).await, Err(AccessError::Unknown));
    for nobody in [bob, new_id()] {
        let method = session::Method::Password;
        let started = access.start(acme.organization, nobody, method, now()..Timestamp::MAX, acme.meta()).await;
        assert_eq!(started.err(), Some(AccessError::Unknown));
    }
}

async fn what_changes_while_a_command_is_under_way_beats_it(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let bob = one.joined(&acme, "bob@acme.example", Role::Admin).await;
    let access = &access(&one);
    let (command, admin) = (&become_role(Role::Agent), acme.admin);

    let token = &sign_in(&one, &acme, bob).await;
    let caller = access.authenticate(token, now()).await.unwrap();
    revoke(&two, &acme, token).await;
    // This node still has the session in memory, as it was before.
    let request = Request::new(acme.organization, caller.meta());
    let demote = move |tx: Tx| async move {
        access.identify_again(&tx, token, None).await?;
        Ok::<_, AccessError>(tx.decide::<User>(admin, command).await?)
    };
    assert_eq!(one.executor.transact(&request, demote).await, Err(AccessError::Unknown));

    let token = &sign_in(&one, &acme, bob).await;
    let caller = access.authenticate(token, now()).await.unwrap();
    two.user(&acme, bob, become_role(Role::Agent)).await.unwrap();
    let request = Request::new(acme.organization, caller.meta());
    let demote = move |tx: Tx| async move {
        match access.identify_again(&tx, token, None).await?.role {
            Role::Admin => Ok(tx.decide::<User>(admin, command).await?),
            _ => Err(AccessError::Unknown),
        }
    };
    assert_eq!(one.executor.transact(&request, demote).await, Err(AccessError::Unknown));
}

async fn nobody_gets_in_by_another_token(store: Store) {
    let node = Node::on(&store).await;
    let (acme, other) = (node.acme().await, node.found("other.example").await);
    let (mine, theirs) = (sign_in(&node, &acme, acme.admin).await, sign_in(&node, &other, other.admin).await);
    let access = access(&node);
    access.authenticate(&mine, now()).await.unwrap();
    let nowhere: OrganizationId = new_id();
    for (organization, session, secret) in [
        (acme.organization, session_of(&mine), &theirs),
        (acme.organization, session_of(&theirs), &theirs),
        (other.organization, session_of(&mine), &mine),
        (OrganizationId::PLATFORM, session_of(&mine), &mine),
        (nowhere, session_of(&mine), &mine),
        (acme.organization, new_id(), &mine),
    ] {
        let forged = forged(organization, session, secret);
        assert_eq!(access.authenticate(&forged, now()).await, Err(AccessError::Unknown), "{forged}");
    }
    for garbage in ["", "pts_", "Bearer", &mine[..mine.len() - 2], "' OR 1=1 --"] {
        assert_eq!(access.authenticate(garbage, now()).await, Err(AccessError::Unknown), "{garbage}");
    }
}

/// A well-formed token for this session with the secret of another.
fn forged(organization: OrganizationId, session: SessionId, other: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use sha2::{Digest, Sha256};
    let bytes = URL_SAFE_NO_PAD.decode(&other[4..]).unwrap();
    let mut forged = [organization.0.as_bytes(), session.0.as_bytes(), &bytes[32..64]].concat();
    let checksum = Sha256::digest(&forged);
    forged.extend_from_slice(&checksum[..4]);
    format!("pts_{}", URL_SAFE_NO_PAD.encode(forged))
}

async fn only_a_hash_is_kept(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let token = sign_in(&node, &acme, acme.admin).await;
    let id = SecretId { organization: acme.organization, owner: session_of(&token).0, kind: SecretKind::Session };
    let kept: Result<Option<Vec<u8>>, LogError> = node.log.secret(&id).await;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use sha2::{Digest, Sha256};
    let secret = &URL_SAFE_NO_PAD.decode(&token[4..]).unwrap()[32..64];
    assert_eq!(kept.unwrap().unwrap(), Sha256::digest(secret).to_vec());
    assert_eq!(node.log.secret(&SecretId { owner: new_id::<UserId>().0, ..id }).await.unwrap(), None);
}

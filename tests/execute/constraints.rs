//! What is decided over many streams: names and counts.

use futures_util::future::join_all;
use porttask_domain::{
    Actor, Meta, OrganizationId,
    identity::{Access, Organization, Permissions, Role, User, user},
};
use porttask_runtime::{
    execute::{ExecuteError, Request},
    log::ConstraintViolation,
    new_id,
};
use porttask_tests::{Engine, Store, on_both_engines, work};
use porttask_tests::{Node, become_role, create, invite};

on_both_engines! {
    a_domain_belongs_to_one_organization,
    of_two_that_want_a_domain_at_once_one_gets_it,
    an_address_is_unique_within_an_organization,
    the_last_admin_stays,
    a_dry_run_is_told_of_names_and_bounds,
    of_two_admins_who_demote_each_other_on_two_nodes_one_stays,
    what_is_kept_is_what_the_events_say,
    what_was_changed_behind_the_log_is_found_and_mended,
    guards_are_mended_while_others_append,
}

async fn found(node: &Node, domain: &str) -> Result<(), ExecuteError> {
    let organization: OrganizationId = new_id();
    let request = Request::new(organization, Meta::by(Actor::Operator)).creates_organization();
    node.executor.execute::<Organization>(organization, create(domain), &request).await.map(drop)
}

async fn a_domain_belongs_to_one_organization(store: Store) {
    let node = Node::on(&store).await;
    node.acme().await;
    let taken = found(&node, "ACME.example").await;
    assert!(
        matches!(&taken, Err(ExecuteError::Constraint(ConstraintViolation::Taken { key, .. }, _)) if key.kind == "domain"),
        "{taken:?}"
    );
    found(&node, "other.example").await.unwrap();
}

async fn of_two_that_want_a_domain_at_once_one_gets_it(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    for round in 0..5 {
        let domain = format!("d{round}.example");
        let results = join_all((0..6).map(|racer| found(&nodes[racer % 2], &domain))).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    }
}

async fn an_address_is_unique_within_an_organization(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = new_id();
    let taken = node.user(&acme, bob, invite(acme.organization, bob, "ANA@Acme.example", Role::Agent)).await;
    assert!(matches!(&taken, Err(ExecuteError::Constraint(ConstraintViolation::Taken { .. }, _))), "{taken:?}");

    node.create(new_id(), create("other.example"), new_id(), Role::Admin).await.unwrap();
}

#[track_caller]
fn assert_last_admin<T: std::fmt::Debug>(result: &Result<T, ExecuteError>) {
    let is_last = matches!(result, Err(ExecuteError::Constraint(ConstraintViolation::BelowMinimum { key, minimum: 1, .. }, _))
        if key.name == user::ACTIVE_ADMINS);
    assert!(is_last, "{result:?}");
}

async fn the_last_admin_stays(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let narrowed = Permissions { administration: Access::Read, ..Role::Admin.ceiling() };
    let narrow = user::Command::ChangePermissions { permissions: narrowed };
    for command in [become_role(Role::Agent), user::Command::Deactivate, narrow] {
        assert_last_admin(&node.user(&acme, acme.admin, command).await);
    }
    node.joined(&acme, "bob@acme.example", Role::Admin).await;
    node.user(&acme, acme.admin, become_role(Role::Agent)).await.unwrap();
}

async fn of_two_admins_who_demote_each_other_on_two_nodes_one_stays(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let mut other = one.joined(&acme, "bob@acme.example", Role::Admin).await;
    let mut admin = acme.admin;
    for _ in 0..10 {
        let (first, second) = tokio::join!(
            one.user(&acme, admin, become_role(Role::Agent)),
            two.user(&acme, other, become_role(Role::Agent)),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        assert_last_admin(if first.is_ok() { &second } else { &first });
        let demoted = if first.is_ok() { admin } else { other };
        two.user(&acme, demoted, become_role(Role::Admin)).await.unwrap();
        std::mem::swap(&mut admin, &mut other);
    }
}

async fn what_is_kept_is_what_the_events_say(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    tokio::join!(work(&nodes[0], 100), work(&nodes[1], 100));
    assert_eq!(nodes[0].constraints().verify().await.unwrap(), []);
    // It does not take a quiet moment to verify.
    let mut constraints = nodes[1].constraints();
    let (_, faults) = tokio::join!(work(&nodes[0], 50), async {
        let mut faults = Vec::new();
        for _ in 0..5 {
            faults.extend(constraints.verify().await.unwrap());
        }
        faults
    });
    assert_eq!(faults, []);
}

/// Changes what is kept, behind the log's back: a name is lost, another made up, a count is wrong.
async fn tamper(store: &Store) {
    let statements = [
        "DELETE FROM log.claims WHERE kind = 'email'",
        "UPDATE log.claims SET owner = 'org_someone_else' WHERE kind = 'domain'",
        "UPDATE log.counters SET value = 7 WHERE name = 'active_admins'",
    ];
    for statement in statements {
        match store.engine() {
            Engine::Sqlite => {
                let connection = rusqlite::Connection::open(store.file()).unwrap();
                assert!(connection.execute(&statement.replace("log.", ""), []).unwrap() > 0);
            }
            Engine::Postgres => drop(store.sql(statement).await),
        }
    }
}

async fn what_was_changed_behind_the_log_is_found_and_mended(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    tamper(&store).await;
    let faults = node.constraints().verify().await.unwrap();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.to_string().contains("active_admins: stored 7, expected 1")));
    assert_eq!(node.constraints().rebuild().await.unwrap(), faults);
    assert_eq!(node.constraints().verify().await.unwrap(), []);
    assert_eq!(node.constraints().rebuild().await.unwrap(), []);
    assert_last_admin(&node.user(&acme, acme.admin, user::Command::Deactivate).await);
    assert!(found(&node, "acme.example").await.is_err(), "the domain is claimed again");
}

async fn guards_are_mended_while_others_append(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    nodes[0].acme().await;
    tamper(&store).await;
    let (_, mended) = tokio::join!(work(&nodes[1], 50), nodes[0].repair());
    assert!(!mended.is_empty());
    assert_eq!(nodes[0].constraints().verify().await.unwrap(), []);
}

async fn a_dry_run_is_told_of_names_and_bounds(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let mut request = acme.request();
    request.dry_run = true;
    let before = node.log.heads().await.unwrap();
    let demoted = node.executor.execute::<User>(acme.admin, become_role(Role::Agent), &request).await;
    assert_last_admin(&demoted);
    let bob = new_id();
    let taken = invite(acme.organization, bob, "ana@acme.example", Role::Agent);
    let taken = node.executor.execute::<User>(bob, taken, &request).await;
    assert!(matches!(&taken, Err(ExecuteError::Constraint(ConstraintViolation::Taken { .. }, _))), "{taken:?}");
    let free = invite(acme.organization, bob, "bob@acme.example", Role::Agent);
    let would = node.executor.execute::<User>(bob, free, &request).await.unwrap();
    assert_eq!((would.position, would.events.len()), (None, 1));
    assert_eq!(node.log.heads().await.unwrap(), before);
    assert_eq!(node.constraints().verify().await.unwrap(), []);
}

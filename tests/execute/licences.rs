//! Licences under a race: never more activations than were issued.

use futures_util::future::join_all;
use jiff::SignedDuration;
use porttask_domain::billing::{
    Licence,
    licence::{ACTIVATIONS, Command, Issue, Kind, LicenceId, LicenceTerms, Machine, Rejection, Status},
};
use porttask_runtime::{
    execute::{ExecuteError, Rejected},
    log::{ConstraintViolation, CounterKey},
    new_id,
};
use porttask_tests::{Acme, Node, Store, on_both_engines};

on_both_engines! {
    of_sixty_four_activations_at_once_five_succeed,
    a_machine_that_races_itself_is_activated_once,
}

/// The canonical text of a machine.
fn machine(number: usize) -> Machine {
    Machine::new(&format!("{number:0>42}A")).unwrap()
}

async fn issued(node: &Node, acme: &Acme) -> LicenceId {
    let (licence, now): (LicenceId, _) = (new_id(), node.clock.now());
    let issue = Issue {
        licence,
        kind: Kind::Enterprise,
        terms: LicenceTerms::default(),
        not_before: now,
        expires_at: now + SignedDuration::from_hours(24),
        activations: 5,
        reseller: None,
        issuer: "https://porttask.example".to_owned(),
        issued_at: now,
        kid: "kid".to_owned(),
        replaces: None,
    };
    node.executor.execute::<Licence>(licence, Command::Issue(Box::new(issue)), &acme.request()).await.unwrap();
    licence
}

async fn activate(node: &Node, acme: &Acme, licence: LicenceId, machine: Machine) -> Result<bool, ExecuteError> {
    let command = Command::Activate { activation: new_id(), machine, now: node.clock.now() };
    let outcome = node.executor.execute::<Licence>(licence, command, &acme.request()).await?;
    Ok(!outcome.events.is_empty())
}

async fn used(node: &Node, acme: &Acme, licence: LicenceId) -> i64 {
    let key = CounterKey { organization: acme.organization, name: format!("{ACTIVATIONS} {licence}").into() };
    node.executor.database().count(&key).await.unwrap()
}

async fn of_sixty_four_activations_at_once_five_succeed(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let licence = issued(&nodes[0], &acme).await;
    let race = join_all((0..64).map(|racer| activate(&nodes[racer % 2], &acme, licence, machine(racer)))).await;
    let (activated, refused): (Vec<_>, Vec<_>) = race.into_iter().partition(Result::is_ok);
    assert_eq!((activated.len(), refused.len()), (5, 59), "{refused:?}");
    for error in refused {
        let Err(ExecuteError::Constraint(violation, rejected)) = error else { panic!("{error:?}") };
        assert!(matches!(violation, ConstraintViolation::AboveMaximum { .. }), "{violation:?}");
        assert_eq!(rejected.slug, "activation-limit-reached");
        assert!(rejected.message.contains("5 machines"), "{}", rejected.message);
    }
    assert_eq!(used(&nodes[1], &acme, licence).await, 5);
    // One that is given back can be used elsewhere.
    let (state, _) = nodes[0].executor.load::<Licence>(acme.organization, licence).await.unwrap();
    assert_eq!(state.status(), Some(Status::Active));
    let back = join_all((0..64).map(|racer| {
        let command = Command::Deactivate { machine: machine(racer) };
        let (node, request) = (&nodes[racer % 2], acme.request());
        async move { node.executor.execute::<Licence>(licence, command, &request).await.unwrap().events.len() }
    }))
    .await;
    assert_eq!(back.into_iter().sum::<usize>(), 5);
    assert_eq!(used(&nodes[0], &acme, licence).await, 0);
    assert_eq!(activate(&nodes[1], &acme, licence, machine(99)).await, Ok(true));
    let unknown = activate(&nodes[1], &acme, new_id(), machine(99)).await;
    assert_eq!(unknown, Err(ExecuteError::Rejected(Rejected::from(Rejection::NotFound))));
}

async fn a_machine_that_races_itself_is_activated_once(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let licence = issued(&nodes[0], &acme).await;
    let race = join_all((0..16).map(|racer| activate(&nodes[racer % 2], &acme, licence, machine(1)))).await;
    assert_eq!(race.iter().filter(|done| **done == Ok(true)).count(), 1, "{race:?}");
    assert!(race.iter().all(Result::is_ok), "{race:?}");
    assert_eq!(used(&nodes[0], &acme, licence).await, 1);
}

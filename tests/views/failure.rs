//! A read model that cannot go on stops alone and says why.

use bytes::Bytes;
use porttask_domain::{
    DomainEvent, UserId,
    identity::{Role, organization},
};
use porttask_projections::{Change, Index, Key, Model, ReadModel, Recorded, Value, model, models, row};
use porttask_runtime::{
    log::{Append, EventId, EventType, NewEvent, StreamId},
    new_id,
    views::Views,
};
use porttask_tests::{Node, Store, become_role, by, on_both_engines, run_sql};

use crate::work::{PATIENCE, caught_up};

on_both_engines! {
    an_unknown_event_stops_the_reader_and_says_which,
    a_model_that_fails_stops_alone,
    a_damaged_event_stops_the_models_before_it,
    a_model_that_is_new_reads_from_the_start,
}

fn failures(views: &Views) -> Vec<(&'static str, String)> {
    views.status().into_iter().filter_map(|status| Some((status.name, status.state.failure?))).collect()
}

async fn an_unknown_event_stops_the_reader_and_says_which(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let before = node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap().position.unwrap();
    let user: UserId = new_id();
    let event = NewEvent {
        id: EventId::generate(),
        stream: StreamId::new(acme.organization, format!("user-{user}")).unwrap(),
        event_type: EventType::new("user.teleported.v1").unwrap(),
        data: Bytes::from_static(b"{}"),
        meta: Bytes::from_static(br#"{"actor":{"kind":"system"}}"#),
    };
    let unknown = node.log.append(Append::new(acme.organization, vec![event])).await.unwrap().position;
    let after = node.user(&acme, bob, become_role(Role::Agent)).await.unwrap().position.unwrap();

    by(PATIENCE, "all models have stopped", async || failures(&views).len() == models().len()).await;
    for (name, failure) in failures(&views) {
        assert!(failure.contains("user.teleported.v1") && failure.contains(&unknown.to_string()), "{name}: {failure}");
        assert!(views.wait_for(name, before, PATIENCE).await.unwrap(), "{name} has not read what it can");
        assert!(!views.wait_for(name, after, std::time::Duration::from_millis(50)).await.unwrap(), "{name} skipped it");
    }
}

async fn a_damaged_event_stops_the_models_before_it(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let before = node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap().position.unwrap();
    let damaged = node.user(&acme, bob, become_role(Role::Agent)).await.unwrap().position.unwrap();
    let sql = format!("UPDATE log.events SET type = 'user.promoted.v1' WHERE \"offset\" = {}", damaged.offset);
    run_sql(&store, &sql).await;
    let views = node.views(models()).await;
    views.run();
    by(PATIENCE, "all models have stopped", async || failures(&views).len() == models().len()).await;
    for (name, failure) in failures(&views) {
        assert!(failure.contains(&damaged.to_string()) && failure.contains("log verify"), "{name}: {failure}");
        assert!(views.wait_for(name, before, PATIENCE).await.unwrap(), "{name} has not read what it can");
    }
    let stopped = |status: &porttask_runtime::views::Status| status.state.failure.is_some();
    assert!(views.status().iter().filter(|status| stopped(status)).all(|status| status.state.met_damage));
    assert_eq!(node.log.damaged_events(), 1, "counted once, however often it is met");
    // A node that has the user in memory from before may go on with it.
    let refused = Node::on(&store).await.user(&acme, bob, become_role(Role::ReadOnly)).await;
    assert!(refused.unwrap_err().to_string().contains("log verify"), "a command must not rely on it");
    let other = node.found("other.example").await;
    node.joined(&other, "eve@other.example", Role::Agent).await;
}

row! {
    /// A row per event.
    pub struct Line {
        key {
            /// The event's place.
            offset: u64,
        }
        row {
            /// Its subject's version.
            version: u64,
        }
    }
}

/// Has a defect: panics at every suspension of an organization.
struct Fragile;

impl ReadModel for Fragile {
    const NAME: &'static str = "fragile";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = DomainEvent;
    type Row = Line;

    fn keys(_: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Integer(recorded.offset as i64)]]
    }

    fn project(row: Option<Line>, event: &DomainEvent, recorded: &Recorded) -> Change<Line> {
        assert_ne!(recorded.event_type, "organization.suspended.v1", "nobody thought of that");
        Repaired::project(row, event, recorded)
    }
}

/// The same table once its fold is repaired.
struct Repaired;

impl ReadModel for Repaired {
    const NAME: &'static str = "fragile";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = DomainEvent;
    type Row = Line;

    fn keys(event: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        Fragile::keys(event, recorded)
    }

    fn project(_: Option<Line>, _: &DomainEvent, recorded: &Recorded) -> Change<Line> {
        Change::Put(Line { offset: recorded.offset, version: recorded.version })
    }
}

fn with(extra: Box<dyn Model>) -> Vec<Box<dyn Model>> {
    models().into_iter().chain([extra]).collect()
}

async fn a_model_that_fails_stops_alone(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(with(model::<Fragile>())).await;
    views.run();
    let acme = node.acme().await;
    node.organization(&acme, acme.suspend()).await.unwrap();
    let after = node.organization(&acme, organization::Command::Reactivate).await.unwrap().position.unwrap();
    by(PATIENCE, "it has stopped", async || failures(&views).iter().any(|(name, _)| *name == "fragile")).await;
    caught_up(&node, &views).await;
    assert_eq!(failures(&views).len(), 1, "{:?}", failures(&views));
    assert!(!views.wait_for("fragile", after, std::time::Duration::from_millis(50)).await.unwrap());
    drop(views);

    let views = node.views(with(model::<Repaired>())).await;
    views.run();
    assert!(views.wait_for("fragile", after, PATIENCE).await.unwrap(), "{:?}", views.status());
    assert_eq!(failures(&views), []);
    assert_eq!(views.verify("fragile", &|_| ()).await.unwrap(), []);
}

async fn a_model_that_is_new_reads_from_the_start(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    node.acme().await;
    caught_up(&node, &views).await;
    drop(views);
    let views = node.views(with(model::<Repaired>())).await;
    views.run();
    for head in node.log.heads().await.unwrap() {
        assert!(views.wait_for("fragile", head.position, PATIENCE).await.unwrap());
    }
    assert_eq!(views.verify("fragile", &|_| ()).await.unwrap(), []);
}

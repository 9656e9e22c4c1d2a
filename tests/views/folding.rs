//! Every event is folded exactly once, whoever folds.

use futures_util::future::join_all;
use porttask_domain::{DomainEvent, OrganizationId, identity::Role};
use porttask_projections::{
    Change, Index, Key, Model, ReadModel, Recorded, Row, Value, identity::user::User, model, models, row,
};
use porttask_runtime::views::{Condition, Direction, Query};
use porttask_tests::{Node, Store, become_role, on_both_engines, work};

use crate::work::{PATIENCE, caught_up, rows};

on_both_engines! {
    what_was_done_is_seen_at_the_position_of_its_answer,
    nodes_share_the_folding_and_nothing_is_skipped_or_doubled,
    a_node_goes_on_where_another_has_stopped,
    rows_are_listed_by_filter_order_and_page,
    people_are_found_by_parts_of_their_names_and_addresses,
}

fn no_progress(_: porttask_runtime::views::Loaded) {}

row! {
    /// How much happens somewhere.
    pub struct Activity {
        key {
            /// Where.
            organization: OrganizationId,
        }
        row {
            /// How many events.
            events: u64,
        }
    }
}

/// Counts: unlike other models, it shows an event that is folded twice.
struct Activities;

impl ReadModel for Activities {
    const NAME: &'static str = "activities";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = DomainEvent;
    type Row = Activity;

    fn keys(_: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Id(recorded.organization.0)]]
    }

    fn project(row: Option<Activity>, _: &DomainEvent, recorded: &Recorded) -> Change<Activity> {
        let events = row.map_or(0, |row| row.events) + 1;
        Change::Put(Activity { organization: recorded.organization, events })
    }
}

fn with_activities() -> Vec<Box<dyn Model>> {
    models().into_iter().chain([model::<Activities>()]).collect()
}

async fn what_was_done_is_seen_at_the_position_of_its_answer(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let acme = node.acme().await;
    let bob = node.joined(&acme, "Bob@acme.example", Role::Agent).await;
    let partition = node.log.partition_of(acme.organization).await.unwrap().unwrap();
    for role in [Role::ReadOnly, Role::Auditor, Role::Admin] {
        let done = node.user(&acme, bob, become_role(role)).await.unwrap();
        assert!(views.wait_for("users", done.position.unwrap(), PATIENCE).await.unwrap());
        let conditions = vec![
            Condition::Equal("organization", Value::Id(acme.organization.0)),
            Condition::Equal("user", Value::Id(bob.0)),
        ];
        let query = Query { partition, conditions, limit: 10, ..Query::default() };
        let mut found = views.select("users", &query).await.unwrap();
        assert_eq!(found.len(), 1);
        let row = User::from_values(found.remove(0)).unwrap();
        assert_eq!(
            (row.role, row.email.as_deref(), row.normalized_email.as_str()),
            (role, Some("Bob@acme.example"), "bob@acme.example")
        );
        assert_eq!(Some(row.version), done.events.last().map(|it| it.version.0));
    }
}

async fn nodes_share_the_folding_and_nothing_is_skipped_or_doubled(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await, Node::on(&store).await];
    let mut all = Vec::new();
    for node in &nodes {
        let views = node.views(with_activities()).await;
        views.run();
        all.push(views);
    }
    join_all(nodes.iter().map(|node| work(node, 60))).await;
    caught_up(&nodes[0], &all[0]).await;
    for model in with_activities() {
        let name = model.table().name;
        assert_eq!(all[1].verify(name, &no_progress).await.unwrap(), [], "{name}");
    }
    let events: u64 = nodes[0].log.heads().await.unwrap().iter().map(|head| head.position.offset.0).sum();
    assert_eq!(rows(&nodes[2], &all[2], "audit_log").await.len() as u64, events);
}

async fn a_node_goes_on_where_another_has_stopped(store: Store) {
    let node = Node::on(&store).await;
    for _ in 0..4 {
        let views = node.views(with_activities()).await;
        views.run();
        work(&node, 15).await;
        // Stopped in the middle of whatever it was doing.
        drop(views);
    }
    let views = node.views(with_activities()).await;
    views.run();
    caught_up(&node, &views).await;
    for model in with_activities() {
        assert_eq!(views.verify(model.table().name, &no_progress).await.unwrap(), []);
    }
}

async fn rows_are_listed_by_filter_order_and_page(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let acme = node.acme().await;
    for number in 0..7 {
        node.joined(&acme, &format!("p{number}@acme.example"), Role::Agent).await;
    }
    caught_up(&node, &views).await;
    let partition = node.log.partition_of(acme.organization).await.unwrap().unwrap();
    let page = |direction, after| Query {
        partition,
        conditions: vec![
            Condition::Equal("organization", Value::Id(acme.organization.0)),
            Condition::Equal("role", Value::Text("agent".to_owned())),
        ],
        is_everywhere: false,
        text: None,
        sort: vec!["normalized_email", "user"],
        direction,
        after,
        limit: 3,
    };
    for direction in [Direction::Ascending, Direction::Descending] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let found = views.select("users", &page(direction, after)).await.unwrap();
            let users: Vec<User> = found.into_iter().map(|values| User::from_values(values).unwrap()).collect();
            let Some(last) = users.last() else { break };
            after = Some(vec![Value::Text(last.normalized_email.clone()), Value::Id(last.user.0)]);
            seen.extend(users.into_iter().map(|user| user.normalized_email));
        }
        let mut expected: Vec<String> = (0..7).map(|number| format!("p{number}@acme.example")).collect();
        if direction == Direction::Descending {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    let unknown = Query { sort: vec!["1; DROP TABLE users"], limit: 1, ..Query::default() };
    assert!(views.select("users", &unknown).await.is_err());
}

async fn people_are_found_by_parts_of_their_names_and_addresses(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let (acme, other) = (node.acme().await, node.found("other.example").await);
    for email in ["jörg@acme.example", "o'brien_50%@acme.example", "Zoë.Ångström@acme.example"] {
        node.joined(&acme, email, Role::Agent).await;
    }
    node.joined(&other, "jörg@acme.example", Role::Agent).await;
    let partition = node.log.partition_of(acme.organization).await.unwrap().unwrap();
    let found = async |text: &str| {
        let query = Query {
            partition,
            conditions: vec![Condition::Equal("organization", Value::Id(acme.organization.0))],
            text: Some(text.to_owned()),
            sort: vec!["normalized_email", "user"],
            limit: 10,
            ..Query::default()
        };
        let found = views.select("users", &query).await.unwrap();
        found.into_iter().map(|it| User::from_values(it).unwrap().normalized_email).collect::<Vec<_>>()
    };
    let (ana, jorg) = ("ana@acme.example", "jorg@acme.example");
    let (brien, zoe) = ("o'brien_50%@acme.example", "zoe.angstrom@acme.example");
    for is_rebuilt in [false, true] {
        caught_up(&node, &views).await;
        assert_eq!(found("quillFEATHER").await, [ana, jorg, brien, zoe], "by name, rebuilt: {is_rebuilt}");
        for (text, expected) in [
            ("angstrom", vec![zoe]),
            ("ÅNGSTRÖM anastasia", vec![zoe]),
            ("org@acme", vec![jorg]),
            ("zoe.angstrom@acme.example", vec![zoe]),
            ("zoe.angstrom@acme.example.com", vec![]),
            ("zoe.angstrom@other.example", vec![]),
            ("a@acme.example", vec![ana]),
            ("na@acme.exam", vec![ana]),
            ("@acme.example", vec![ana, jorg, brien, zoe]),
            ("50%", vec![brien]),
            ("0%@", vec![brien]),
            ("n_5", vec![brien]),
            ("%@%", vec![]),
            ("\" OR number > 0 --", vec![]),
            ("qu zo", vec![zoe]),
            ("ui", vec![]),
            ("nobody", vec![]),
        ] {
            assert_eq!(found(text).await, expected, "{text}, rebuilt: {is_rebuilt}");
        }
        assert_eq!(found("  ").await.len(), 4);
        views.rebuild("users", &no_progress).await.unwrap();
    }
    let unsearched = Query { text: Some("abc".to_owned()), limit: 1, ..Query::default() };
    assert!(views.select("sessions", &unsearched).await.is_err());
}

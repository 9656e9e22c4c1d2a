//! Rows are listed by conditions, words, order and page: the same on every engine, whichever way they are found.

use futures_util::future::join_all;
use porttask_domain::identity::Role;
use porttask_projections::{
    Row, Value,
    compliance::audit_log::Entry,
    identity::{session::Session, user::User},
    models,
};
use porttask_runtime::{
    log::{OrganizationId, PartitionId},
    views::{Condition, Direction, Query, ViewError, Views},
};
use porttask_tests::{Node, Store, become_role, on_both_engines, work};

use crate::work::{caught_up, rows};

on_both_engines! {
    conditions_and_words_choose_the_same_rows_in_every_order_and_page,
    a_page_goes_on_from_a_place_beyond_the_bounds,
    what_is_nothing_is_found_as_nothing,
    rows_that_many_look_for_at_once_are_each_their_own,
    a_comparison_that_makes_no_sense_is_refused,
    entries_are_found_by_what_happened_and_not_by_names,
    rows_are_counted_as_they_are_listed_up_to_a_bound,
}

/// The time and the place of an entry, by which the audit log is sorted.
fn place(entry: &Entry) -> Vec<Value> {
    vec![Value::Time(entry.occurred_at), Value::Integer(entry.offset as i64)]
}

fn of(organization: OrganizationId) -> Condition {
    Condition::Equal("organization", Value::Id(organization.0))
}

fn query(partition: PartitionId, conditions: Vec<Condition>) -> Query {
    Query { partition, conditions, sort: vec!["occurred_at", "offset"], limit: 10_000, ..Query::default() }
}

async fn entries(views: &Views, query: &Query) -> Vec<Entry> {
    let found = views.select("audit_log", query).await.unwrap();
    found.into_iter().map(|values| Entry::from_values(values).unwrap()).collect()
}

/// Whether a row meets a condition, by the definition.
fn meets(entry: &Entry, condition: &Condition) -> bool {
    let values = entry.to_values();
    let value = |name: &str| &values[Entry::COLUMNS.iter().position(|column| column.name == name).unwrap()];
    match condition {
        Condition::Equal(name, expected) => value(name) == expected,
        Condition::AtLeast(name, bound) => value(name) >= bound,
        Condition::Below(name, bound) => value(name) < bound,
        Condition::OneOf(name, expected) => expected.contains(value(name)),
        Condition::HasWord(name, Value::Text(word)) => {
            matches!(value(name), Value::Text(words) if words.split(' ').any(|it| it == word))
        }
        Condition::HasWord(..) => false,
    }
}

/// An organization in which much has happened, with all its entries in their order.
async fn busy_organization(node: &Node, views: &Views) -> (PartitionId, Vec<Entry>) {
    work(node, 300).await;
    caught_up(node, views).await;
    let all: Vec<Entry> =
        rows(node, views, "audit_log").await.into_iter().map(|it| Entry::from_values(it).unwrap()).collect();
    let count = |organization| all.iter().filter(|it| it.organization == organization).count();
    let busiest = all.iter().map(|it| it.organization).max_by_key(|it| count(*it)).unwrap();
    let partition = node.log.partition_of(busiest).await.unwrap().unwrap();
    let mut its: Vec<Entry> = all.into_iter().filter(|it| it.organization == busiest).collect();
    its.sort_by_key(|it| (it.occurred_at, it.offset));
    assert!(its.len() > 20, "{} entries", its.len());
    (partition, its)
}

async fn conditions_and_words_choose_the_same_rows_in_every_order_and_page(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let (partition, all) = busy_organization(&node, &views).await;
    let (first, last) = (&all[all.len() / 4], &all[all.len() * 3 / 4]);
    let since = Condition::AtLeast("occurred_at", Value::Time(first.occurred_at));
    let until = Condition::Below("occurred_at", Value::Time(last.occurred_at));
    let action = |action: &str| Value::Text(action.to_owned());
    let actors = || all.iter().map(|it| Value::Id(it.actor)).collect::<Vec<_>>();
    let targets = || all.iter().map(|it| Value::Id(it.target)).collect::<Vec<_>>();
    let cases = [
        vec![],
        vec![since.clone()],
        vec![until.clone()],
        vec![since.clone(), until.clone()],
        vec![until.clone(), Condition::Below("occurred_at", Value::Time(first.occurred_at))],
        vec![Condition::Equal("actor", Value::Id(last.actor)), since.clone(), until.clone()],
        vec![Condition::AtLeast("action", action("user.")), Condition::Below("action", action("user/"))],
        vec![Condition::OneOf("action", vec![action("user.role_changed"), action("user.invited"), action("no.such")])],
        vec![Condition::OneOf("action", vec![action("user.invited"), action("user.invited")]), since.clone()],
        vec![Condition::OneOf("action", vec![])],
        vec![Condition::HasWord("text", action("role")), since.clone()],
        vec![Condition::HasWord("text", action("rol")), until.clone()],
        vec![Condition::OneOf("actor", actors()), Condition::OneOf("action", vec![action("user.invited")])],
        vec![
            Condition::OneOf("action", vec![action("user.invited"), action("user.deactivated")]),
            Condition::OneOf("target", targets()[..9].to_vec()),
            until.clone(),
        ],
        vec![Condition::OneOf("offset", all.iter().step_by(2).map(|it| Value::Integer(it.offset as i64)).collect())],
    ];
    for conditions in cases {
        for text in [None, Some("changed ROLE"), Some("us inv"), Some("session")] {
            let words = Query { text: text.map(str::to_owned), ..Query::default() }.words();
            let mut expected: Vec<&Entry> =
                all.iter().filter(|it| conditions.iter().all(|one| meets(it, one))).collect();
            expected.retain(|it| words.anywhere.iter().all(|word| it.text.contains(word.as_str())));
            let begins = |text: &str, word: &str| format!(" {text}").contains(&format!(" {word}"));
            expected.retain(|it| words.beginning.iter().all(|word| begins(&it.text, word)));
            for direction in [Direction::Ascending, Direction::Descending] {
                let conditions = conditions.iter().cloned().chain([of(first.organization)]).collect();
                let text = text.map(str::to_owned);
                let mut page = Query { text, direction, limit: 7, ..query(partition, conditions) };
                let mut found = Vec::new();
                loop {
                    let entries = entries(&views, &page).await;
                    let Some(last) = entries.last() else { break };
                    page.after = Some(place(last));
                    found.extend(entries);
                }
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{page:?}");
                expected.reverse();
            }
        }
    }
}

async fn a_page_goes_on_from_a_place_beyond_the_bounds(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let (partition, all) = busy_organization(&node, &views).await;
    let (early, first, last, late) = (&all[2], &all[all.len() / 3], &all[all.len() / 2], &all[all.len() - 2]);
    let range = vec![
        Condition::AtLeast("occurred_at", Value::Time(first.occurred_at)),
        Condition::Below("occurred_at", Value::Time(last.occurred_at)),
        of(first.organization),
    ];
    let expected: Vec<&Entry> = all.iter().filter(|it| range.iter().all(|one| meets(it, one))).collect();
    for (direction, outside, beyond) in [(Direction::Ascending, early, late), (Direction::Descending, late, early)] {
        let query = |after: &Entry| Query { direction, after: Some(place(after)), ..query(partition, range.clone()) };
        let mut found = entries(&views, &query(outside)).await;
        found.sort_by_key(|it| it.offset);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        assert_eq!(entries(&views, &query(beyond)).await, []);
    }
}

async fn what_is_nothing_is_found_as_nothing(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 60).await;
    caught_up(&node, &views).await;
    let is_nothing = Condition::Equal("ended_at", Value::Null);
    let mut lasting = 0;
    for head in node.log.heads().await.unwrap() {
        let conditions = vec![is_nothing.clone()];
        let query = Query { partition: head.position.partition, conditions, limit: 10_000, ..Query::default() };
        lasting += views.select("sessions", &query).await.unwrap().len();
    }
    let all = rows(&node, &views, "sessions").await.into_iter().map(|it| Session::from_values(it).unwrap());
    assert_eq!(lasting, all.filter(|it| it.ended_at.is_none()).count());
}

async fn rows_that_many_look_for_at_once_are_each_their_own(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let acme = node.acme().await;
    for number in 0..30 {
        node.joined(&acme, &format!("p{number}@acme.example"), Role::Agent).await;
    }
    work(&node, 100).await;
    caught_up(&node, &views).await;
    let mut looking = Vec::new();
    for table in models().into_iter().map(|model| model.table()).filter(|table| !table.name.ends_with("audit_log")) {
        for row in rows(&node, &views, table.name).await {
            // Totals of a partition belong to no organization.
            let Value::Id(organization) = row[0] else { continue };
            let partition = node.log.partition_of(OrganizationId(organization)).await.unwrap().unwrap();
            let key = table.columns[..table.key].iter().zip(&row);
            let key: Vec<Condition> = key.map(|(it, value)| Condition::Equal(it.name, value.clone())).collect();
            // There is none where another one's organization lives.
            for (partition, expected) in [(partition, vec![row]), (PartitionId(9_999), Vec::new())] {
                let query = Query { partition, conditions: key.clone(), limit: 1, ..Query::default() };
                let views = &views;
                looking.push(async move {
                    assert_eq!(views.select(table.name, &query).await.unwrap(), expected);
                });
            }
        }
    }
    assert!(looking.len() > 60, "{} look-ups", looking.len());
    join_all(looking).await;
}

async fn a_comparison_that_makes_no_sense_is_refused(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    let text = || Value::Text("0".to_owned());
    for condition in [
        Condition::Equal("actor", text()),
        Condition::AtLeast("occurred_at", text()),
        Condition::Below("occurred_at", Value::Null),
        Condition::OneOf("target", vec![Value::Id(uuid::Uuid::nil()), Value::Integer(1)]),
        Condition::HasWord("target", Value::Id(uuid::Uuid::nil())),
        Condition::HasWord("target", text()),
    ] {
        let refused = views.select("audit_log", &query(PartitionId(0), vec![condition.clone()])).await;
        assert!(matches!(refused, Err(ViewError::WrongKind { .. })), "{condition:?}: {refused:?}");
    }
    for condition in [
        Condition::Equal("1 = 1 OR actor", text()),
        Condition::Equal("nothing", Value::Null),
        Condition::OneOf("nothing", vec![]),
        Condition::HasWord("nothing", text()),
    ] {
        let refused = views.select("audit_log", &query(PartitionId(0), vec![condition.clone()])).await;
        assert!(matches!(refused, Err(ViewError::NoSuchColumn { .. })), "{condition:?}: {refused:?}");
    }
}

async fn entries_are_found_by_what_happened_and_not_by_names(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let (acme, other) = (node.acme().await, node.found("other.example").await);
    for place in [&acme, &other] {
        let bob = node.joined(place, "bob@acme.example", Role::Agent).await;
        node.user(place, bob, become_role(Role::Auditor)).await.unwrap();
        node.user(place, bob, become_role(Role::Agent)).await.unwrap();
    }
    let partition = node.log.partition_of(acme.organization).await.unwrap().unwrap();
    let found = async |text: &str| {
        let newest = Query { direction: Direction::Descending, ..query(partition, vec![of(acme.organization)]) };
        let found = entries(&views, &Query { text: Some(text.to_owned()), ..newest }).await;
        found.into_iter().map(|it| it.action).collect::<Vec<_>>()
    };
    for is_rebuilt in [false, true] {
        caught_up(&node, &views).await;
        for (text, expected) in [
            ("from AUDITOR to agent", vec!["user.role_changed", "user.role_changed"]),
            ("AUDITOR invited", vec![]),
            ("role_changed", vec!["user.role_changed", "user.role_changed"]),
            ("invited", vec!["user.invited", "user.invited"]),
            ("created acme.example", vec!["organization.created"]),
            ("other.example", vec![]),
            ("bob", vec![]),
            ("quillfeather", vec![]),
        ] {
            assert_eq!(found(text).await, expected, "{text}, rebuilt: {is_rebuilt}");
        }
        let people = rows(&node, &views, "users").await.into_iter().map(|it| User::from_values(it).unwrap());
        assert!(people.into_iter().all(|it| it.normalized_name.contains("quillfeather")), "the names are there");
        views.rebuild("audit_log", &|_| ()).await.unwrap();
    }
}

async fn rows_are_counted_as_they_are_listed_up_to_a_bound(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let (partition, all) = busy_organization(&node, &views).await;
    let (middle, organization) = (&all[all.len() / 2], all[0].organization);
    let action = |action: &str| Value::Text(action.to_owned());
    for conditions in [
        vec![of(organization)],
        vec![of(organization), Condition::AtLeast("occurred_at", Value::Time(middle.occurred_at))],
        vec![of(organization), Condition::Equal("actor", Value::Id(middle.actor))],
        vec![of(organization), Condition::OneOf("action", vec![action("user.invited"), action("user.deactivated")])],
        vec![of(organization), Condition::Equal("action", action("no.such"))],
    ] {
        for text in [None, Some("changed"), Some("us")] {
            let query = Query { text: text.map(str::to_owned), ..query(partition, conditions.clone()) };
            let listed = entries(&views, &query).await.len() as u64;
            let counted = views.count("audit_log", &query, 10_000).await.unwrap();
            assert_eq!((counted.rows, counted.is_exact), (listed, true), "{query:?}");
        }
    }
    let bounded = views.count("audit_log", &query(partition, vec![of(organization)]), 10).await.unwrap();
    assert_eq!((bounded.rows, bounded.is_exact), (10, false));
    let exact = views.count("audit_log", &query(partition, vec![of(organization)]), all.len()).await.unwrap();
    assert_eq!((exact.rows, exact.is_exact), (all.len() as u64, true));
    let rare = query(partition, vec![of(organization), Condition::Equal("session", Value::Null)]);
    let found = views.count("audit_log", &rare, 10).await.unwrap();
    assert!(found.rows <= 10, "a lower bound");
    let wrong = query(partition, vec![Condition::Equal("no_such", Value::Null)]);
    assert!(matches!(views.count("audit_log", &wrong, 10).await, Err(ViewError::NoSuchColumn { .. })));
}

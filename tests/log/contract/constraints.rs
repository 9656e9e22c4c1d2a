//! Invariants over many streams: names and counts.

use porttask_runtime::log::{AppendError, Constraint, ConstraintViolation, OrganizationId};
use porttask_tests::{
    History, Store, claim, count, counter_key, found, holder_of, on_both_engines, release, simple, value_of,
};

on_both_engines! {
    a_claimed_name_is_refused_to_another_owner,
    a_name_may_be_claimed_again_by_its_owner,
    only_the_owner_gives_a_name_back,
    a_name_given_back_is_free,
    a_name_is_handed_over_within_one_append,
    names_differ_by_organization_kind_and_hash,
    a_count_does_not_pass_the_bound_that_it_moves_towards,
    a_count_beyond_a_bound_may_recover,
    each_guard_sees_what_the_ones_before_it_changed,
    a_refused_guard_leaves_no_trace_of_the_others,
    guards_outlive_the_node,
    many_guards_hold_in_one_append,
    the_platforms_guards_are_the_same_for_all_organizations,
}

fn constrained(
    organization: OrganizationId,
    constraints: impl IntoIterator<Item = Constraint>,
) -> porttask_runtime::log::Append {
    constraints.into_iter().fold(simple(organization, "constrained"), porttask_runtime::log::Append::constrained)
}

async fn a_claimed_name_is_refused_to_another_owner(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let ana = |owner| claim(organization, "ana", owner);
    log.append(constrained(organization, [ana("usr_1")])).await.unwrap();
    let before = History::of(&*log).await;
    let refused = log.append(constrained(organization, [ana("usr_2")])).await;
    let Constraint::Claim(wanted) = ana("usr_2") else { unreachable!() };
    let taken = ConstraintViolation::Taken { key: wanted.key, owner: "usr_1".to_owned() };
    assert_eq!(refused, Err(AppendError::Constraint(taken)));
    assert_eq!(History::of(&*log).await, before);
}

async fn a_name_may_be_claimed_again_by_its_owner(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    for _ in 0..2 {
        let ana = claim(organization, "ana", "usr_1");
        log.append(constrained(organization, [ana.clone(), ana])).await.unwrap();
    }
    log.append(constrained(organization, [release(organization, "ana", "usr_1")])).await.unwrap();
    assert_eq!(holder_of(&*log, organization, "ana").await, None, "claimed four times, given back once");
}

async fn only_the_owner_gives_a_name_back(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    log.append(constrained(organization, [claim(organization, "ana", "usr_1")])).await.unwrap();
    for (name, owner) in [("ana", "usr_2"), ("bob", "usr_1")] {
        let constraint = release(organization, name, owner);
        let Constraint::Release(given) = constraint.clone() else { unreachable!() };
        let refused = log.append(constrained(organization, [constraint])).await;
        assert_eq!(refused, Err(AppendError::Constraint(ConstraintViolation::NotHeld { key: given.key })));
    }
    assert_eq!(holder_of(&*log, organization, "ana").await.as_deref(), Some("usr_1"));
}

async fn a_name_given_back_is_free(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    for owner in ["usr_1", "usr_2", "usr_1"] {
        log.append(constrained(organization, [claim(organization, "ana", owner)])).await.unwrap();
        log.append(constrained(organization, [release(organization, "ana", owner)])).await.unwrap();
        log.append(constrained(organization, [release(organization, "ana", owner)])).await.unwrap_err();
    }
    assert_eq!(holder_of(&*log, organization, "ana").await, None);
}

async fn a_name_is_handed_over_within_one_append(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let (take, give) = (|owner| claim(organization, "ana", owner), |owner| release(organization, "ana", owner));
    log.append(constrained(organization, [take("usr_1")])).await.unwrap();
    log.append(constrained(organization, [take("usr_2"), give("usr_1")])).await.unwrap_err();
    assert_eq!(holder_of(&*log, organization, "ana").await.as_deref(), Some("usr_1"));
    log.append(constrained(organization, [give("usr_1"), take("usr_2")])).await.unwrap();
    assert_eq!(holder_of(&*log, organization, "ana").await.as_deref(), Some("usr_2"));
    log.append(constrained(organization, [give("usr_2"), take("usr_3"), give("usr_3")])).await.unwrap();
    assert_eq!(holder_of(&*log, organization, "ana").await, None);
}

async fn names_differ_by_organization_kind_and_hash(store: Store) {
    let log = store.open().await;
    let (one, other) = (found(&*log).await, found(&*log).await);
    log.append(constrained(one, [claim(one, "ana", "usr_1")])).await.unwrap();
    log.append(constrained(other, [claim(other, "ana", "usr_2")])).await.unwrap();
    log.append(constrained(one, [claim(one, "bob", "usr_3")])).await.unwrap();
    let Constraint::Claim(mut of_other_kind) = claim(one, "ana", "usr_4") else { unreachable!() };
    of_other_kind.key.kind = "Email".into();
    log.append(constrained(one, [Constraint::Claim(of_other_kind)])).await.unwrap();
    for (organization, name, owner) in [(one, "ana", "usr_1"), (other, "ana", "usr_2"), (one, "bob", "usr_3")] {
        assert_eq!(holder_of(&*log, organization, name).await.as_deref(), Some(owner));
    }
}

async fn a_count_does_not_pass_the_bound_that_it_moves_towards(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let seats = |by| constrained(organization, [count(organization, "seats", by, Some(1), Some(3))]);
    log.append(seats(3)).await.unwrap();
    let key = counter_key(organization, "seats");
    assert_eq!(
        log.append(seats(1)).await,
        Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { key: key.clone(), value: 3, maximum: 3 }))
    );
    log.append(seats(-2)).await.unwrap();
    assert_eq!(
        log.append(seats(-1)).await,
        Err(AppendError::Constraint(ConstraintViolation::BelowMinimum { key, value: 1, minimum: 1 }))
    );
    assert_eq!(value_of(&*log, organization, "seats").await, 1);
}

async fn a_count_beyond_a_bound_may_recover(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let seats = |by, minimum, maximum| constrained(organization, [count(organization, "seats", by, minimum, maximum)]);
    log.append(seats(10, None, None)).await.unwrap();
    log.append(seats(-1, None, Some(3))).await.unwrap();
    assert_eq!(value_of(&*log, organization, "seats").await, 9, "a decrease above a lowered maximum");
    log.append(seats(-30, None, None)).await.unwrap();
    log.append(seats(1, Some(1), None)).await.unwrap();
    assert_eq!(value_of(&*log, organization, "seats").await, -20, "an increase below the minimum");
    log.append(seats(0, Some(1), Some(-100))).await.unwrap();
    let extreme = seats(i64::MAX, None, None);
    log.append(extreme).await.unwrap();
    assert_eq!(value_of(&*log, organization, "seats").await, i64::MAX - 20);
}

async fn each_guard_sees_what_the_ones_before_it_changed(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let seats = |by, maximum| count(organization, "seats", by, Some(0), Some(maximum));
    log.append(constrained(organization, [seats(2, 2), seats(1, 2)])).await.unwrap_err();
    log.append(constrained(organization, [seats(2, 2), seats(-1, 2), seats(1, 2)])).await.unwrap();
    assert_eq!(value_of(&*log, organization, "seats").await, 2);
}

async fn a_refused_guard_leaves_no_trace_of_the_others(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    log.append(constrained(organization, [claim(organization, "bob", "usr_9")])).await.unwrap();
    let constraints = [
        claim(organization, "ana", "usr_1"),
        release(organization, "bob", "usr_9"),
        count(organization, "seats", 5, None, None),
        count(organization, "admins", -1, Some(1), None),
    ];
    log.append(constrained(organization, constraints)).await.unwrap_err();
    assert_eq!(holder_of(&*log, organization, "ana").await, None);
    assert_eq!(holder_of(&*log, organization, "bob").await.as_deref(), Some("usr_9"));
    assert_eq!(value_of(&*log, organization, "seats").await, 0);
}

async fn guards_outlive_the_node(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let constraints = [claim(organization, "ana", "usr_1"), count(organization, "seats", 2, None, None)];
    log.append(constrained(organization, constraints)).await.unwrap();
    drop(log);
    let log = store.open().await;
    assert_eq!(holder_of(&*log, organization, "ana").await.as_deref(), Some("usr_1"));
    assert_eq!(value_of(&*log, organization, "seats").await, 2);
    let back = [release(organization, "ana", "usr_1"), count(organization, "seats", -2, Some(0), None)];
    log.append(constrained(organization, back)).await.unwrap();
    let log = store.open().await;
    assert_eq!(holder_of(&*log, organization, "ana").await, None);
    assert_eq!(value_of(&*log, organization, "seats").await, 0);
}

async fn many_guards_hold_in_one_append(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let names = || (0..500).map(|number| (format!("name-{number}"), format!("usr_{number}")));
    let claims = names().map(|(name, owner)| claim(organization, &name, &owner));
    let counts = (0..500).map(|number| count(organization, &format!("count-{}", number % 50), 1, None, Some(10)));
    log.append(constrained(organization, claims.chain(counts))).await.unwrap();
    for (name, owner) in names().step_by(100) {
        assert_eq!(holder_of(&*log, organization, &name).await, Some(owner));
    }
    assert_eq!(value_of(&*log, organization, "count-7").await, 10);
    let releases = names().map(|(name, owner)| release(organization, &name, &owner));
    log.append(constrained(organization, releases)).await.unwrap();
    assert_eq!(holder_of(&*log, organization, "name-400").await, None);
}

async fn the_platforms_guards_are_the_same_for_all_organizations(store: Store) {
    let log = store.open().await;
    let platform = OrganizationId::PLATFORM;
    for number in 0..10 {
        let organization = found(&*log).await;
        let own_name = claim(platform, &format!("{number}.example.org"), &organization.to_string());
        log.append(constrained(organization, [own_name, count(platform, "domains", 1, None, Some(10))])).await.unwrap();
        let first_name = claim(platform, "0.example.org", "org_other");
        log.append(constrained(organization, [first_name])).await.unwrap_err();
    }
    let organization = found(&*log).await;
    let full = log.append(constrained(organization, [count(platform, "domains", 1, None, Some(10))])).await;
    assert!(
        matches!(full, Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { value: 10, .. }))),
        "{full:?}"
    );
}

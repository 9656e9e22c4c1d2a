//! Repetitions made harmless.

use futures_util::future::join_all;
use jiff::SignedDuration;
use porttask_runtime::log::{Append, AppendError, Appended, IdempotencyKey, OrganizationId, Version};
use porttask_tests::{
    History, Store, claim, event, found, idempotency_key, on_both_engines, platform_stream, simple, stream, value_of,
};

on_both_engines! {
    a_repeated_request_is_recorded_once_and_answered_alike,
    the_same_key_with_another_request_is_refused,
    a_refused_append_records_no_mark,
    a_repetition_is_recognised_before_anything_else_is_checked,
    racing_repetitions_are_recorded_once,
    a_repetition_is_recognised_by_another_node,
    keys_differ_by_organization_and_scope,
    a_mark_counts_until_its_time_is_over,
    expired_marks_are_forgotten_and_others_kept,
    a_decision_without_events_is_marked_too,
    a_founding_is_repeated_harmlessly,
    an_append_across_partitions_is_repeated_harmlessly,
}

fn repetition_of(first: &Appended) -> Appended {
    Appended { events: vec![], repeated: true, ..first.clone() }
}

fn expired(key: &str) -> IdempotencyKey {
    IdempotencyKey { kept_for: SignedDuration::from_hours(-1), ..idempotency_key(key, "request") }
}

async fn a_repeated_request_is_recorded_once_and_answered_alike(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let append = || simple(organization, "a").idempotency_key(idempotency_key("k", "request"));
    let first = log.append(append()).await.unwrap();
    log.append(simple(organization, "b")).await.unwrap();
    for _ in 0..3 {
        // Other event ids: whoever repeats a request decides again.
        assert_eq!(log.append(append()).await.unwrap(), repetition_of(&first));
    }
    assert_eq!(log.versions(&[stream(organization, "a")]).await.unwrap(), [Version(1)]);
}

async fn the_same_key_with_another_request_is_refused(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    log.append(simple(organization, "a").idempotency_key(idempotency_key("k", "request"))).await.unwrap();
    let before = History::of(&*log).await;
    let other = simple(organization, "a").idempotency_key(idempotency_key("k", "another request"));
    assert_eq!(log.append(other).await, Err(AppendError::AnotherRequest));
    assert_eq!(History::of(&*log).await, before);
}

async fn a_refused_append_records_no_mark(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let append = |version| {
        simple(organization, "a")
            .expecting(stream(organization, "a"), Version(version))
            .idempotency_key(idempotency_key("k", "request"))
    };
    log.append(append(7)).await.unwrap_err();
    assert!(!log.append(append(0)).await.unwrap().repeated);
    assert!(log.append(append(0)).await.unwrap().repeated);
}

async fn a_repetition_is_recognised_before_anything_else_is_checked(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let append = |owner| {
        simple(organization, "a")
            .expecting(stream(organization, "a"), Version::NONE)
            .constrained(claim(organization, "ana", owner))
            .idempotency_key(idempotency_key("k", "request"))
    };
    let first = log.append(append("usr_1")).await.unwrap();
    assert_eq!(log.append(append("usr_2")).await.unwrap(), repetition_of(&first));
}

async fn racing_repetitions_are_recorded_once(store: Store) {
    let log = store.open().await;
    let other_node = store.open().await;
    let organization = found(&*log).await;
    let nodes = [&log, &other_node];
    let append = || simple(organization, "a").idempotency_key(idempotency_key("k", "request"));
    let answers = join_all((0..40).map(|number| nodes[number % 2].append(append()))).await;
    let answers: Vec<Appended> = answers.into_iter().map(Result::unwrap).collect();
    let first = answers.iter().find(|answer| !answer.repeated).unwrap();
    assert_eq!(answers.iter().filter(|answer| **answer == repetition_of(first)).count(), 39, "{answers:?}");
    assert_eq!(log.versions(&[stream(organization, "a")]).await.unwrap(), [Version(1)]);
}

async fn a_repetition_is_recognised_by_another_node(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let append = || simple(organization, "a").idempotency_key(idempotency_key("k", "request"));
    let first = log.append(append()).await.unwrap();
    drop(log);
    assert_eq!(store.open().await.append(append()).await.unwrap(), repetition_of(&first));
}

async fn keys_differ_by_organization_and_scope(store: Store) {
    let log = store.open().await;
    let (one, other) = (found(&*log).await, found(&*log).await);
    let in_other_scope = IdempotencyKey { scope: "other tests".to_owned(), ..idempotency_key("k", "request") };
    for append in [
        simple(one, "a").idempotency_key(idempotency_key("k", "request")),
        simple(other, "a").idempotency_key(idempotency_key("k", "request")),
        simple(OrganizationId::PLATFORM, "a").idempotency_key(idempotency_key("k", "request")),
        simple(one, "a").idempotency_key(in_other_scope),
        simple(one, "a").idempotency_key(idempotency_key("K", "request")),
        simple(one, "a").idempotency_key(idempotency_key("ключ 'k' \"k\" %", "request")),
    ] {
        assert!(!log.append(append.clone()).await.unwrap().repeated);
        assert!(log.append(append).await.unwrap().repeated);
    }
}

async fn a_mark_counts_until_its_time_is_over(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let expired = || simple(organization, "a").idempotency_key(expired("k"));
    for _ in 0..3 {
        assert!(!log.append(expired()).await.unwrap().repeated);
    }
    let first = log.append(simple(organization, "a").idempotency_key(idempotency_key("k", "request"))).await.unwrap();
    assert_eq!(log.append(expired()).await.unwrap(), repetition_of(&first));
    assert_eq!(log.versions(&[stream(organization, "a")]).await.unwrap(), [Version(4)]);
}

async fn expired_marks_are_forgotten_and_others_kept(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    for number in 0..5 {
        let key = format!("old-{number}");
        log.append(simple(organization, "a").idempotency_key(expired(&key))).await.unwrap();
    }
    let kept = log.append(simple(organization, "a").idempotency_key(idempotency_key("new", "request"))).await.unwrap();
    assert_eq!(log.forget_expired().await.unwrap(), 5);
    assert_eq!(log.forget_expired().await.unwrap(), 0);
    let again = log.append(simple(organization, "a").idempotency_key(idempotency_key("new", "request"))).await.unwrap();
    assert_eq!(again, repetition_of(&kept));
    assert!(!log.append(simple(organization, "a").idempotency_key(expired("old-1"))).await.unwrap().repeated);
}

async fn a_decision_without_events_is_marked_too(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let head = log.append(simple(organization, "a")).await.unwrap().position;
    let decide = |version| {
        let append = Append::new(organization, vec![]).idempotency_key(idempotency_key("k", "request"));
        append.expecting(stream(organization, "a"), Version(version))
    };
    log.append(decide(0)).await.unwrap_err();
    let first = log.append(decide(1)).await.unwrap();
    assert_eq!((first.position, first.events.len(), first.repeated), (head, 0, false));
    log.append(simple(organization, "a")).await.unwrap();
    assert_eq!(log.append(decide(1)).await.unwrap(), repetition_of(&first));
    let recorded = History::of(&*log).await;
    assert_eq!(recorded.events().count(), 3);
}

async fn a_founding_is_repeated_harmlessly(store: Store) {
    let log = store.open().await;
    let organization = porttask_runtime::new_id::<OrganizationId>();
    let append =
        || simple(organization, "organization").creates_organization().idempotency_key(idempotency_key("k", "request"));
    let first = log.append(append()).await.unwrap();
    assert_eq!(log.append(append()).await.unwrap(), repetition_of(&first));
}

async fn an_append_across_partitions_is_repeated_harmlessly(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let append = || {
        let events = vec![event(&platform_stream("p"), *b"{}"), event(&stream(organization, "a"), *b"{}")];
        let platform = OrganizationId::PLATFORM;
        let seats = porttask_tests::count(platform, "domains", 1, None, None);
        Append::new(organization, events).constrained(seats).idempotency_key(idempotency_key("k", "request"))
    };
    let first = log.append(append()).await.unwrap();
    assert_eq!(log.append(append()).await.unwrap(), repetition_of(&first));
    assert_eq!(value_of(&*log, OrganizationId::PLATFORM, "domains").await, 1);
    assert_eq!(log.versions(&[platform_stream("p")]).await.unwrap(), [Version(1)]);
}

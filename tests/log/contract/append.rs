//! What is recorded, what is refused, and that there is nothing between.

use std::sync::Arc;

use futures_util::future::join_all;
use porttask_runtime::log::{
    After, Append, AppendError, EventType, MAX_APPEND_BYTES, MAX_DATA_BYTES, MAX_EVENTS, MAX_META_BYTES, NewEvent,
    Offset, OrganizationId, Position, Version,
};
use porttask_tests::{
    History, Store, claim, count, event, found, holder_of, on_both_engines, page_to_end, platform_stream, simple,
    stream, value_of,
};

on_both_engines! {
    an_event_is_kept_to_the_byte,
    an_append_answers_where_each_event_stands,
    the_offsets_of_a_partition_are_taken_in_order_from_one,
    a_stale_version_is_refused_and_leaves_no_trace,
    a_stream_that_was_only_read_is_checked_too,
    a_stream_without_an_expectation_is_added_to_at_any_version,
    of_several_stale_streams_the_first_is_named,
    malformed_appends_are_refused_and_leave_no_trace,
    an_append_is_all_or_nothing_across_its_streams,
    an_append_is_all_or_nothing_across_organization_and_platform,
    a_stale_platform_stream_refuses_an_append_of_an_organization,
    the_platform_appends_for_itself,
    a_loser_leaves_its_batch_mates_alone,
    an_append_after_another_is_admitted_only_if_that_one_was,
    racing_appends_at_one_version_have_one_winner,
    a_dropped_append_is_recorded_whole_or_not_at_all,
    the_largest_appends_are_recorded_and_read_in_pages,
    times_never_run_back,
}

async fn an_event_is_kept_to_the_byte(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let stream = stream(organization, "!odd~name{with}'quotes\"and\\slashes/%");
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let new = NewEvent {
        event_type: EventType::new("user_2.role_changed.v12").unwrap(),
        meta: every_byte.iter().rev().copied().collect::<Vec<_>>().into(),
        ..event(&stream, every_byte)
    };
    let appended = log.append(Append::new(organization, vec![new.clone()])).await.unwrap();
    let placed = appended.events[0];

    let from_stream = log.read_stream(&stream, Version::NONE, 10).await.unwrap();
    let before = Offset(placed.position.offset.0 - 1);
    let from_partition = log.read_partition(placed.position.partition, before, 10).await.unwrap();
    assert_eq!(from_stream, from_partition);
    let [recorded] = &from_stream[..] else { panic!("{} events", from_stream.len()) };
    assert_eq!((recorded.id, &recorded.stream, &recorded.event_type), (new.id, &new.stream, &new.event_type));
    assert_eq!((&recorded.data, &recorded.meta), (&new.data, &new.meta));
    assert_eq!((recorded.position, recorded.version), (placed.position, placed.version));
    assert_eq!(recorded.recorded_at, appended.recorded_at);
    assert_eq!(recorded.recorded_at.subsec_nanosecond() % 1_000, 0, "times are whole microseconds");
    assert!(recorded.is_intact());
}

async fn an_append_answers_where_each_event_stands(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let (a, b) = (stream(organization, "a"), stream(organization, "b"));
    log.append(simple(organization, "a")).await.unwrap();
    let events: Vec<NewEvent> = [&a, &b, &a, &b, &b].map(|stream| event(stream, *b"{}")).into();
    let appended = log.append(Append::new(organization, events.clone())).await.unwrap();

    assert!(!appended.repeated);
    let versions: Vec<u64> = appended.events.iter().map(|placed| placed.version.0).collect();
    assert_eq!(versions, [2, 1, 3, 2, 3]);
    let first = appended.events[0].position;
    assert_eq!(Some(first.partition), log.partition_of(organization).await.unwrap());
    for (number, placed) in (0..).zip(&appended.events) {
        assert_eq!(placed.position, Position { offset: Offset(first.offset.0 + number), ..first });
    }
    assert_eq!(appended.position, appended.events[4].position);
    let read = page_to_end(&*log, first.partition, Offset(first.offset.0 - 1), 100).await;
    assert_eq!(read.iter().map(|event| event.id).collect::<Vec<_>>(), events.iter().map(|e| e.id).collect::<Vec<_>>());
}

async fn the_offsets_of_a_partition_are_taken_in_order_from_one(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let mut last = log.append(simple(organization, "a")).await.unwrap().position;
    assert_eq!(last.offset, Offset(2), "the creates_organization has the first offset");
    for _ in 0..20 {
        let next = log.append(simple(organization, "a")).await.unwrap().position;
        assert_eq!(next, Position { offset: Offset(last.offset.0 + 1), ..last });
        last = next;
    }
    History::of(&*log).await.assert_sound();
}

async fn a_stale_version_is_refused_and_leaves_no_trace(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let a = stream(organization, "a");
    log.append(simple(organization, "a").expecting(a.clone(), Version::NONE)).await.unwrap();
    let before = History::of(&*log).await;
    for stale in [Version::NONE, Version(2), Version(u64::MAX >> 1)] {
        let refused = log.append(simple(organization, "a").expecting(a.clone(), stale)).await;
        assert_eq!(refused, Err(AppendError::Conflict { stream: a.clone(), expected: stale, actual: Version(1) }));
    }
    assert_eq!(History::of(&*log).await, before);
    let next = log.append(simple(organization, "a").expecting(a, Version(1))).await.unwrap();
    assert_eq!(
        next.events[0].position.offset,
        Offset(before.partitions.iter().map(Vec::len).max().unwrap() as u64 + 1)
    );
}

async fn a_stream_that_was_only_read_is_checked_too(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let read = stream(organization, "read");
    let decide = |version| simple(organization, "written").expecting(read.clone(), version);
    log.append(decide(Version::NONE)).await.unwrap();
    log.append(simple(organization, "read")).await.unwrap();
    let refused = log.append(decide(Version::NONE)).await;
    let conflict = AppendError::Conflict { stream: read.clone(), expected: Version::NONE, actual: Version(1) };
    assert_eq!(refused, Err(conflict));
    log.append(decide(Version(1))).await.unwrap();
    assert_eq!(log.versions(&[stream(organization, "written"), read]).await.unwrap(), [Version(2), Version(1)]);
}

async fn a_stream_without_an_expectation_is_added_to_at_any_version(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    for version in 1..=5 {
        let appended = log.append(simple(organization, "a")).await.unwrap();
        assert_eq!(appended.events[0].version, Version(version));
    }
}

async fn of_several_stale_streams_the_first_is_named(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| stream(organization, name));
    let append =
        simple(organization, "a").expecting(a, Version::NONE).expecting(b.clone(), Version(4)).expecting(c, Version(5));
    let refused = log.append(append).await;
    assert_eq!(refused, Err(AppendError::Conflict { stream: b, expected: Version(4), actual: Version::NONE }));
}

async fn malformed_appends_are_refused_and_leave_no_trace(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let a = stream(organization, "a");
    let before = History::of(&*log).await;
    let foreign = found(&*log).await;
    let sample = || event(&a, *b"{}");
    let with_data = |bytes: usize| NewEvent { data: vec![b'x'; bytes].into(), ..sample() };
    for (malformed, what) in [
        (Append::new(organization, vec![]), "nothing recorded"),
        (Append::new(foreign, vec![sample()]), "another organization's stream"),
        (simple(organization, "a").expecting(stream(foreign, "a"), Version::NONE), "another organization's version"),
        (simple(organization, "a").constrained(claim(foreign, "ana", "usr_1")), "another organization's name"),
        (simple(OrganizationId::PLATFORM, "a").creates_organization(), "the platform founded"),
        (Append::new(organization, vec![with_data(0)]), "blank data"),
        (Append::new(organization, vec![NewEvent { meta: vec![].into(), ..sample() }]), "blank meta"),
        (Append::new(organization, vec![with_data(MAX_DATA_BYTES + 1)]), "large data"),
        (
            Append::new(organization, vec![NewEvent { meta: vec![b'x'; MAX_META_BYTES + 1].into(), ..sample() }]),
            "large meta",
        ),
        (Append::new(organization, vec![sample(); MAX_EVENTS + 1]), "many events"),
        (Append::new(organization, vec![with_data(MAX_APPEND_BYTES / 9); 10]), "many bytes"),
    ] {
        let refused = log.append(malformed).await;
        assert!(matches!(refused, Err(AppendError::Malformed(_))), "{what}: {refused:?}");
    }
    let after = History::of(&*log).await;
    assert_eq!(
        after.events().count(),
        before.events().count() + 1,
        "only the creates_organization of the other organization"
    );
}

async fn an_append_is_all_or_nothing_across_its_streams(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| stream(organization, name));
    log.append(simple(organization, "c")).await.unwrap();
    let before = History::of(&*log).await;
    let events = vec![event(&a, *b"{}"), event(&b, *b"{}")];
    let append = Append::new(organization, events)
        .constrained(claim(organization, "ana", "usr_1"))
        .constrained(count(organization, "seats", 1, None, None))
        .expecting(c.clone(), Version::NONE);
    log.append(append.clone()).await.unwrap_err();
    assert_eq!(History::of(&*log).await, before);
    assert_eq!(log.versions(&[a.clone(), b.clone()]).await.unwrap(), [Version::NONE; 2]);
    assert_eq!(holder_of(&*log, organization, "ana").await, None);
    assert_eq!(value_of(&*log, organization, "seats").await, 0);

    let mut decided_again = append;
    decided_again.expected[0].version = Version(1);
    log.append(decided_again).await.unwrap();
    assert_eq!(log.versions(&[a, b, c]).await.unwrap(), [Version(1); 3]);
    assert_eq!(holder_of(&*log, organization, "ana").await.as_deref(), Some("usr_1"));
    assert_eq!(value_of(&*log, organization, "seats").await, 1);
}

async fn an_append_is_all_or_nothing_across_organization_and_platform(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let (here, there) = (stream(organization, "domain"), platform_stream("domains"));
    let append = |name: &str, owner: &str| {
        Append::new(organization, vec![event(&here, *b"{}"), event(&there, *b"{}"), event(&here, *b"{}")])
            .constrained(claim(OrganizationId::PLATFORM, name, owner))
            .constrained(count(organization, "domains", 1, None, Some(2)))
    };
    let first = log.append(append("example.org", "org_1")).await.unwrap();
    let partition = log.partition_of(organization).await.unwrap();
    let places: Vec<_> = first.events.iter().map(|placed| Some(placed.position.partition)).collect();
    let platform = log.partition_of(OrganizationId::PLATFORM).await.unwrap();
    assert_eq!(places, [partition, platform, partition]);
    assert_eq!(first.position, first.events[2].position, "the position is one of the organization's partition");

    let before = History::of(&*log).await;
    log.append(append("example.org", "org_2")).await.unwrap_err();
    assert_eq!(History::of(&*log).await, before, "refused by the platform's constraint");
    log.append(append("example.net", "org_1")).await.unwrap();
    let before = History::of(&*log).await;
    log.append(append("example.com", "org_1")).await.unwrap_err();
    assert_eq!(History::of(&*log).await, before, "refused by the organization's constraint");
    assert_eq!(holder_of(&*log, OrganizationId::PLATFORM, "example.com").await, None);
    assert_eq!(log.versions(&[here, there]).await.unwrap(), [Version(4), Version(2)]);
    History::of(&*log).await.assert_sound();
}

async fn a_stale_platform_stream_refuses_an_append_of_an_organization(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let terms = platform_stream("terms");
    let append = simple(organization, "a").expecting(terms.clone(), Version::NONE);
    log.append(append.clone()).await.unwrap();
    log.append(simple(OrganizationId::PLATFORM, "terms")).await.unwrap();
    let refused = log.append(append).await;
    assert_eq!(refused, Err(AppendError::Conflict { stream: terms, expected: Version::NONE, actual: Version(1) }));
}

async fn the_platform_appends_for_itself(store: Store) {
    let log = store.open().await;
    let appended = log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
    assert_eq!(appended.position.to_string(), "0:1");
    assert_eq!(appended.events[0].position, appended.position);
}

async fn a_loser_leaves_its_batch_mates_alone(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let taken = stream(organization, "organization");
    let appends = (0..300).map(|number| {
        let append = simple(organization, format!("a-{number}"));
        match number % 4 {
            1 => append.expecting(taken.clone(), Version::NONE),
            2 => append.constrained(count(organization, "seats", -1, Some(0), None)),
            _ => append,
        }
    });
    let answers = join_all(appends.map(|append| log.append(append))).await;
    for (number, answer) in answers.iter().enumerate() {
        match number % 4 {
            1 => assert!(matches!(answer, Err(AppendError::Conflict { .. })), "{number}: {answer:?}"),
            2 => assert!(matches!(answer, Err(AppendError::Constraint(_))), "{number}: {answer:?}"),
            _ => assert!(answer.is_ok(), "{number}: {answer:?}"),
        }
    }
    let history = History::of(&*log).await;
    history.assert_sound();
    assert_eq!(history.events().count(), 151);
}

async fn an_append_after_another_is_admitted_only_if_that_one_was(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let a = stream(organization, "a");
    let expecting = |version: u64| simple(organization, "a").expecting(a.clone(), Version(version));
    let following = |before: &Append, version: u64| {
        let after = After { admitted: before.admitted.clone(), stream: a.clone() };
        Append { after: Some(after), ..expecting(version) }
    };
    // Given to the log before the one before them is recorded.
    let chain: Vec<Append> = (0..50).fold(Vec::new(), |mut chain, version| {
        chain.push(chain.last().map_or_else(|| expecting(0), |before| following(before, version)));
        chain
    });
    let last = chain.last().cloned().unwrap();
    for answer in join_all(chain.into_iter().map(|append| log.append(append))).await {
        answer.unwrap();
    }
    log.append(following(&last, 50)).await.unwrap();
    // The place of the stale append is taken by another one: the version is as expected, the event is not.
    let stale = expecting(50);
    let after_stale = following(&stale, 51);
    let after_that = following(&after_stale, 51);
    for answer in join_all([stale, after_stale, after_that].map(|append| log.append(append))).await {
        assert!(matches!(answer, Err(AppendError::Conflict { .. })), "{answer:?}");
    }
    // One that the log was never given, and one that it rejected for another reason.
    let not_given = following(&expecting(51), 51);
    assert!(matches!(log.append(not_given).await, Err(AppendError::Conflict { .. })));
    let rejected = expecting(51).constrained(count(organization, "seats", -1, Some(0), None));
    let after_rejected = following(&rejected, 51);
    let answers = join_all([rejected, after_rejected].map(|append| log.append(append))).await;
    assert!(matches!(answers[..], [Err(AppendError::Constraint(_)), Err(AppendError::Conflict { .. })]), "{answers:?}");
    assert_eq!(log.versions(std::slice::from_ref(&a)).await.unwrap(), [Version(51)]);
    History::of(&*log).await.assert_sound();
}

async fn racing_appends_at_one_version_have_one_winner(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let a = stream(organization, "a");
    for version in 0..5 {
        let append = || simple(organization, "a").expecting(a.clone(), Version(version));
        let answers = join_all((0..40).map(|_| log.append(append()))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        let conflict =
            AppendError::Conflict { stream: a.clone(), expected: Version(version), actual: Version(version + 1) };
        assert!(lost.iter().all(|answer| *answer == Err(conflict.clone())), "{lost:?}");
    }
}

async fn a_dropped_append_is_recorded_whole_or_not_at_all(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let (a, b) = (stream(organization, "a"), stream(organization, "b"));
    for _ in 0..50 {
        let append = Append::new(organization, vec![event(&a, *b"{}"), event(&b, *b"{}")]);
        let log = Arc::clone(&log);
        let task = tokio::spawn(async move { log.append(append).await });
        tokio::task::yield_now().await;
        task.abort();
    }
    // Goes through, and behind all of them.
    log.append(simple(organization, "last")).await.unwrap();
    let versions = log.versions(&[a, b]).await.unwrap();
    assert_eq!(versions[0], versions[1]);
    History::of(&*log).await.assert_sound();
}

async fn the_largest_appends_are_recorded_and_read_in_pages(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let large = stream(organization, "large");
    let data = |byte: u8| vec![byte; MAX_DATA_BYTES];
    let mut expected = Vec::new();
    for round in 0..4 {
        // 7 MiB of data and a little meta: three such appends exceed a page.
        let events: Vec<NewEvent> = (0..7).map(|number| event(&large, data(round * 7 + number + 1))).collect();
        expected.extend(events.iter().map(|event| event.id));
        log.append(Append::new(organization, events)).await.unwrap();
    }
    let full_meta = NewEvent { meta: vec![b'm'; MAX_META_BYTES].into(), ..event(&large, *b"{}") };
    expected.push(full_meta.id);
    log.append(Append::new(organization, vec![full_meta])).await.unwrap();
    let many: Vec<NewEvent> = (0..MAX_EVENTS).map(|_| event(&large, *b"{}")).collect();
    expected.extend(many.iter().map(|event| event.id));
    log.append(Append::new(organization, many)).await.unwrap();

    let partition = log.partition_of(organization).await.unwrap().unwrap();
    let first_page = log.read_partition(partition, Offset::START, 10_000).await.unwrap();
    assert!((5..28).contains(&first_page.len()), "a page of 16 MiB has {} events", first_page.len());
    let read = page_to_end(&*log, partition, Offset(1), 10_000).await;
    assert!(read.iter().all(|event| event.is_intact()));
    assert!(read.iter().map(|event| event.id).eq(expected.iter().copied()));

    let mut of_stream = Vec::new();
    loop {
        let page = log.read_stream(&large, Version(of_stream.len() as u64), 10_000).await.unwrap();
        if page.is_empty() {
            break;
        }
        of_stream.extend(page);
    }
    assert!(of_stream.iter().map(|event| event.id).eq(expected));
}

async fn times_never_run_back(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let began = jiff::Timestamp::now();
    let appends = (0..200).map(|number| log.append(simple(organization, format!("a-{}", number % 7))));
    let answers = join_all(appends).await;
    let history = History::of(&*log).await;
    history.assert_sound();
    let hour = std::time::Duration::from_secs(3_600);
    for answer in answers {
        let recorded_at = answer.unwrap().recorded_at;
        assert!(began - hour < recorded_at && recorded_at < began + hour, "{recorded_at} is not the time");
    }
}

//! Counts of requests with API keys: those of all nodes add up, and each is recorded once.

use jiff::civil::{Date, date};
use porttask_domain::{ApiKeyId, OrganizationId};
use porttask_runtime::{
    ledger::Database,
    usage_counts::{OpenDay, OpenUsage, UsageCount},
};
use porttask_tests::{Settings, Store, on_both_engines};
use uuid::Uuid;

on_both_engines! {
    the_counts_of_all_nodes_add_up_and_the_greater_wins,
    what_was_taken_is_taken_again_until_it_is_settled,
    what_arrives_after_its_day_was_recorded_is_open,
    open_days_are_listed_in_order,
    only_recorded_days_are_deleted,
}

const ACME: OrganizationId = OrganizationId(Uuid::from_u128(1));

fn day(day: i8) -> Date {
    date(2026, 11, day)
}

fn key(number: u128) -> ApiKeyId {
    ApiKeyId(Uuid::from_u128(number))
}

/// How many requests with a key a run has counted on a day.
fn counted(run: u128, number: u128, on: i8, count: u64) -> UsageCount {
    UsageCount { run: Uuid::from_u128(run), organization: ACME, key: key(number), day: day(on), count }
}

async fn open(log: &dyn Database, organization: OrganizationId, from: i8) -> u64 {
    log.open_usage(organization, day(from)).await.unwrap().iter().map(|it| it.count).sum()
}

async fn the_counts_of_all_nodes_add_up_and_the_greater_wins(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    nodes[0].report_usage(&[counted(1, 7, 27, 5), counted(1, 8, 27, 1)]).await.unwrap();
    nodes[1].report_usage(&[counted(2, 7, 27, 3)]).await.unwrap();
    assert_eq!(open(&*nodes[0], ACME, 27).await, 9);
    // Repeated, late, and further reports.
    nodes[0].report_usage(&[counted(1, 7, 27, 5)]).await.unwrap();
    nodes[0].report_usage(&[counted(1, 7, 27, 2)]).await.unwrap();
    nodes[0].report_usage(&[]).await.unwrap();
    assert_eq!(open(&*nodes[1], ACME, 27).await, 9);
    nodes[1].report_usage(&[counted(2, 7, 27, 4), counted(2, 7, 26, 100)]).await.unwrap();
    assert_eq!(open(&*nodes[0], ACME, 27).await, 10, "of this day and later ones");
    assert_eq!(open(&*nodes[0], ACME, 1).await, 110);
    assert_eq!(open(&*nodes[0], OrganizationId(Uuid::from_u128(2)), 1).await, 0, "of others");
}

async fn what_was_taken_is_taken_again_until_it_is_settled(store: Store) {
    let log = store.open_database(Settings::default()).await;
    log.report_usage(&[counted(1, 7, 27, 5), counted(2, 7, 27, 2), counted(1, 8, 26, 1), counted(1, 8, 28, 9)])
        .await
        .unwrap();
    let taken = [(key(7), 7), (key(8), 1)];
    assert_eq!(log.take_usage(ACME, day(27)).await.unwrap(), taken, "with what is left of earlier days");
    log.report_usage(&[counted(1, 7, 27, 6)]).await.unwrap();
    assert_eq!(log.take_usage(ACME, day(27)).await.unwrap(), taken, "the same again");
    let mut parts = log.open_usage(ACME, day(1)).await.unwrap();
    parts.retain(|it| it.taken_for.is_some());
    assert_eq!(parts, [OpenUsage { taken_for: Some(day(27)), count: 8 }]);
    assert_eq!(open(&*log, ACME, 1).await, 18);
    log.settle_usage(ACME, day(27), false).await.unwrap();
    let taken = [(key(7), 8), (key(8), 1)];
    assert_eq!(log.take_usage(ACME, day(27)).await.unwrap(), taken, "it was not recorded");
    log.settle_usage(ACME, day(27), true).await.unwrap();
    log.settle_usage(ACME, day(27), true).await.unwrap();
    assert_eq!(log.take_usage(ACME, day(27)).await.unwrap(), []);
    assert_eq!(open(&*log, ACME, 1).await, 9);
}

async fn what_arrives_after_its_day_was_recorded_is_open(store: Store) {
    let log = store.open_database(Settings::default()).await;
    log.report_usage(&[counted(1, 7, 27, 5)]).await.unwrap();
    log.take_usage(ACME, day(27)).await.unwrap();
    log.settle_usage(ACME, day(27), true).await.unwrap();
    assert_eq!(log.open_days(day(28), None, 9).await.unwrap(), []);
    log.report_usage(&[counted(1, 7, 27, 7), counted(2, 8, 27, 1), counted(1, 7, 28, 2)]).await.unwrap();
    assert_eq!(open(&*log, ACME, 1).await, 5);
    assert_eq!(log.take_usage(ACME, day(28)).await.unwrap(), [(key(7), 4), (key(8), 1)]);
}

async fn open_days_are_listed_in_order(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let other = OrganizationId(Uuid::from_u128(2));
    let of_other = UsageCount { organization: other, ..counted(1, 9, 26, 1) };
    log.report_usage(&[counted(1, 7, 27, 5), counted(1, 7, 26, 5), counted(1, 8, 26, 5), of_other]).await.unwrap();
    let open = |on, organization| OpenDay { day: day(on), organization, taken_for: None };
    let all = [open(26, ACME), open(26, other), open(27, ACME)];
    assert_eq!(log.open_days(day(27), None, 9).await.unwrap(), all);
    assert_eq!(log.open_days(day(26), None, 9).await.unwrap(), all[..2]);
    assert_eq!(log.open_days(day(27), None, 2).await.unwrap(), all[..2]);
    assert_eq!(log.open_days(day(27), Some((day(26), other)), 2).await.unwrap(), all[2..]);
    log.take_usage(ACME, day(26)).await.unwrap();
    let taken = OpenDay { taken_for: Some(day(26)), ..open(26, ACME) };
    assert_eq!(log.open_days(day(26), None, 1).await.unwrap(), [taken]);
}

async fn only_recorded_days_are_deleted(store: Store) {
    let log = store.open_database(Settings::default()).await;
    log.report_usage(&[counted(1, 7, 1, 5), counted(1, 7, 2, 5), counted(1, 7, 3, 5)]).await.unwrap();
    for on in [1, 2] {
        log.take_usage(ACME, day(on)).await.unwrap();
        log.settle_usage(ACME, day(on), true).await.unwrap();
    }
    assert_eq!(log.delete_usage(day(2)).await.unwrap(), 1);
    assert_eq!(log.delete_usage(day(9)).await.unwrap(), 1);
    assert_eq!(open(&*log, ACME, 1).await, 5);
}

//! Limits of one node.

use futures_util::FutureExt;
use hmac::KeyInit;
use porttask_domain::OrganizationId;

use super::*;

fn attempts() -> Attempts {
    let ids = Hmac::new_from_slice(b"key").unwrap();
    Attempts::new(AttemptLimits { free: 3, free_of_network: 6, ceiling: 5 }, ids, None)
}

/// Without a database, nothing is waited for.
fn now_or_never<T>(done: impl Future<Output = T>) -> T {
    done.now_or_never().unwrap()
}

fn begin_on(attempts: &Attempts, by: Trying, is_known_device: bool, unlocks: u64, now: Timestamp) -> Look {
    now_or_never(attempts.begin(by, is_known_device, unlocks, now))
}

fn wrong(attempts: &Attempts, session: Uuid) -> bool {
    now_or_never(attempts.wrong_in_session(session, second(0)))
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

fn ip(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([203, 0, 113, last]))
}

fn after(seconds: i64) -> Look {
    Look::After(SignedDuration::from_secs(seconds))
}

#[test]
fn pauses_grow_and_end() {
    let pauses: Vec<i64> = [0, 2, 3, 4, 5, 12, 13, 99, u32::MAX].map(|it| pause(it, 3).as_secs()).into();
    assert_eq!(pauses, [0, 0, 1, 2, 4, 512, 900, 900, 900]);
    assert_eq!(pause(u32::MAX, 0), SignedDuration::ZERO);
}

#[test]
fn failures_with_one_address_from_one_network_are_delayed_increasingly() {
    let attempts = attempts();
    let by = |email: &str, ip| attempts.by(email, None, ip);
    let begin = |email: &str, ip, at| begin_on(&attempts, by(email, ip), false, 0, second(at));
    assert_eq!([0, 0, 0].map(|at| begin("bob@acme.example", ip(1), at)), [Look::Yes; 3]);
    assert_eq!(begin("BOB@acme.example", ip(1), 0), after(1));
    assert_eq!(begin("carol@acme.example", ip(1), 0), Look::Yes);
    assert_eq!(begin("bob@acme.example", ip(2), 0), Look::Yes);
    assert_eq!([1, 1].map(|at| begin("bob@acme.example", ip(1), at)), [Look::Yes, after(2)]);
    attempts.succeeded(by("bob@acme.example", ip(1)));
    let again = [1, 1].map(|at| begin("bob@acme.example", ip(1), at));
    assert_eq!(again, [Look::Yes, Look::OnlyKnownDevices], "the counter of the account is not reset");
    let elsewhere = attempts.by("bob@acme.example", Some("umbra.example"), ip(3));
    assert_eq!(begin_on(&attempts, elsewhere, false, 0, second(1)), Look::Yes, "another account is counted separately");
}

#[test]
fn a_network_that_tries_many_addresses_is_delayed_except_for_known_devices() {
    let attempts = attempts();
    let begin = |number: u8, ip, is_known, at| {
        let by = attempts.by(&format!("a{number}@acme.example"), None, ip);
        begin_on(&attempts, by, is_known, 0, second(at))
    };
    assert!((0..6).all(|number| begin(number, ip(1), false, 0) == Look::Yes));
    assert_eq!((begin(6, ip(1), false, 0), begin(6, ip(2), false, 0)), (after(1), Look::Yes));
    assert_eq!(begin(7, ip(1), true, 0), Look::Yes);
    assert_eq!(begin(8, ip(1), false, 3_600), Look::Yes, "an hour is over");
}

#[test]
fn above_the_ceiling_only_known_devices_may_try_until_an_unlock_or_the_next_day() {
    let attempts = attempts();
    let begin = |from, is_known, unlocks, at| {
        begin_on(&attempts, attempts.by("bob@acme.example", None, ip(from)), is_known, unlocks, second(at))
    };
    assert!((0..5).all(|from| begin(from, false, 0, 0) == Look::Yes));
    assert_eq!((begin(9, false, 0, 0), begin(10, true, 0, 0)), (Look::OnlyKnownDevices, Look::Yes));
    assert_eq!(begin(9, false, 1, 0), Look::Yes, "it was unlocked");
    assert!((20..24).all(|from| begin(from, false, 1, 0) == Look::Yes));
    // Further attempts do not extend the window.
    assert!((0..24).all(|hour| begin(30, false, 1, hour * 3_600) == Look::OnlyKnownDevices));
    assert_eq!(begin(31, false, 1, 86_400), Look::Yes, "a day is over");
}

#[test]
fn the_ceiling_holds_in_a_session_which_ends_after_too_many_wrong_passwords() {
    let attempts = attempts();
    let begin = |from, unlocks| {
        now_or_never(attempts.begin_in_session(attempts.by("usr_1", None, ip(from)), unlocks, second(0)))
    };
    assert!((0..5).all(|from| begin(from, 0) == Look::Yes));
    assert_eq!((begin(9, 0), begin(9, 1)), (Look::OnlyKnownDevices, Look::Yes));
    let (session, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert!((1..WRONG_IN_SESSION).all(|_| !wrong(&attempts, session)));
    assert!(wrong(&attempts, session) && !wrong(&attempts, other));
    attempts.right_in_session(session);
    assert!(!wrong(&attempts, session));
}

#[test]
fn successful_and_withdrawn_attempts_do_not_count() {
    let attempts = attempts();
    for at in 0..200 {
        let by = attempts.by("bob@acme.example", None, ip(1));
        assert_eq!(begin_on(&attempts, by, false, 0, second(at)), Look::Yes, "{at}");
        if at % 2 == 0 { attempts.withdraw(by) } else { attempts.succeeded(by) }
    }
}

#[test]
fn wrong_codes_are_limited_for_each_organization_and_right_ones_do_not_count() {
    let attempts = attempts();
    let [acme, umbra] = [1, 2].map(|number| OrganizationId(Uuid::from_u128(number)));
    let begin = |organization, at| now_or_never(attempts.begin_code(organization, second(at)));
    for at in 0..30 {
        attempts.withdraw_code(begin(acme, at).unwrap());
    }
    for _ in 0..WRONG_CODES {
        _ = begin(acme, 60).unwrap();
    }
    assert_eq!(begin(acme, 61).unwrap_err(), SignedDuration::from_secs(3_600 - 61), "the window began with the first");
    assert!(begin(umbra, 61).is_ok());
    assert!(begin(acme, 3_600).is_ok());
}

#[test]
fn attempts_out_of_order_are_not_delayed() {
    let attempts = attempts();
    let by = attempts.by("bob@acme.example", None, ip(1));
    assert_eq!([9, 8].map(|at| begin_on(&attempts, by, false, 0, second(at))), [Look::Yes; 2]);
    begin_on(&attempts, by, false, 0, second(9));
    assert_eq!(begin_on(&attempts, by, false, 0, second(8)), after(1), "nor is the pause longer than necessary");
}

#[test]
fn ipv6_addresses_of_one_subscriber_are_one_network() {
    let of = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(of("2001:db8:1:2::9"), "2001:db8:1:2::");
    assert_eq!(of("192.0.2.9"), "192.0.2.9");
    assert_eq!(of("::ffff:192.0.2.9"), "192.0.2.9");
}

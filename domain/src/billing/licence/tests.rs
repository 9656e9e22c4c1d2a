use uuid::Uuid;

use super::*;
use crate::testing::given;

const MACHINE: &str = "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn licence(number: u128) -> LicenceId {
    LicenceId(Uuid::from_u128(number))
}

fn issue(kind: Kind) -> Issue {
    Issue {
        licence: licence(1),
        kind,
        terms: LicenceTerms::default(),
        not_before: at(100),
        expires_at: at(200),
        activations: 5,
        reseller: (kind == Kind::Partner).then(|| "Harbour IT".to_owned()),
        issuer: "https://porttask.example".to_owned(),
        issued_at: at(90),
        kid: "kid".to_owned(),
        replaces: None,
    }
}

fn issued(kind: Kind) -> Event {
    Event::Issued(Box::new(issue(kind)))
}

fn activation() -> ActivationId {
    ActivationId(Uuid::from_u128(7))
}

fn activate(second: i64) -> Command {
    Command::Activate { activation: activation(), machine: Machine::new(MACHINE).unwrap(), now: at(second) }
}

fn added() -> Event {
    Event::ActivationAdded { activation: activation(), machine: MACHINE.to_owned() }
}

#[test]
fn a_licence_is_issued_once() {
    given::<Licence>([]).when(Command::Issue(Box::new(issue(Kind::Enterprise)))).then([issued(Kind::Enterprise)]);
    given::<Licence>([issued(Kind::Enterprise)])
        .when(Command::Issue(Box::new(issue(Kind::Trial))))
        .then_rejected(Rejection::Exists);
}

#[test]
fn invalid_licences_are_rejected() {
    let enterprise = || issue(Kind::Enterprise);
    for wrong in [
        Issue { expires_at: at(100), ..enterprise() },
        Issue { expires_at: at(90), not_before: at(80), ..enterprise() },
        Issue { expires_at: at(400_000_000), ..enterprise() },
        Issue { activations: 0, ..enterprise() },
        Issue { activations: 10_001, ..enterprise() },
        Issue { reseller: Some("Harbour IT".to_owned()), ..enterprise() },
        Issue { reseller: None, ..issue(Kind::Partner) },
    ] {
        let rejected = Licence::default().decide(&Command::Issue(Box::new(wrong.clone())));
        assert!(matches!(rejected, Err(Rejection::Invalid(_))), "{wrong:?}");
    }
}

#[test]
fn a_machine_is_activated_once_while_the_licence_is_valid() {
    given::<Licence>([issued(Kind::Trial)]).when(activate(100)).then([added()]);
    given::<Licence>([issued(Kind::Trial)]).when(activate(99)).then_rejected(Rejection::NotYetValid);
    given::<Licence>([issued(Kind::Trial)]).when(activate(200)).then_rejected(Rejection::Expired);
    let revoked = Event::Revoked { reason: "lost".to_owned() };
    given::<Licence>([issued(Kind::Trial), revoked]).when(activate(100)).then_rejected(Rejection::Revoked);
    given::<Licence>([issued(Kind::Trial), added()])
        .when(Command::Deactivate { machine: Machine::new(MACHINE).unwrap() })
        .then([Event::ActivationRemoved { activation: activation(), why: Removal::Deactivated }]);
    given::<Licence>([issued(Kind::Trial), added()])
        .when(Command::RemoveActivation { activation: activation() })
        .then([Event::ActivationRemoved { activation: activation(), why: Removal::Removed }]);
}

#[test]
fn activations_are_counted_up_to_the_maximum_that_was_issued() {
    let licence = Licence::after(&[issued(Kind::Enterprise)]);
    let [Constraint::Count { name, by: 1, maximum: Some(5), .. }, Constraint::Claim { name: Some(machine), .. }] =
        &licence.constraints(&added())[..]
    else {
        panic!("no counter and claim")
    };
    assert_eq!(*name, format!("activations {}", super::tests::licence(1)));
    assert!(machine.ends_with(MACHINE));
    assert_eq!(Licence::default().constraints(&issued(Kind::Trial)).len(), 1, "the only trial");
    assert!(Licence::default().constraints(&issued(Kind::Enterprise)).is_empty());
    let again = Issue { replaces: Some(super::tests::licence(2)), ..issue(Kind::Trial) };
    assert!(Licence::default().constraints(&Event::Issued(Box::new(again))).is_empty(), "it is the same trial");
}

#[test]
fn only_the_licence_of_a_subscription_is_renewed() {
    let renew = |expires| {
        let (terms, kid) = (LicenceTerms::default(), "other".to_owned());
        Command::Renew { terms, expires_at: at(expires), kid, now: at(150) }
    };
    let again = Issue { expires_at: at(300), kid: "other".to_owned(), issued_at: at(150), ..issue(Kind::Subscription) };
    given::<Licence>([issued(Kind::Subscription)]).when(renew(300)).then([Event::Issued(Box::new(again))]);
    given::<Licence>([issued(Kind::Subscription)]).when(renew(200)).then([]);
    given::<Licence>([issued(Kind::Subscription)]).when(renew(150)).then([]);
    given::<Licence>([issued(Kind::Enterprise)]).when(renew(300)).then([]);
    given::<Licence>([issued(Kind::Subscription), Event::Revoked { reason: "lost".to_owned() }])
        .when(renew(300))
        .then([]);
}

#[test]
fn what_was_replaced_stays_replaced() {
    let replaced = Event::Replaced { by: licence(2) };
    given::<Licence>([issued(Kind::Trial)]).when(Command::Replace { by: licence(2) }).then([replaced.clone()]);
    given::<Licence>([issued(Kind::Trial), replaced.clone()])
        .when(Command::Replace { by: licence(3) })
        .then_rejected(Rejection::Revoked);
    let reason = Reason::new("lost").unwrap();
    given::<Licence>([issued(Kind::Trial), replaced]).when(Command::Revoke { reason: reason.clone() }).then([]);
    given::<Licence>([issued(Kind::Trial)])
        .when(Command::Revoke { reason })
        .then([Event::Revoked { reason: "lost".to_owned() }]);
}

#[test]
fn machines_are_canonical_hashes() {
    assert!(Machine::new(MACHINE).is_ok());
    for wrong in ["", "short", &MACHINE.replace('U', "V"), &MACHINE.replace('9', "+"), &format!("{MACHINE}=")] {
        assert!(Machine::new(wrong).is_err(), "{wrong}");
    }
}

//! The licences of a year.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::billing::licence::{Kind, LicenceId};

use crate::{
    plan::{By, DAY, Planner, What},
    random::Random,
};

/// What happens to a licence.
pub(crate) enum LicenceStep {
    /// It is issued: on how many machines it can be activated, for how many days it is valid, and who sold it.
    Issue { kind: Kind, activations: u32, days: i32, reseller: Option<&'static str> },
    /// It is activated on a machine.
    Activate(String),
    /// It is revoked.
    Revoke,
}

/// The licences of an organization that has a plan.
pub(crate) fn year(
    planner: &mut Planner,
    (created_at, chosen_at, ended_at): (Timestamp, Timestamp, Timestamp),
    number: usize,
) {
    let mut issue = |at: Timestamp, kind, (activations, days, machines), reseller| {
        let licence: LicenceId = planner.random.id(at);
        let mut add = |at: Timestamp, by, step| {
            if at < ended_at - SignedDuration::from_hours(1) {
                planner.steps.push(crate::plan::Step { at, by, what: What::Licence(licence, step) });
            }
        };
        add(at, By::Staff, LicenceStep::Issue { kind, activations, days, reseller });
        for place in 1..=machines {
            let machine = machine(&mut planner.random);
            add(at + SignedDuration::from_hours(5 * place), By::Anonymous, LicenceStep::Activate(machine));
        }
        licence
    };
    if number.is_multiple_of(2) {
        issue(created_at + DAY * 2, Kind::Trial, (1, 14, 1), None);
    }
    if number % 3 != 2 {
        // The first period has begun by then.
        issue(chosen_at + DAY * 20, Kind::Subscription, (3, 0, 2), None);
    }
    if number.is_multiple_of(8) {
        issue(chosen_at + DAY * 25, Kind::Enterprise, (50, 730, 5), None);
    }
    if number % 8 == 1 {
        issue(chosen_at + DAY * 40, Kind::Partner, (10, 365, 2), Some("Harbour IT"));
    }
    if number.is_multiple_of(6) {
        let at = chosen_at + DAY * 30;
        let revoked = issue(at, Kind::Enterprise, (2, 365, 1), None);
        if at + DAY * 40 < ended_at - SignedDuration::from_hours(1) {
            planner.add(at + DAY * 40, By::Staff, What::Licence(revoked, LicenceStep::Revoke));
        }
    }
}

/// A machine: what a client computes of it, a SHA-256 in base64url.
fn machine(random: &mut Random) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text: String = (0..42).map(|_| char::from(*random.pick(ALPHABET))).collect();
    // Of the last character, two bits are zero.
    text.push(char::from(*random.pick(b"AEIMQUYcgkosw048")));
    text
}

#[cfg(test)]
mod tests {
    use porttask_domain::billing::licence::Machine;

    use super::*;

    #[test]
    fn machines_are_hashes() {
        let mut random = Random::new(1, 1);
        for _ in 0..100 {
            assert!(Machine::new(&machine(&mut random)).is_ok());
        }
    }
}

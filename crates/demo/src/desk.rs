//! The tickets of a year.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::support::ticket::{ReplyId, TicketId, TicketKind};

use crate::plan::{By, Planner, What};

/// What happens to a ticket.
pub(crate) enum TicketStep {
    Open { kind: TicketKind, subject: &'static str, text: &'static str },
    Reply { reply: ReplyId, text: &'static str },
    Escalate(&'static str),
    Resolve,
}

const SUBJECTS: [(TicketKind, &str, &str); 6] = [
    (
        TicketKind::Support,
        "Import of port calls stops at line 12",
        "The report says that the IMO number is wrong, but it is right.",
    ),
    (
        TicketKind::Support,
        "A colleague does not get the invitation",
        "It is not in the junk folder either.\nCould you look?",
    ),
    (TicketKind::Support, "Times of our port are an hour off", "Since the end of daylight saving time."),
    (TicketKind::Billing, "No invoice since May", "The last one is of April.\nWhere are the others?"),
    (TicketKind::Billing, "Purchase order on the invoice", "Our accounting needs PO 4711 on all of them."),
    (TicketKind::Support, "How do we hand over port calls?", "A colleague leaves at the end of the month."),
];
const REPLIES: [&str; 4] = [
    "Thank you for writing. We are looking into it.",
    "This is mended since this morning. Please try again.",
    "Could you send us the file?",
    "You find it under Settings. The guide has an example.",
];

/// Plans tickets that are opened in a range of time.
pub(crate) fn year(planner: &mut Planner, (from, until): (Timestamp, Timestamp), count: usize) {
    for _ in 0..if from < until { count } else { 0 } {
        let opened_at = planner.random.instant(from, until);
        let able = planner.agents.iter().filter(|(_, from, until)| (*from..*until).contains(&opened_at));
        let able: Vec<(usize, Timestamp)> = able.map(|(it, _, until)| (*it, *until)).collect();
        if able.is_empty() {
            continue;
        }
        let (who, there_until) = *planner.random.pick(&able);
        let (kind, subject, text) = *planner.random.pick(&SUBJECTS);
        let ticket: TicketId = planner.random.id(opened_at);
        let mut steps = vec![(opened_at, By::Person(who), TicketStep::Open { kind, subject, text })];
        let mut at = opened_at;
        let mut slowest = 30;
        if planner.random.chance(0.12) {
            at += planner.random.hours(1..20);
            steps.push((at, By::Person(who), TicketStep::Escalate("The vessel arrives tomorrow")));
            // Staff is mostly in time.
            slowest = 6;
        }
        for _ in 0..=planner.random.below(3) {
            at += planner.random.hours(1..slowest);
            let reply = planner.random.id(at);
            steps.push((at, By::Staff, TicketStep::Reply { reply, text: planner.random.pick::<&str>(&REPLIES) }));
        }
        if planner.random.chance(0.85) {
            at += SignedDuration::from_mins(40);
            steps.push((at, By::Staff, TicketStep::Resolve));
        }
        for (at, by, step) in steps.into_iter().filter(|(at, ..)| *at < until.min(there_until)) {
            planner.add(at, by, What::Ticket(ticket, step));
        }
    }
}

use uuid::Uuid;

use super::*;
use crate::{Personal, testing::given};

const BOB: Author = Author { user: UserId(Uuid::from_u128(11)), side: Side::Organization };
const ANA: Author = Author { user: UserId(Uuid::from_u128(1)), side: Side::Staff };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn text(text: &str) -> TicketText {
    TicketText::new(text).unwrap()
}

fn open() -> Command {
    let subject = TicketSubject::new("No invoice").unwrap();
    Command::Open { number: 12, kind: TicketKind::Billing, subject, text: text("None since May."), by: BOB }
}

fn opened() -> Event {
    Event::Opened {
        number: 12,
        kind: TicketKind::Billing,
        subject: Personal::identity(BOB.user, "No invoice"),
        text: Personal::identity(BOB.user, "None since May."),
        by: BOB.user,
        side: Side::Organization,
    }
}

fn reply(id: u128, by: Author, now: i64) -> Command {
    Command::Reply { reply: ReplyId(Uuid::from_u128(id)), text: text("See below."), by, now: at(now) }
}

fn replied(id: u128, by: Author) -> Event {
    let text = Personal::identity(by.user, "See below.");
    Event::Replied { reply: ReplyId(Uuid::from_u128(id)), text, by: by.user, side: by.side }
}

fn escalate(why: &str, by: Author) -> Command {
    Command::Escalate { reason: Reason::new(why).unwrap(), by, response_due_at: at(100) }
}

fn escalated(why: &str) -> Event {
    let reason = Personal::identity(BOB.user, why);
    Event::Escalated { reason, by: BOB.user, response_due_at: at(100) }
}

fn missed() -> Event {
    Event::ResponseMissed { response_due_at: at(100) }
}

fn resolve(by: Author, now: i64) -> Command {
    Command::Resolve { by, now: at(now) }
}

fn resolved(by: Author) -> Event {
    Event::Resolved { by: by.user, side: by.side }
}

fn reopened(by: Author) -> Event {
    Event::Reopened { by: by.user, side: by.side }
}

#[test]
fn a_ticket_is_opened_once() {
    given::<Ticket>([]).when(open()).then([opened()]);
    given::<Ticket>([opened()]).when(open()).then([]);
    let Command::Open { number, kind, subject, by, .. } = open() else { unreachable!() };
    let other = Command::Open { number, kind, subject, text: text("None since June."), by };
    given::<Ticket>([opened()]).when(other).then_rejected(Rejection::Exists);
    given::<Ticket>([]).when(reply(1, BOB, 0)).then_rejected(Rejection::NotFound);
}

#[test]
fn both_sides_reply_until_it_is_resolved() {
    given::<Ticket>([opened()]).when(reply(1, BOB, 0)).then([replied(1, BOB)]);
    given::<Ticket>([opened(), replied(1, BOB)]).when(reply(2, ANA, 0)).then([replied(2, ANA)]);
    given::<Ticket>([opened(), replied(1, BOB)]).when(reply(1, ANA, 0)).then_rejected(Rejection::ReplyExists);
    given::<Ticket>([opened(), resolved(ANA)]).when(reply(1, BOB, 0)).then_rejected(Rejection::Resolved);
    given::<Ticket>([opened(), resolved(ANA), reopened(BOB)]).when(reply(1, BOB, 0)).then([replied(1, BOB)]);
}

#[test]
fn both_sides_resolve_and_reopen_it() {
    for by in [BOB, ANA] {
        given::<Ticket>([opened()]).when(resolve(by, 0)).then([resolved(by)]);
        given::<Ticket>([opened(), resolved(by)]).when(Command::Reopen { by }).then([reopened(by)]);
    }
    given::<Ticket>([opened(), resolved(ANA)]).when(resolve(BOB, 0)).then([]);
    given::<Ticket>([opened()]).when(Command::Reopen { by: BOB }).then([]);
}

#[test]
fn an_escalation_is_open_until_staff_replies() {
    given::<Ticket>([opened()]).when(escalate("urgent", BOB)).then([escalated("urgent")]);
    given::<Ticket>([opened()]).when(escalate("urgent", ANA)).then_rejected(Rejection::EscalatedByStaff);
    given::<Ticket>([opened(), resolved(BOB)]).when(escalate("urgent", BOB)).then_rejected(Rejection::Resolved);
    let open = [opened(), escalated("urgent")];
    given::<Ticket>(open.clone()).when(escalate("still", BOB)).then_rejected(Rejection::Escalated);
    let answered = [opened(), escalated("urgent"), replied(1, ANA)];
    given::<Ticket>(answered.clone()).when(escalate("still", BOB)).then([escalated("still")]);
    given::<Ticket>(answered).when(Command::MissResponse { now: at(100) }).then([]);
    let asked = [opened(), escalated("urgent"), replied(1, BOB)];
    given::<Ticket>(asked).when(Command::MissResponse { now: at(100) }).then([missed()]);
    given::<Ticket>(open).when(Command::MissResponse { now: at(99) }).then([]);
}

#[test]
fn a_late_reply_or_resolution_misses_the_response_target_first() {
    let open = [opened(), escalated("urgent")];
    given::<Ticket>(open.clone()).when(reply(1, ANA, 99)).then([replied(1, ANA)]);
    given::<Ticket>(open.clone()).when(reply(1, ANA, 100)).then([missed(), replied(1, ANA)]);
    given::<Ticket>(open.clone()).when(reply(1, BOB, 100)).then([replied(1, BOB)]);
    given::<Ticket>(open).when(resolve(ANA, 101)).then([missed(), resolved(ANA)]);
    let late = [opened(), escalated("urgent"), missed()];
    given::<Ticket>(late.clone()).when(reply(1, ANA, 101)).then([replied(1, ANA)]);
    given::<Ticket>(late).when(Command::MissResponse { now: at(101) }).then([]);
}

#[test]
fn it_is_assigned_to_one_member_of_the_staff_at_a_time() {
    let assigned = |from: Option<Author>, to: Option<Author>| {
        let user = |author: Author| author.user;
        Event::Assigned { from: from.map(user), to: to.map(user) }
    };
    let assign = |to: Option<Author>| Command::Assign { to: to.map(|author| author.user) };
    given::<Ticket>([opened()]).when(assign(Some(ANA))).then([assigned(None, Some(ANA))]);
    given::<Ticket>([opened(), assigned(None, Some(ANA))]).when(assign(None)).then([assigned(Some(ANA), None)]);
    given::<Ticket>([opened()]).when(assign(None)).then([]);
}

#[test]
fn texts_have_lines_and_a_subject_has_one() {
    assert_eq!(TicketText::new(" First\r\n\tSecond\rThird \n").unwrap().as_str(), "First\n\tSecond\nThird");
    for bad in ["", " \n ", "a\u{0}b", "a\u{202e}b", &"x".repeat(10_001)] {
        assert!(TicketText::new(bad).is_err(), "{bad:?}");
    }
    assert!(TicketSubject::new("two\nlines").is_err() && TicketSubject::new(&"x".repeat(201)).is_err());
}

#[test]
fn an_open_ticket_is_handed_over_once_by_whoever_asks() {
    let (cleo, dana) = (UserId(Uuid::from_u128(12)), UserId(Uuid::from_u128(13)));
    let hand = |from: UserId, to: UserId| Command::HandOver { from, to };
    let handed = |from: UserId, to: UserId| Event::HandedOver { from, to };
    given::<Ticket>([]).when(hand(BOB.user, cleo)).then_rejected(Rejection::NotFound);
    given::<Ticket>([opened()]).when(hand(BOB.user, cleo)).then([handed(BOB.user, cleo)]);
    given::<Ticket>([opened()]).when(hand(BOB.user, BOB.user)).then([]);
    given::<Ticket>([opened()]).when(hand(dana, cleo)).then([]);
    given::<Ticket>([opened(), handed(BOB.user, cleo)]).when(hand(BOB.user, cleo)).then([]);
    given::<Ticket>([opened(), handed(BOB.user, cleo)]).when(hand(cleo, dana)).then([handed(cleo, dana)]);
    given::<Ticket>([opened(), resolved(ANA)]).when(hand(BOB.user, cleo)).then([]);
    // Whoever opened it can still repeat that.
    given::<Ticket>([opened(), handed(BOB.user, cleo)]).when(open()).then([]);
}

//! English.

use porttask_domain::support::ticket::TicketKind;

use super::{Kind, Message};
use crate::mail::{
    language::Reader,
    letter::{Letter, Paragraph},
};

pub(super) fn letter(message: &Message<'_>, reader: &Reader<'_>) -> Letter {
    let Message { kind, number, .. } = message;
    let organization = reader.organization;
    let about = match message.about {
        TicketKind::Support => "support ticket",
        TicketKind::Billing => "billing ticket",
    };
    let due = message
        .response_due_at
        .map(|at| format!("{} ({})", reader.at(at).strftime("%-d %B %Y at %H:%M"), reader.time_zone));
    let due = due.unwrap_or_default();
    let (subject, text) = match kind {
        Kind::TicketOpened => (
            format!("{organization} opened {about} #{number}"),
            format!("{organization} opened the {about} #{number} on PortTask."),
        ),
        Kind::TicketReply => (
            format!("New reply to your ticket #{number}"),
            format!("PortTask staff replied to your {about} #{number} of {organization}."),
        ),
        Kind::TicketOrganizationReply => (
            format!("{organization} replied to {about} #{number}"),
            format!("{organization} replied to the {about} #{number} on PortTask."),
        ),
        Kind::TicketEscalated => (
            format!("{organization} escalated {about} #{number}: reply by {due}"),
            format!("{organization} escalated the {about} #{number} on PortTask. A reply is due by {due}."),
        ),
        Kind::TicketResponseMissed => (
            format!("{about} #{number} of {organization} has had no reply in time", about = capitalized(about)),
            format!("A reply to the escalated {about} #{number} of {organization} was due by {due}. There was none."),
        ),
        Kind::TicketResolved => (
            format!("Your ticket #{number} is resolved"),
            format!(
                "Your {about} #{number} of {organization} on PortTask was resolved. If it is not, you can reopen it."
            ),
        ),
        Kind::TicketReopened => (
            format!("{organization} reopened {about} #{number}"),
            format!("{organization} reopened the {about} #{number} on PortTask."),
        ),
    };
    let paragraphs = vec![
        Paragraph::Text(format!("Hello {},", reader.name)),
        Paragraph::Text(text),
        Paragraph::Link { label: "Open the ticket", address: message.address.to_owned() },
        Paragraph::Text("Reply there: answers to this mail are not read.".to_owned()),
    ];
    Letter { subject, paragraphs }
}

/// With a capital letter, as a sentence begins.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'static> =
        Reader { name: "Bob Fisher", organization: "Acme Shipping", time_zone: "Europe/Lisbon" };

    fn message(kind: Kind) -> Message<'static> {
        let response_due_at = Some("2026-08-03T13:05:59Z".parse().unwrap());
        let address = "https://admin.example/settings/tickets/tkt_1";
        Message { kind, number: 12, about: TicketKind::Billing, response_due_at, address }
    }

    #[test]
    fn a_mail_names_the_ticket_and_leads_to_it() {
        let letter = letter(&message(Kind::TicketReply), &READER);
        assert_eq!(letter.subject, "New reply to your ticket #12");
        let expected = "Hello Bob Fisher,

PortTask staff replied to your billing ticket #12 of Acme Shipping.

https://admin.example/settings/tickets/tkt_1

Reply there: answers to this mail are not read.
";
        assert_eq!(letter.text(), expected);
    }

    #[test]
    fn a_mail_about_an_escalation_says_by_when_to_reply() {
        let escalated = letter(&message(Kind::TicketEscalated), &READER);
        let due = "3 August 2026 at 14:05 (Europe/Lisbon)";
        assert_eq!(escalated.subject, format!("Acme Shipping escalated billing ticket #12: reply by {due}"));
        let missed = letter(&message(Kind::TicketResponseMissed), &READER);
        assert_eq!(missed.subject, "Billing ticket #12 of Acme Shipping has had no reply in time");
        assert!(missed.text().contains(due), "{}", missed.text());
    }
}

//! English.

use jiff::Zoned;
use porttask_domain::identity::Role;

use super::{Invitation, Texts};

pub(super) const ENGLISH: Texts = Texts { tag: "en", invitation };

fn invitation(invitation: &Invitation<'_>, until: &Zoned) -> (String, String) {
    let Invitation { name, inviter, organization, link, time_zone, .. } = invitation;
    let role = role(invitation.role);
    let (subject, who_invites) = match inviter {
        Some(inviter) => (
            format!("{inviter} invites you to {organization}"),
            format!("{inviter} invites you to join {organization} on PortTask as {role}."),
        ),
        None => (
            format!("You are invited to {organization}"),
            format!("You are invited to join {organization} on PortTask as {role}."),
        ),
    };
    let until = until.strftime("%-d %B %Y at %H:%M");
    let text = format!(
        "Hello {name},

{who_invites}

Open this link to accept and to choose a password:

{link}

It can be used once, until {until} ({time_zone}).

If you did not expect this, ignore it: nothing happens then.
"
    );
    (subject, text)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "an admin",
        Role::Agent => "an agent",
        Role::ReadOnly => "a reader",
        Role::Auditor => "an auditor",
        Role::SuperAdmin => "a super admin of the platform",
    }
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    fn example<'a>() -> Invitation<'a> {
        Invitation {
            name: "Bob Fisher",
            inviter: Some("Ana Souza"),
            organization: "Acme Shipping",
            role: Role::Agent,
            link: "https://admin.example/invitation#token=AgAAAA",
            expires_at: "2026-08-03T13:05:59Z".parse().unwrap(),
            time_zone: "Europe/Lisbon",
        }
    }

    #[test]
    fn an_invitation_says_who_invites_to_what_as_what_and_until_when() {
        let (subject, text) = of(None).invitation(&example());
        assert_eq!(subject, "Ana Souza invites you to Acme Shipping");
        let expected = "Hello Bob Fisher,

Ana Souza invites you to join Acme Shipping on PortTask as an agent.

Open this link to accept and to choose a password:

https://admin.example/invitation#token=AgAAAA

It can be used once, until 3 August 2026 at 14:05 (Europe/Lisbon).

If you did not expect this, ignore it: nothing happens then.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_invitation_by_nobody_who_is_to_be_named_says_so() {
        let invitation = Invitation { inviter: None, time_zone: "UTC", role: Role::SuperAdmin, ..example() };
        let (subject, text) = of(Some("en")).invitation(&invitation);
        assert_eq!(subject, "You are invited to Acme Shipping");
        assert!(
            text.contains("\n\nYou are invited to join Acme Shipping on PortTask as a super admin of the platform.\n")
        );
        assert!(text.contains("until 3 August 2026 at 13:05 (UTC)."), "{text}");
    }
}

//! English.

use jiff::Timestamp;
use porttask_domain::identity::Role;

use super::message::{Message, Offer};
use crate::mail::{
    language::Reader,
    letter::{Letter, Paragraph},
};

/// Mail gateways cut what follows `#` in a link.
const IF_NOT_OPENED: &str = "If the page that opens asks for a code, paste this line:";

pub(super) fn letter(message: &Message<'_>, reader: &Reader<'_>) -> Letter {
    let (subject, paragraphs) = match message {
        Message::Invitation { inviter, role, link } => invitation(*inviter, *role, link, reader),
        Message::PasswordReset { by, link } => password_reset(*by, link, reader),
        Message::PasswordChanged { at, ip, keys } => password_changed(*at, *ip, keys, reader),
        Message::SuperAdminReinstated { at } => super_admin_reinstated(*at, reader),
        Message::AddressConfirmation { link } => address_confirmation(link, reader),
        Message::AddressChangeNotice { email, at, ip, link } => address_change_notice(email, (*at, *ip), link, reader),
        Message::AddressChanged { at } => address_changed(*at, reader),
        Message::Accounts { organizations } => accounts(organizations),
    };
    let greeting = Paragraph::Text(format!("Hello {},", reader.name));
    Letter { subject, paragraphs: std::iter::once(greeting).chain(paragraphs).collect() }
}

fn invitation(inviter: Option<&str>, role: Role, link: &Offer<'_>, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let organization = reader.organization;
    let (subject, who_invites) = match (inviter, role) {
        (_, Role::SuperAdmin) => {
            let invited = "You have been invited to become a PortTask super admin".to_owned();
            (invited.clone(), format!("{invited}."))
        }
        (Some(inviter), role) => (
            format!("{inviter} invites you to {organization}"),
            format!("{inviter} invites you to join {organization} on PortTask as {}.", self::role(role)),
        ),
        (None, role) => (
            format!("You have been invited to {organization}"),
            format!("You have been invited to join {organization} on PortTask as {}.", self::role(role)),
        ),
    };
    let paragraphs = vec![
        Paragraph::Text(who_invites),
        text("To accept the invitation, open this link and choose a password:"),
        Paragraph::Link { label: "Accept the invitation", address: link.address.to_owned() },
        text(IF_NOT_OPENED),
        Paragraph::Code(link.token().to_owned()),
        once_until(link, reader),
        text("If you did not expect this, ignore this mail: nothing will happen."),
    ];
    (subject, paragraphs)
}

fn password_reset(by: Option<&str>, link: &Offer<'_>, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let organization = reader.organization;
    let why = match by {
        Some(by) => format!("{by} has requested a password reset for your account at {organization} on PortTask."),
        None => format!("A password reset was requested for your account at {organization} on PortTask."),
    };
    let paragraphs = vec![
        Paragraph::Text(why),
        text("Open this link to set a new password. All your sessions will end:"),
        Paragraph::Link { label: "Reset password", address: link.address.to_owned() },
        text(IF_NOT_OPENED),
        Paragraph::Code(link.token().to_owned()),
        once_until(link, reader),
        text("If you did not request this, ignore this mail: your password will not change."),
    ];
    (format!("Reset your password for {organization}"), paragraphs)
}

fn super_admin_reinstated(at: Timestamp, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let at = moment(at, reader);
    let paragraphs = vec![
        Paragraph::Text(format!("You have been a PortTask super admin again since {at}. Sign in with your password.")),
        text(
            "If you have forgotten it, request a link to reset it. If you did not expect this, contact a super admin.",
        ),
    ];
    ("You are a PortTask super admin again".to_owned(), paragraphs)
}

fn password_changed(at: Timestamp, ip: Option<&str>, keys: &[String], reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let (organization, at) = (reader.organization, moment(at, reader));
    let from = ip.map(|ip| format!(", from the IP address {ip}")).unwrap_or_default();
    let mut paragraphs = vec![
        Paragraph::Text(format!(
            "The password of your account at {organization} on PortTask was changed on {at}{from}. Your other sessions \
             have been ended."
        )),
        text("If this was not you, reset your password immediately and contact an admin of your organization."),
    ];
    if !keys.is_empty() {
        let keys = keys.join(", ");
        paragraphs.insert(
            1,
            Paragraph::Text(format!(
                "Your API keys still work: {keys}. If somebody else knew your password, revoke them."
            )),
        );
    }
    (format!("Your password for {organization} was changed"), paragraphs)
}

fn address_confirmation(link: &Offer<'_>, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let organization = reader.organization;
    let paragraphs = vec![
        Paragraph::Text(format!("This email address was requested for your account at {organization} on PortTask.")),
        text("Open this link to confirm that it is yours. You will sign in with it from then on:"),
        Paragraph::Link { label: "Confirm email address", address: link.address.to_owned() },
        text(IF_NOT_OPENED),
        Paragraph::Code(link.token().to_owned()),
        once_until(link, reader),
        text("If you did not expect this, ignore this mail: nothing will happen."),
    ];
    (format!("Confirm your email address for {organization}"), paragraphs)
}

fn address_change_notice(
    email: &str,
    (at, ip): (Timestamp, Option<&str>),
    link: &Offer<'_>,
    reader: &Reader<'_>,
) -> (String, Vec<Paragraph>) {
    let (organization, at) = (reader.organization, moment(at, reader));
    let from = ip.map(|ip| format!(", from the IP address {ip}")).unwrap_or_default();
    let paragraphs = vec![
        Paragraph::Text(format!(
            "A change of the email address of your account at {organization} on PortTask to {email} was requested on \
             {at}{from}. The change takes effect once it is confirmed at the new address."
        )),
        text("If this was not you, open this link to cancel the change, and change your password immediately:"),
        Paragraph::Link { label: "Cancel the change", address: link.address.to_owned() },
        text(IF_NOT_OPENED),
        Paragraph::Code(link.token().to_owned()),
        once_until(link, reader),
        text("If you requested the change yourself, ignore this mail."),
    ];
    (format!("A new email address was requested for {organization}"), paragraphs)
}

fn address_changed(at: Timestamp, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let (organization, at) = (reader.organization, moment(at, reader));
    let paragraphs = vec![
        Paragraph::Text(format!(
            "The email address of your account at {organization} on PortTask was changed on {at}. This address no longer \
             receives mail about the account and can no longer be used to sign in."
        )),
        text("If this was not you, contact an admin of your organization immediately."),
    ];
    (format!("Your email address for {organization} was changed"), paragraphs)
}

fn accounts(organizations: &[(String, String)]) -> (String, Vec<Paragraph>) {
    let each = organizations.iter().map(|(name, domain)| Paragraph::Text(format!("{name}: {domain}")));
    let mut paragraphs = vec![text(
        "Somebody tried to sign in to PortTask with this email address, with which you have several accounts. When you \
         sign in, enter the domain of the organization as well:",
    )];
    paragraphs.extend(each);
    paragraphs.push(text(
        "If this was not you, ignore this mail: nobody has signed in. You will receive this mail at most once a day.",
    ));
    ("Your accounts on PortTask".to_owned(), paragraphs)
}

fn text(text: &str) -> Paragraph {
    Paragraph::Text(text.to_owned())
}

fn once_until(link: &Offer<'_>, reader: &Reader<'_>) -> Paragraph {
    Paragraph::Text(format!("The link can be used once, until {}.", moment(link.expires_at, reader)))
}

fn moment(instant: Timestamp, reader: &Reader<'_>) -> String {
    format!("{} ({})", reader.at(instant).strftime("%-d %B %Y at %H:%M"), reader.time_zone)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "an admin",
        Role::Agent => "an agent",
        Role::ReadOnly => "a read-only user",
        Role::Auditor => "an auditor",
        Role::SuperAdmin => "a super admin",
        Role::PlatformAuditor => "an auditor of the platform",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'static> =
        Reader { name: "Bob Fisher", organization: "Acme Shipping", time_zone: "Europe/Lisbon" };

    fn link() -> Offer<'static> {
        let expires_at = "2026-08-03T13:05:59Z".parse().unwrap();
        Offer { address: "https://admin.example/invitation#token=AgAAAA", expires_at }
    }

    #[test]
    fn an_invitation_names_inviter_organization_role_and_expiry() {
        let message = Message::Invitation { inviter: Some("Ana Souza"), role: Role::Agent, link: link() };
        let letter = letter(&message, &READER);
        assert_eq!(letter.subject, "Ana Souza invites you to Acme Shipping");
        let expected = "Hello Bob Fisher,

Ana Souza invites you to join Acme Shipping on PortTask as an agent.

To accept the invitation, open this link and choose a password:

https://admin.example/invitation#token=AgAAAA

If the page that opens asks for a code, paste this line:

AgAAAA

The link can be used once, until 3 August 2026 at 14:05 (Europe/Lisbon).

If you did not expect this, ignore this mail: nothing will happen.
";
        assert_eq!(letter.text(), expected);
    }

    #[test]
    fn an_invitation_without_inviter_is_impersonal() {
        let message = Message::Invitation { inviter: None, role: Role::SuperAdmin, link: link() };
        let Letter { subject, paragraphs } = letter(&message, &Reader { time_zone: "UTC", ..READER });
        assert_eq!(subject, "You have been invited to become a PortTask super admin");
        let invites = "You have been invited to become a PortTask super admin.";
        assert_eq!(paragraphs[1], text(invites));
        assert_eq!(paragraphs[4..6], [text(IF_NOT_OPENED), Paragraph::Code("AgAAAA".to_owned())]);
        assert_eq!(paragraphs[6], text("The link can be used once, until 3 August 2026 at 13:05 (UTC)."));
    }

    #[test]
    fn a_notice_says_what_happened_when_and_what_to_do() {
        let at = "2026-08-03T13:05:59Z".parse().unwrap();
        let letter = letter(&Message::PasswordChanged { at, ip: Some("203.0.113.7"), keys: &[] }, &READER);
        assert_eq!(letter.subject, "Your password for Acme Shipping was changed");
        let said = letter.text();
        assert!(said.contains("on 3 August 2026 at 14:05 (Europe/Lisbon), from the IP address 203.0.113.7."), "{said}");
        assert!(said.contains("If this was not you, reset your password immediately"), "{said}");
        assert!(!said.contains("API keys"), "{said}");
        let keys = ["harbour robot".to_owned(), "gate".to_owned()];
        let said = super::letter(&Message::PasswordChanged { at, ip: None, keys: &keys }, &READER).text();
        assert!(said.contains("Your API keys still work: harbour robot, gate. If "), "{said}");
    }
}

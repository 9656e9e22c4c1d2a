//! What happened to organizations, users, sessions and API keys.

use porttask_domain::{
    Personal, SessionId,
    identity::{
        Permissions, Role, Standing,
        api_key::{self, Grant},
        mailbox, organization,
        session::{self, Ending},
        settings::{Branding, BusinessHours, Hours, Locale, Settings, Weekday},
        user::{self, Status},
    },
};
use std::fmt::{self, Display};

use super::{Listener, Shown, change_if_different, change_in_words};
use crate::words::Word;

pub(super) fn organization(event: &organization::Event, listener: &mut dyn Listener) {
    use organization::Event;
    match event {
        Event::Created { name, domain, plan, trial_ends_at, settings } => {
            listener.words("created the organization ");
            listener.value(Shown::Text(name));
            listener.change("name", None, Some(Shown::Text(name)));
            listener.change("domain", None, Some(Shown::Text(domain)));
            listener.change("plan", None, Some(Shown::Text(plan)));
            listener.change("trial_ends_at", None, Some(Shown::Filtered(trial_ends_at)));
            let Settings { branding, business_hours, locale } = settings;
            branding_changes(None, branding, listener);
            business_hours_changes(None, business_hours, listener);
            listener.change("locale", None, Some(Shown::Written(locale)));
        }
        Event::Renamed { from, to } => {
            change_in_words("renamed the organization", "name", Shown::Text(from), Shown::Text(to), listener);
        }
        Event::BrandingChanged { from, to } => {
            listener.words("changed the branding");
            branding_changes(Some(from), to, listener);
        }
        Event::BusinessHoursChanged { from, to } => {
            listener.words("changed the business hours");
            business_hours_changes(Some(from), to, listener);
        }
        Event::LocaleChanged { from, to } => {
            change_in_words("changed the locale", "locale", Shown::Written(from), Shown::Written(to), listener);
        }
        Event::Suspended { reason } => {
            listener.words("suspended the organization: ");
            standing_change(Standing::Suspended, Some(reason), listener);
        }
        Event::Reactivated {} => {
            listener.words("reactivated the organization");
            standing_change(Standing::Active, None, listener);
        }
        Event::Deactivated { reason } => {
            listener.words("deactivated the organization for good: ");
            standing_change(Standing::Deactivated, Some(reason), listener);
        }
    }
}

pub(super) fn user(event: &user::Event, listener: &mut dyn Listener) {
    use user::Event;
    let status = |status: Status| Some(Shown::Text(status.word()));
    match event {
        Event::Invited { name, email, address_rules: _, role, permissions, expires_at } => {
            listener.words("invited ");
            person(name, email, *role, permissions, listener);
            listener.change("invitation_expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::Registered { name, email, address_rules: _, role, permissions } => {
            listener.words("registered ");
            person(name, email, *role, permissions, listener);
        }
        Event::InvitationSent { expires_at } => {
            listener.words("sent an invitation");
            listener.change("invitation_expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::InvitationAccepted {} => {
            listener.words("accepted the invitation");
            listener.change("status", None, status(Status::Active));
        }
        Event::RoleChanged { from, to } => {
            let (from, to) = (Shown::Text(from.word()), Shown::Text(to.word()));
            change_in_words("changed the role", "role", from, to, listener);
        }
        Event::PermissionsChanged { from, to } => permissions_changes(from, to, listener),
        Event::Deactivated {} => {
            listener.words("deactivated the user");
            listener.change("status", None, status(Status::Deactivated));
        }
        Event::Reactivated {} => {
            // As what they come back, their history says.
            listener.words("reactivated the user");
        }
        Event::InvitationRevoked {} => {
            listener.words("revoked the invitation");
            listener.change("status", None, status(Status::Registered));
        }
        Event::Renamed { from, to } => {
            change_in_words("changed the name", "name", Shown::Personal(from), Shown::Personal(to), listener);
        }
        Event::LocaleChanged { from, to } => {
            fn shown(locale: &Option<Locale>) -> Option<Shown<'_>> {
                locale.as_ref().map(|locale| Shown::Written(locale))
            }
            listener.words("changed the language of mail");
            listener.change("locale", shown(from), shown(to));
        }
        Event::AddressChangeRequested { email, address_rules: _, expires_at } => {
            listener.words("asked to change the address to ");
            listener.value(Shown::Personal(email));
            listener.change("expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::AddressChanged { from, to, address_rules: _ } => {
            change_in_words("changed the address", "email", Shown::Personal(from), Shown::Personal(to), listener);
        }
        Event::PasswordResetRequested { expires_at } => {
            listener.words("asked for a link to reset the password");
            listener.change("expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::PasswordReset {} => listener.words("reset the password; all sessions ended"),
        Event::Unlocked {} => listener.words("unlocked the account"),
        Event::PasswordChanged { keeping } => sessions_ended("changed the password", keeping.as_ref(), listener),
        Event::SessionsEnded { keeping } => sessions_ended("revoked the sessions", keeping.as_ref(), listener),
    }
}

fn sessions_ended(verb: &'static str, keeping: Option<&SessionId>, listener: &mut dyn Listener) {
    listener.words(verb);
    match keeping {
        Some(session) => {
            listener.words("; all sessions ended but one");
            listener.change("keeping", None, Some(Shown::Filtered(session)));
        }
        None => listener.words("; all sessions ended"),
    }
}

/// Who a new user is, and what they may.
fn person(name: &Personal, email: &Personal, role: Role, permissions: &Permissions, listener: &mut dyn Listener) {
    let role = Shown::Text(role.word());
    listener.value(Shown::Personal(name));
    listener.words(" <");
    listener.value(Shown::Personal(email));
    listener.words("> as ");
    listener.value(role);
    listener.change("name", None, Some(Shown::Personal(name)));
    listener.change("email", None, Some(Shown::Personal(email)));
    listener.change("role", None, Some(role));
    for (field, access) in groups(permissions) {
        listener.change(field, None, Some(Shown::Text(access)));
    }
}

pub(super) fn session(event: &session::Event, listener: &mut dyn Listener) {
    use session::Event;
    match event {
        Event::Started { user, method, expires_at }
        | Event::StartedInEra { user, method, expires_at, started_at: _, eras: _ } => {
            listener.words("signed in with a ");
            listener.value(Shown::Text(method.word()));
            listener.change("user", None, Some(Shown::Filtered(user)));
            listener.change("method", None, Some(Shown::Text(method.word())));
            listener.change("expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::ImpersonationStarted { user, impersonator: _, reason, started_at: _, expires_at, eras: _ } => {
            listener.words("began to act as the user: ");
            listener.value(Shown::Personal(reason));
            listener.change("user", None, Some(Shown::Filtered(user)));
            listener.change("reason", None, Some(Shown::Personal(reason)));
            listener.change("expires_at", None, Some(Shown::Filtered(expires_at)));
        }
        Event::Ended { by: Ending::SignOut } => listener.words("signed out"),
        Event::Ended { by: Ending::Revocation } => listener.words("revoked the session"),
    }
}

pub(super) fn mailbox(event: &mailbox::Event, listener: &mut dyn Listener) {
    let mailbox::Event::AccountsTold { email, at: _ } = event;
    listener.words("told by mail which accounts there are with ");
    listener.value(Shown::Personal(email));
}

pub(super) fn api_key(event: &api_key::Event, listener: &mut dyn Listener) {
    use api_key::Event;
    match event {
        Event::Created { maker, name, grant, networks, expires_at } => {
            listener.words("made the API key ");
            listener.value(Shown::Text(name));
            listener.change("name", None, Some(Shown::Text(name)));
            listener.change("maker", None, Some(Shown::Filtered(maker)));
            match grant {
                Grant::Permissions(permissions) => {
                    for (field, access) in groups(permissions) {
                        listener.change(field, None, Some(Shown::Text(access)));
                    }
                }
                Grant::Scopes(scopes) => {
                    for scope in scopes {
                        listener.change("scope", None, Some(Shown::Text(scope.word())));
                    }
                }
            }
            for network in networks {
                listener.change("network", None, Some(Shown::Text(network)));
            }
            if let Some(expires_at) = expires_at {
                listener.change("expires_at", None, Some(Shown::Filtered(expires_at)));
            }
        }
        Event::Rotated { former_until } => {
            listener.words("rotated the API key");
            listener.change("former_secret_until", None, Some(Shown::Filtered(former_until)));
        }
        Event::Revoked {} => listener.words("revoked the API key"),
        Event::Adopted { from, to } => {
            listener.words("adopted the API key");
            listener.change("maker", Some(Shown::Filtered(from)), Some(Shown::Filtered(to)));
        }
    }
}

fn standing_change(standing: Standing, reason: Option<&Personal>, listener: &mut dyn Listener) {
    if let Some(reason) = reason {
        listener.value(Shown::Personal(reason));
    }
    listener.change("standing", None, Some(Shown::Text(standing.word())));
    if let Some(reason) = reason {
        listener.change("reason", None, Some(Shown::Personal(reason)));
    }
}

/// The groups of permissions, in the order in which they are shown.
fn groups(permissions: &Permissions) -> [(&'static str, &'static str); 4] {
    let Permissions { tickets, invoices, reports, administration } = permissions;
    [
        ("tickets", tickets.word()),
        ("invoices", invoices.word()),
        ("reports", reports.word()),
        ("administration", administration.word()),
    ]
}

fn permissions_changes(from: &Permissions, to: &Permissions, listener: &mut dyn Listener) {
    listener.words("changed the permissions");
    let mut before = ": ";
    for ((field, from), (_, to)) in groups(from).into_iter().zip(groups(to)).filter(|(from, to)| from != to) {
        listener.words(before);
        change_in_words(field, field, Shown::Text(from), Shown::Text(to), listener);
        before = ", ";
    }
}

fn branding_changes(from: Option<&Branding>, to: &Branding, listener: &mut dyn Listener) {
    fn fields(branding: &Branding) -> [(&'static str, Option<Shown<'_>>); 4] {
        let Branding { display_name, primary_colour, secondary_colour, logo } = branding;
        [
            ("display_name", display_name.as_deref().map(Shown::Text)),
            ("primary_colour", primary_colour.as_ref().map(|colour| Shown::Written(colour))),
            ("secondary_colour", secondary_colour.as_ref().map(|colour| Shown::Written(colour))),
            ("logo", logo.as_deref().map(Shown::Text)),
        ]
    }
    let nothing = Branding::default();
    for ((field, from), (_, to)) in fields(from.unwrap_or(&nothing)).into_iter().zip(fields(to)) {
        change_if_different(field, from, to, listener);
    }
}

fn business_hours_changes(from: Option<&BusinessHours>, to: &BusinessHours, listener: &mut dyn Listener) {
    change_if_different(
        "time_zone",
        from.map(|from| Shown::Text(&from.time_zone)),
        Some(Shown::Text(&to.time_zone)),
        listener,
    );
    for day in WEEK {
        let from = from.and_then(|from| from.days.get(&day)).map(Open);
        let to = to.days.get(&day).map(Open);
        let (from, to) = (from.as_ref().map(|it| Shown::Written(it)), to.as_ref().map(|it| Shown::Written(it)));
        change_if_different(day.word(), from, to, listener);
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// Hours of a day: `09:00-17:00`.
struct Open<'a>(&'a Hours);

impl Display for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { opens, closes } = self.0;
        write!(f, "{opens}-{closes}")
    }
}

use proptest::prelude::*;

use super::*;
use crate::{PersonName, identity::settings::ZoneName, testing::given};

fn ana() -> UserId {
    UserId(uuid::Uuid::from_u128(11))
}

fn acme() -> OrganizationId {
    OrganizationId(uuid::Uuid::from_u128(7))
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

fn invite_as(role: Role, permissions: Permissions) -> Command {
    Command::Invite {
        organization: acme(),
        user: ana(),
        name: PersonName::new("Ana Souza").unwrap(),
        email: EmailAddress::new("Ana@acme.example").unwrap(),
        role,
        permissions,
        expires_at: second(1_000),
    }
}

fn invite(role: Role) -> Command {
    invite_as(role, role.ceiling())
}

fn invited(role: Role) -> Event {
    Event::Invited {
        name: Personal::identity(ana(), "Ana Souza"),
        email: Personal::identity(ana(), "Ana@acme.example"),
        address_rules: 1,
        role,
        permissions: role.ceiling(),
        expires_at: second(1_000),
    }
}

fn accepted() -> Event {
    Event::InvitationAccepted {}
}

fn admins(by: i64) -> Constraint {
    Constraint::Count {
        scope: Scope::Organization,
        name: ACTIVE_ADMINS.into(),
        by,
        minimum: Some(1),
        maximum: None,
        violation: LAST_ADMIN,
    }
}

#[test]
fn an_invitation_claims_the_address() {
    given::<User>([]).when(invite(Role::Agent)).then([invited(Role::Agent)]);
    let name = Some("ana@acme.example".to_owned());
    let claim = Constraint::Claim { scope: Scope::Organization, kind: "email", name, violation: EMAIL_TAKEN };
    let one_more = Constraint::Count {
        scope: Scope::Organization,
        name: "invitations 1970-01-01".into(),
        by: 1,
        minimum: None,
        maximum: None,
        violation: TOO_MANY_INVITATIONS,
    };
    let seat = Constraint::Count {
        scope: Scope::Organization,
        name: SEATS.into(),
        by: 1,
        minimum: None,
        maximum: None,
        violation: NO_SEAT_LEFT,
    };
    assert_eq!(User::default().constraints(&invited(Role::Admin)), [claim, one_more, seat]);
}

#[test]
fn an_account_can_be_created_before_the_person_is_invited() {
    let register = || Command::Register {
        organization: acme(),
        user: ana(),
        name: PersonName::new("Ana Souza").unwrap(),
        email: EmailAddress::new("Ana@acme.example").unwrap(),
        role: Role::Agent,
        permissions: Role::Agent.ceiling(),
    };
    let registered = || Event::Registered {
        name: Personal::identity(ana(), "Ana Souza"),
        email: Personal::identity(ana(), "Ana@acme.example"),
        address_rules: 1,
        role: Role::Agent,
        permissions: Role::Agent.ceiling(),
    };
    let sent = |at| Event::InvitationSent { expires_at: second(at), by_import: false };
    let accept = |invitation| Command::Accept { invitation, now: second(1) };
    given::<User>([]).when(register()).then([registered()]);
    given::<User>([registered()]).when(register()).then([]);
    given::<User>([registered()]).when(accept(1)).then_rejected(Rejection::InvitationReplaced);
    given::<User>([registered()])
        .when(Command::SendInvitation { expires_at: second(5), by_import: false })
        .then([sent(5)]);
    given::<User>([registered(), sent(5)]).when(accept(1)).then([accepted()]);
}

#[test]
fn a_later_invitation_replaces_earlier_ones() {
    let again = || [invited(Role::Agent), Event::InvitationSent { expires_at: second(2_000), by_import: false }];
    let accept = |invitation| Command::Accept { invitation, now: second(1_500) };
    let send = || Command::SendInvitation { expires_at: second(2_000), by_import: false };
    given::<User>([invited(Role::Agent)]).when(send()).then([again()[1].clone()]);
    given::<User>(again()).when(send()).then([]);
    given::<User>(again()).when(accept(1)).then_rejected(Rejection::InvitationReplaced);
    given::<User>(again()).when(accept(2)).then([accepted()]);
    given::<User>([invited(Role::Agent), accepted()]).when(send()).then_rejected(Rejection::Accepted);
    assert_eq!(User::after(&again()).invitation(), Some((2, second(2_000))));
}

#[test]
fn an_invitation_is_accepted_until_it_expires() {
    given::<User>([invited(Role::Agent)]).when(Command::Accept { invitation: 1, now: second(999) }).then([accepted()]);
    given::<User>([invited(Role::Agent)])
        .when(Command::Accept { invitation: 1, now: second(1_000) })
        .then_rejected(Rejection::InvitationExpired);
}

#[test]
fn permissions_stay_within_the_role() {
    let beyond = Permissions { administration: Access::Read, ..Role::Agent.ceiling() };
    given::<User>([]).when(invite_as(Role::Agent, beyond)).then_rejected(Rejection::BeyondRole(Role::Agent));
    given::<User>([invited(Role::Agent), accepted()])
        .when(Command::ChangePermissions { permissions: beyond })
        .then_rejected(Rejection::BeyondRole(Role::Agent));
}

#[test]
fn a_role_change_gives_all_permissions_of_the_new_role_unless_others_are_named() {
    let from = Role::Admin.ceiling();
    given::<User>([invited(Role::Admin), accepted()])
        .when(Command::ChangeRole { role: Role::ReadOnly, permissions: None })
        .then([
            Event::RoleChanged { from: Role::Admin, to: Role::ReadOnly },
            Event::PermissionsChanged { from, to: Role::ReadOnly.ceiling() },
        ]);
    let (from, to) = (Role::Agent.ceiling(), Role::Admin.ceiling());
    let promoted =
        || [Event::RoleChanged { from: Role::Agent, to: Role::Admin }, Event::PermissionsChanged { from, to }];
    let promote = |permissions| Command::ChangeRole { role: Role::Admin, permissions };
    given::<User>(active()).when(promote(None)).then(promoted());
    let narrowed = Permissions { administration: Access::Read, ..to };
    given::<User>(active()).when(promote(Some(narrowed))).then([
        Event::RoleChanged { from: Role::Agent, to: Role::Admin },
        Event::PermissionsChanged { from, to: narrowed },
    ]);
    // An unchanged role keeps its permissions.
    let history = after(promoted()).into_iter().chain([Event::PermissionsChanged { from: to, to: narrowed }]);
    given::<User>(history).when(promote(None)).then([]);
}

#[test]
fn platform_roles_are_not_available_elsewhere() {
    given::<User>([]).when(invite(Role::SuperAdmin)).then_rejected(Rejection::RoleNotHere(Role::SuperAdmin));
    given::<User>([invited(Role::Admin), accepted()])
        .when(Command::ChangeRole { role: Role::SuperAdmin, permissions: None })
        .then_rejected(Rejection::RoleNotHere(Role::SuperAdmin));
}

#[test]
fn a_deactivated_user_can_only_be_reactivated() {
    let gone = || [invited(Role::Agent), accepted(), Event::Deactivated {}];
    let change = || Command::ChangeRole { role: Role::Admin, permissions: None };
    given::<User>([invited(Role::Agent), accepted()]).when(Command::Deactivate).then([Event::Deactivated {}]);
    given::<User>(gone()).when(change()).then_rejected(Rejection::Deactivated);
    given::<User>(gone()).when(Command::Accept { invitation: 1, now: second(1) }).then_rejected(Rejection::Deactivated);
    given::<User>(gone()).when(Command::Reactivate).then([Event::Reactivated {}]);
    given::<User>(gone()).when(Command::Deactivate).then([]);
    given::<User>([invited(Role::Agent), accepted()]).when(Command::Reactivate).then([]);
}

#[test]
fn an_invited_user_is_deactivated_and_reactivated_as_invited() {
    let withdrawn = || [invited(Role::Agent), Event::Deactivated {}];
    let accept = || Command::Accept { invitation: 1, now: second(1) };
    given::<User>([invited(Role::Agent)]).when(Command::Deactivate).then([Event::Deactivated {}]);
    given::<User>(withdrawn()).when(accept()).then_rejected(Rejection::Deactivated);
    given::<User>(withdrawn()).when(Command::Reactivate).then([Event::Reactivated {}]);
    given::<User>(withdrawn().into_iter().chain([Event::Reactivated {}])).when(accept()).then([accepted()]);
    let back = User::after(&[invited(Role::Agent), Event::Deactivated {}, Event::Reactivated {}]);
    assert_eq!((back.status(), back.rights()), (Some(Status::Invited), None));
}

fn active() -> Vec<Event> {
    vec![invited(Role::Agent), accepted()]
}

fn after(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    active().into_iter().chain(events).collect()
}

#[test]
fn a_revoked_invitation_cannot_be_accepted_but_a_later_one_can() {
    let accept = |invitation| Command::Accept { invitation, now: second(1) };
    let revoked = || [invited(Role::Agent), Event::InvitationRevoked {}];
    given::<User>([invited(Role::Agent)]).when(Command::RevokeInvitation).then([Event::InvitationRevoked {}]);
    given::<User>(revoked()).when(Command::RevokeInvitation).then([]);
    given::<User>(revoked()).when(accept(1)).then_rejected(Rejection::InvitationRevoked);
    given::<User>(active()).when(Command::RevokeInvitation).then_rejected(Rejection::Accepted);
    let again = || revoked().into_iter().chain([Event::InvitationSent { expires_at: second(2_000), by_import: false }]);
    given::<User>(again()).when(accept(1)).then_rejected(Rejection::InvitationReplaced);
    given::<User>(again()).when(accept(2)).then([accepted()]);
    let back = revoked().into_iter().chain([Event::Deactivated {}, Event::Reactivated {}]).collect::<Vec<_>>();
    assert_eq!(User::after(&back).status(), Some(Status::Registered), "a revoked invitation stays revoked");
}

#[test]
fn a_link_expires_once_its_time_is_over() {
    let expire = |link, now| Command::ExpireLink { link, now: second(now) };
    let expired = |link| Event::LinkExpired { link };
    let invited = || vec![invited(Role::Agent), Event::InvitationSent { expires_at: second(2_000), by_import: false }];
    given::<User>(invited()).when(expire(Link::Invitation, 1_999)).then([]);
    given::<User>(invited()).when(expire(Link::Invitation, 2_000)).then([expired(Link::Invitation)]);
    let over = || invited().into_iter().chain([expired(Link::Invitation)]);
    given::<User>(over()).when(expire(Link::Invitation, 9_000)).then([]);
    assert_eq!(User::after(&over().collect::<Vec<_>>()).status(), Some(Status::Registered));
    let accept = |invitation| Command::Accept { invitation, now: second(1) };
    given::<User>(over()).when(accept(1)).then_rejected(Rejection::InvitationReplaced);
    given::<User>(over()).when(accept(2)).then_rejected(Rejection::InvitationExpired);
    let again = over().chain([Event::InvitationSent { expires_at: second(5_000), by_import: false }]);
    given::<User>(again).when(accept(3)).then([accepted()]);
    given::<User>(active()).when(expire(Link::Invitation, 90_000)).then([]);

    let asked = || after([Event::PasswordResetRequested { expires_at: second(2_000) }]);
    given::<User>(asked()).when(expire(Link::PasswordReset, 2_000)).then([expired(Link::PasswordReset)]);
    given::<User>(asked()).when(expire(Link::AddressChange, 2_000)).then([]);
    let late = Command::ResetPassword { request: 1, now: second(2_001) };
    given::<User>(asked()).when(late.clone()).then_rejected(Rejection::LinkExpired);
    let over = asked().into_iter().chain([expired(Link::PasswordReset)]);
    given::<User>(over).when(late).then_rejected(Rejection::LinkExpired);
}

#[test]
fn a_name_is_changed_once() {
    let (from, to) = (Personal::identity(ana(), "Ana Souza"), Personal::identity(ana(), "Ana Lima"));
    let rename = || Command::Rename { name: PersonName::new("Ana Lima").unwrap() };
    given::<User>(active()).when(rename()).then([Event::Renamed { from: from.clone(), to: to.clone() }]);
    given::<User>(after([Event::Renamed { from, to }])).when(rename()).then([]);
}

#[test]
fn an_invited_person_is_corrected_until_they_accept() {
    let correct = |name: Option<&str>, email: Option<&str>| Command::Correct {
        name: name.map(|name| PersonName::new(name).unwrap()),
        email: email.map(|email| EmailAddress::new(email).unwrap()),
    };
    let both = || correct(Some("Ana Lima"), Some("ana@lima.example"));
    let renamed =
        Event::Renamed { from: Personal::identity(ana(), "Ana Souza"), to: Personal::identity(ana(), "Ana Lima") };
    let corrected = Event::AddressCorrected {
        from: Personal::identity(ana(), "Ana@acme.example"),
        to: Personal::identity(ana(), "ana@lima.example"),
        address_rules: 1,
    };
    let done = [renamed, corrected];
    given::<User>([invited(Role::Agent)]).when(both()).then(done.clone());
    given::<User>([invited(Role::Agent)]).when(correct(None, Some("Ana@acme.example"))).then([]);
    given::<User>(active()).when(both()).then_rejected(Rejection::Accepted);
    given::<User>([invited(Role::Agent), Event::Deactivated {}]).when(both()).then_rejected(Rejection::Deactivated);
    // The invitation went to the wrong address.
    let history = || [invited(Role::Agent)].into_iter().chain(done.clone());
    let accept = Command::Accept { invitation: 1, now: second(1) };
    given::<User>(history()).when(accept).then_rejected(Rejection::InvitationRevoked);
    let again = history().chain([Event::InvitationSent { expires_at: second(2_000), by_import: false }]);
    given::<User>(again).when(Command::Accept { invitation: 2, now: second(1) }).then([accepted()]);
}

#[test]
fn only_a_person_who_never_accepted_is_removed() {
    let removed = || [invited(Role::Agent), Event::Removed {}];
    given::<User>([invited(Role::Agent)]).when(Command::Remove).then([Event::Removed {}]);
    given::<User>([invited(Role::Agent), Event::Deactivated {}]).when(Command::Remove).then([Event::Removed {}]);
    given::<User>(active()).when(Command::Remove).then_rejected(Rejection::Accepted);
    given::<User>(after([Event::Deactivated {}])).when(Command::Remove).then_rejected(Rejection::Accepted);
    for command in [Command::Accept { invitation: 1, now: second(1) }, Command::Reactivate, invite(Role::Agent)] {
        given::<User>(removed()).when(command).then_rejected(Rejection::NotFound);
    }
    assert_eq!(User::after(&removed()).status(), None);
    let released = User::after(&[invited(Role::Agent)]).constraints(&Event::Removed {});
    assert!(
        matches!(&released[..], [Constraint::Release { name: Some(name), .. }, Constraint::Count { by: -1, .. }] if name == "ana@acme.example")
    );
}

#[test]
fn a_language_is_chosen_and_reset() {
    let [pt, none] = [Some("pt".parse().unwrap()), None];
    let change = |locale: &Option<Locale>| Command::ChangeLocale { locale: locale.clone() };
    let changed =
        |from: &Option<Locale>, to: &Option<Locale>| Event::LocaleChanged { from: from.clone(), to: to.clone() };
    given::<User>(active()).when(change(&none)).then([]);
    given::<User>(active()).when(change(&pt)).then([changed(&none, &pt)]);
    given::<User>(after([changed(&none, &pt)])).when(change(&none)).then([changed(&pt, &none)]);
}

#[test]
fn a_time_zone_is_chosen_and_removed() {
    let [lisbon, none]: [Option<ZoneName>; 2] = [Some("Europe/Lisbon".parse().unwrap()), None];
    let change = |time_zone: &Option<ZoneName>| Command::ChangeTimeZone { time_zone: time_zone.clone() };
    let changed =
        |from: &Option<ZoneName>, to: &Option<ZoneName>| Event::TimeZoneChanged { from: from.clone(), to: to.clone() };
    given::<User>(active()).when(change(&none)).then([]);
    given::<User>(active()).when(change(&lisbon)).then([changed(&none, &lisbon)]);
    given::<User>(after([changed(&none, &lisbon)])).when(change(&lisbon)).then([]);
    given::<User>(after([changed(&none, &lisbon)])).when(change(&none)).then([changed(&lisbon, &none)]);
}

fn wanted(email: &str, expires_at: i64) -> Event {
    let email = Personal::identity(ana(), email);
    Event::AddressChangeRequested { email, address_rules: 1, expires_at: second(expires_at) }
}

fn want(email: &str, expires_at: i64) -> Command {
    Command::RequestAddressChange { email: EmailAddress::new(email).unwrap(), expires_at: second(expires_at) }
}

#[test]
fn an_address_changes_once_it_is_confirmed() {
    let confirm = |request, now| Command::ConfirmAddress { request, now: second(now) };
    let [old, new] = ["Ana@acme.example", "ana@lima.example"].map(|email| Personal::identity(ana(), email));
    let changed = || Event::AddressChanged { from: old.clone(), to: new.clone(), address_rules: 1 };
    given::<User>(active()).when(want("ana@lima.example", 50)).then([wanted("ana@lima.example", 50)]);
    given::<User>(active()).when(want("Ana@acme.example", 50)).then([]);
    given::<User>([invited(Role::Agent)]).when(want("ana@lima.example", 50)).then_rejected(Rejection::NotActive);
    let asked = || after([wanted("ana@else.example", 40), wanted("ana@lima.example", 50)]);
    given::<User>(asked()).when(want("ana@lima.example", 50)).then([]);
    given::<User>(asked()).when(confirm(1, 1)).then_rejected(Rejection::LinkReplaced);
    given::<User>(asked()).when(confirm(2, 50)).then_rejected(Rejection::LinkExpired);
    given::<User>(asked()).when(confirm(2, 49)).then([changed()]);
    let done = || asked().into_iter().chain([changed()]).collect::<Vec<_>>();
    given::<User>(done()).when(confirm(2, 49)).then([]);
    given::<User>(done()).when(confirm(1, 49)).then_rejected(Rejection::LinkReplaced);
    let names = User::after(&asked()).constraints(&changed()).into_iter().map(|constraint| match constraint {
        Constraint::Release { name, .. } => ("release", name.unwrap()),
        Constraint::Claim { name, .. } => ("claim", name.unwrap()),
        Constraint::Count { .. } => unreachable!(),
    });
    let expected = [("release", "ana@acme.example".to_owned()), ("claim", "ana@lima.example".to_owned())];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn a_pending_address_change_ends_with_the_password_and_with_all_sessions() {
    let confirm = Command::ConfirmAddress { request: 1, now: second(1) };
    let session = SessionId(uuid::Uuid::from_u128(12));
    for ends in [
        Event::PasswordChanged { keeping: Some(session) },
        Event::PasswordReset {},
        Event::SessionsEnded { keeping: None },
        Event::SessionsEnded { keeping: Some(session) },
        Event::Deactivated {},
    ] {
        let is_deactivated = ends == Event::Deactivated {};
        let history = || after([wanted("ana@lima.example", 50), ends.clone()]);
        let expected = if is_deactivated { Rejection::Deactivated } else { Rejection::LinkReplaced };
        given::<User>(history()).when(confirm.clone()).then_rejected(expected);
        assert_eq!(User::after(&history()).address_change(), None);
    }
}

#[test]
fn a_pending_address_change_is_cancelled_once() {
    let cancel = |request, now| Command::CancelAddressChange { request, now: second(now) };
    let asked = || after([wanted("ana@else.example", 40), wanted("ana@lima.example", 50)]);
    given::<User>(asked()).when(cancel(1, 1)).then_rejected(Rejection::LinkReplaced);
    given::<User>(asked()).when(cancel(2, 50)).then_rejected(Rejection::LinkExpired);
    given::<User>(asked()).when(cancel(2, 49)).then([Event::AddressChangeCancelled {}]);
    let cancelled = || asked().into_iter().chain([Event::AddressChangeCancelled {}]);
    let confirm = Command::ConfirmAddress { request: 2, now: second(1) };
    given::<User>(cancelled()).when(confirm).then_rejected(Rejection::LinkReplaced);
    let again = cancelled().chain([wanted("ana@lima.example", 60)]);
    given::<User>(again).when(Command::ConfirmAddress { request: 3, now: second(1) }).then([Event::AddressChanged {
        from: Personal::identity(ana(), "Ana@acme.example"),
        to: Personal::identity(ana(), "ana@lima.example"),
        address_rules: 1,
    }]);
}

#[test]
fn address_changes_are_limited_per_day() {
    let asked: Vec<Event> = (0..5).map(|number| wanted(&format!("a{number}@x.example"), 50 + number)).collect();
    given::<User>(after(asked.clone())).when(want("b@x.example", 60)).then_rejected(Rejection::TooManyAddresses);
    let tomorrow = 86_400 + 60;
    given::<User>(after(asked)).when(want("b@x.example", tomorrow)).then([wanted("b@x.example", tomorrow)]);
}

fn reset_requested(expires_at: i64) -> Event {
    Event::PasswordResetRequested { expires_at: second(expires_at) }
}

#[test]
fn a_password_is_reset_once_by_any_link_that_has_not_expired() {
    let request = |now| Command::RequestPasswordReset { now: second(now), expires_at: second(now + 3_600) };
    let reset = |request, now| Command::ResetPassword { request, now: second(now) };
    given::<User>(active()).when(request(0)).then([reset_requested(3_600)]);
    given::<User>([invited(Role::Agent)]).when(request(0)).then_rejected(Rejection::NotActive);
    given::<User>(after([reset_requested(3_600)])).when(request(299)).then([]);
    given::<User>(after([reset_requested(3_600)])).when(request(300)).then([reset_requested(3_900)]);
    let twice = || after([reset_requested(3_600), reset_requested(3_900)]);
    given::<User>(twice()).when(reset(1, 3_599)).then([Event::PasswordReset {}]);
    given::<User>(twice()).when(reset(1, 3_600)).then_rejected(Rejection::LinkExpired);
    given::<User>(twice()).when(reset(3, 1)).then_rejected(Rejection::LinkReplaced);
    let used = || twice().into_iter().chain([Event::PasswordReset {}, reset_requested(9_000)]).collect::<Vec<_>>();
    given::<User>(used()).when(reset(1, 1)).then([]);
    given::<User>(used()).when(reset(3, 1)).then([Event::PasswordReset {}]);
    given::<User>(twice()).when(reset(2, 3_900)).then_rejected(Rejection::LinkExpired);
    given::<User>(twice()).when(reset(2, 3_899)).then([Event::PasswordReset {}]);
    for used in [Event::PasswordReset {}, Event::PasswordChanged { keeping: None }, Event::Deactivated {}] {
        let history = twice().into_iter().chain([used]).collect::<Vec<_>>();
        assert_eq!(User::after(&history).password_reset(), None);
    }
    assert_eq!(User::after(&twice()).password_reset(), Some((2, second(3_900))));
}

#[test]
fn ending_all_sessions_starts_a_new_epoch() {
    let [here, there] = [12, 13].map(|number| SessionId(uuid::Uuid::from_u128(number)));
    let change = |session_epoch| Command::ChangePassword { session_epoch, keeping: Some(here) };
    let changed = || Event::PasswordChanged { keeping: Some(here) };
    given::<User>(active()).when(change(0)).then([changed()]);
    given::<User>(after([changed()])).when(change(0)).then([]);
    given::<User>(active())
        .when(Command::EndSessions { session_epoch: 0, keeping: None })
        .then([Event::SessionsEnded { keeping: None }]);
    let user = User::after(&after([changed()]));
    assert_eq!((user.keeps(here, 0), user.keeps(there, 0), user.keeps(there, 1)), (true, false, true));
    for ends in [Event::PasswordReset {}, Event::Deactivated {}, Event::SessionsEnded { keeping: None }] {
        let user = User::after(&after([changed(), ends]));
        assert!(!user.keeps(here, 0) && !user.keeps(there, 1) && user.keeps(there, 2));
    }
}

#[test]
fn active_admins_are_counted() {
    let counted = |history: &[Event], event: Event| -> Vec<Constraint> {
        let constraints = User::after(history).constraints(&event).into_iter();
        constraints
            .filter(|constraint| matches!(constraint, Constraint::Count { name, .. } if name == ACTIVE_ADMINS))
            .collect()
    };
    let none: Vec<Constraint> = vec![];
    let active = [invited(Role::Admin), accepted()];
    let narrowed = Permissions { administration: Access::Read, ..Role::Admin.ceiling() };
    assert_eq!(counted(&[], invited(Role::Admin)), none, "an invited user cannot administer yet");
    assert_eq!(counted(&active[..1], accepted()), [admins(1)]);
    assert_eq!(counted(&active, Event::Deactivated {}), [admins(-1)]);
    assert_eq!(counted(&active, Event::RoleChanged { from: Role::Admin, to: Role::Agent }), [admins(-1)]);
    assert_eq!(counted(&active, Event::PermissionsChanged { from: Role::Admin.ceiling(), to: narrowed }), [admins(-1)]);
    assert_eq!(counted(&[invited(Role::Agent)], accepted()), none);
}

#[test]
fn an_account_is_unlocked_by_somebody_or_by_a_new_password() {
    let unlock = |unlocks| Command::Unlock { unlocks };
    given::<User>(active()).when(unlock(0)).then([Event::Unlocked {}]);
    given::<User>(after([Event::Unlocked {}])).when(unlock(0)).then([]);
    given::<User>([invited(Role::Agent)]).when(unlock(0)).then_rejected(Rejection::NotActive);
    assert_eq!(User::after(&after([Event::Unlocked {}, Event::PasswordReset {}])).unlocks(), 2);
}

#[test]
fn invitations_of_imports_have_a_counter_of_their_own() {
    let counter = |by_import| {
        let sent = Event::InvitationSent { expires_at: second(1_000), by_import };
        let constraints = User::after(&[invited(Role::Agent)]).constraints(&sent);
        let names = constraints.into_iter().map(|it| match it {
            Constraint::Count { name, .. } => name.into_owned(),
            other @ (Constraint::Claim { .. } | Constraint::Release { .. }) => format!("{other:?}"),
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(counter(false), ["invitations 1970-01-01"]);
    assert_eq!(counter(true), ["import_invitations 1970-01-01"]);
}

#[test]
fn an_account_is_locked_until_a_time_or_an_unlock() {
    let lock = |unlocks, until| Command::Lock { unlocks, until: second(until) };
    let locked = |until| Event::Locked { until: second(until) };
    given::<User>(active()).when(lock(0, 900)).then([locked(900)]);
    given::<User>(after([locked(900)])).when(lock(0, 900)).then([]);
    given::<User>(after([locked(900)])).when(lock(0, 1_000)).then([locked(1_000)]);
    given::<User>(after([locked(900), Event::Unlocked {}])).when(lock(0, 950)).then([]);
    given::<User>(after([locked(900), Event::PasswordReset {}])).when(lock(1, 900)).then([locked(900)]);
    given::<User>(after([Event::Deactivated {}])).when(lock(0, 900)).then([]);
    given::<User>([]).when(lock(0, 900)).then_rejected(Rejection::NotFound);
}

fn commands() -> impl Strategy<Value = Command> {
    let roles = || prop::sample::select(vec![Role::Admin, Role::Agent, Role::ReadOnly, Role::Auditor]);
    prop_oneof![
        roles().prop_map(invite),
        (0..2_000_i64).prop_map(|now| Command::Accept { invitation: 1, now: second(now) }),
        roles().prop_map(|role| Command::ChangeRole { role, permissions: None }),
        roles().prop_map(|role| Command::ChangePermissions { permissions: role.ceiling() }),
        Just(Command::Deactivate),
        Just(Command::Reactivate),
        Just(Command::RevokeInvitation),
        Just(Command::Correct { name: None, email: Some(EmailAddress::new("ana@other.example").unwrap()) }),
        (0..9_000_i64, prop::sample::select(vec![Link::Invitation, Link::AddressChange, Link::PasswordReset]))
            .prop_map(|(now, link)| Command::ExpireLink { link, now: second(now) }),
        (0..9_000_i64)
            .prop_map(|expires_at| Command::SendInvitation { expires_at: second(expires_at), by_import: false }),
        (0..3_i64).prop_map(|number| want(&format!("ana{number}@acme.example"), 5_000 + number)),
        (1..3_u64).prop_map(|request| Command::ConfirmAddress { request, now: second(1) }),
        (1..3_u64).prop_map(|request| Command::CancelAddressChange { request, now: second(1) }),
        (0..9_000_i64)
            .prop_map(|now| { Command::RequestPasswordReset { now: second(now), expires_at: second(now + 3_600) } }),
        (1..3_u64).prop_map(|request| Command::ResetPassword { request, now: second(1) }),
        (0..3_u64).prop_map(|unlocks| Command::Unlock { unlocks }),
        (0..3_u64, 0..3_i64).prop_map(|(unlocks, until)| Command::Lock { unlocks, until: second(until) }),
        (0..3_u64).prop_map(|session_epoch| Command::ChangePassword { session_epoch, keeping: None }),
        (0..3_u64).prop_map(|session_epoch| Command::EndSessions { session_epoch, keeping: None }),
    ]
}

proptest! {
    /// After any history: commands are idempotent; permissions never exceed the role; and the counter of admins equals
    /// the number of users who can administer.
    #[test]
    fn invariants_hold_after_any_history(commands in prop::collection::vec(commands(), 0..40)) {
        let mut user = User::default();
        let mut count = 0;
        for command in commands {
            for event in user.decide(&command).unwrap_or_default() {
                for constraint in user.constraints(&event) {
                    if let Constraint::Count { by, minimum: Some(1), .. } = constraint {
                        count += by;
                    }
                }
                user.evolve(&event);
            }
            if let Ok(again) = user.decide(&command) {
                prop_assert_eq!(again, vec![]);
            }
            prop_assert!(user.rights().is_none_or(|(role, permissions)| permissions.is_within(role.ceiling())));
            prop_assert_eq!(count, i64::from(user.administers()));
        }
    }
}

#[test]
fn promotions_and_demotions_are_recorded_once() {
    let promote = || Command::Promote { organization: acme(), user: ana() };
    let promoted = || Event::Promoted { organization: acme(), user: ana() };
    let staff = || vec![invited(Role::SuperAdmin), accepted()];
    given::<User>([]).when(promote()).then_rejected(Rejection::NotFound);
    given::<User>(staff()).when(promote()).then([promoted()]);
    let demoted = || [staff(), vec![promoted(), Event::Demoted {}, Event::Deactivated {}]].concat();
    given::<User>([staff(), vec![promoted()]].concat())
        .when(Command::Demote)
        .then([Event::Demoted {}, Event::Deactivated {}]);
    given::<User>(demoted()).when(promote()).then([promoted()]);
}

#[test]
fn auditors_of_the_platform_are_only_in_its_organization() {
    let role = Role::PlatformAuditor;
    given::<User>([]).when(invite(role)).then_rejected(Rejection::RoleNotHere(role));
    let change = Command::ChangeRole { role, permissions: None };
    given::<User>([invited(Role::Auditor), accepted()]).when(change).then_rejected(Rejection::RoleNotHere(role));
}

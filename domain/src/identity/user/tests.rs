use proptest::prelude::*;

use super::*;
use crate::testing::given;

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

fn admins(by: i64) -> Guard {
    Guard::Count { name: ACTIVE_ADMINS.into(), by, minimum: Some(1), maximum: None }
}

#[test]
fn an_invitation_claims_the_address() {
    given::<User>([]).when(invite(Role::Agent)).then([invited(Role::Agent)]);
    let name = Some("ana@acme.example".to_owned());
    let claim = Guard::Claim { scope: Scope::Organization, kind: "email", name };
    let one_more = Guard::Count { name: "invitations 1970-01-01".into(), by: 1, minimum: None, maximum: None };
    assert_eq!(User::default().guards(&invited(Role::Admin)), [claim, one_more]);
}

#[test]
fn an_account_may_be_made_before_anybody_is_invited() {
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
    let sent = |at| Event::InvitationSent { expires_at: second(at) };
    let accept = |invitation| Command::Accept { invitation, now: second(1) };
    given::<User>([]).when(register()).then([registered()]);
    given::<User>([registered()]).when(register()).then([]);
    given::<User>([registered()]).when(accept(1)).then_refused(Refusal::InvitationReplaced);
    given::<User>([registered()]).when(Command::SendInvitation { expires_at: second(5) }).then([sent(5)]);
    given::<User>([registered(), sent(5)]).when(accept(1)).then([accepted()]);
}

#[test]
fn a_later_invitation_replaces_the_former_ones() {
    let again = || [invited(Role::Agent), Event::InvitationSent { expires_at: second(2_000) }];
    let accept = |invitation| Command::Accept { invitation, now: second(1_500) };
    let send = || Command::SendInvitation { expires_at: second(2_000) };
    given::<User>([invited(Role::Agent)]).when(send()).then([again()[1].clone()]);
    given::<User>(again()).when(send()).then([]);
    given::<User>(again()).when(accept(1)).then_refused(Refusal::InvitationReplaced);
    given::<User>(again()).when(accept(2)).then([accepted()]);
    given::<User>([invited(Role::Agent), accepted()]).when(send()).then_refused(Refusal::Accepted);
    assert_eq!(User::after(&again()).invitation(), Some((2, second(2_000))));
}

#[test]
fn an_invitation_is_accepted_until_it_expires() {
    given::<User>([invited(Role::Agent)]).when(Command::Accept { invitation: 1, now: second(999) }).then([accepted()]);
    given::<User>([invited(Role::Agent)])
        .when(Command::Accept { invitation: 1, now: second(1_000) })
        .then_refused(Refusal::InvitationExpired);
}

#[test]
fn permissions_stay_within_the_role() {
    let beyond = Permissions { administration: Access::Read, ..Role::Agent.ceiling() };
    given::<User>([]).when(invite_as(Role::Agent, beyond)).then_refused(Refusal::BeyondRole(Role::Agent));
    given::<User>([invited(Role::Agent), accepted()])
        .when(Command::ChangePermissions { permissions: beyond })
        .then_refused(Refusal::BeyondRole(Role::Agent));
}

#[test]
fn a_demotion_narrows_the_permissions() {
    let from = Role::Admin.ceiling();
    given::<User>([invited(Role::Admin), accepted()])
        .when(Command::ChangeRole { role: Role::ReadOnly, permissions: None })
        .then([
            Event::RoleChanged { from: Role::Admin, to: Role::ReadOnly },
            Event::PermissionsChanged { from, to: Role::ReadOnly.ceiling() },
        ]);
}

#[test]
fn roles_of_the_platform_stay_there() {
    given::<User>([]).when(invite(Role::SuperAdmin)).then_refused(Refusal::RoleNotHere(Role::SuperAdmin));
    given::<User>([invited(Role::Admin), accepted()])
        .when(Command::ChangeRole { role: Role::SuperAdmin, permissions: None })
        .then_refused(Refusal::RoleNotHere(Role::SuperAdmin));
}

#[test]
fn a_deactivated_user_is_only_reactivated() {
    let gone = || [invited(Role::Agent), accepted(), Event::Deactivated {}];
    let change = || Command::ChangeRole { role: Role::Admin, permissions: None };
    given::<User>([invited(Role::Agent), accepted()]).when(Command::Deactivate).then([Event::Deactivated {}]);
    given::<User>(gone()).when(change()).then_refused(Refusal::Deactivated);
    given::<User>(gone()).when(Command::Accept { invitation: 1, now: second(1) }).then_refused(Refusal::Deactivated);
    given::<User>(gone()).when(Command::Reactivate).then([Event::Reactivated {}]);
    given::<User>(gone()).when(Command::Deactivate).then([]);
    given::<User>([invited(Role::Agent), accepted()]).when(Command::Reactivate).then([]);
}

#[test]
fn whoever_has_not_come_yet_is_locked_out_and_let_in_as_they_were() {
    let withdrawn = || [invited(Role::Agent), Event::Deactivated {}];
    let accept = || Command::Accept { invitation: 1, now: second(1) };
    given::<User>([invited(Role::Agent)]).when(Command::Deactivate).then([Event::Deactivated {}]);
    given::<User>(withdrawn()).when(accept()).then_refused(Refusal::Deactivated);
    given::<User>(withdrawn()).when(Command::Reactivate).then([Event::Reactivated {}]);
    given::<User>(withdrawn().into_iter().chain([Event::Reactivated {}])).when(accept()).then([accepted()]);
    let back = User::after(&[invited(Role::Agent), Event::Deactivated {}, Event::Reactivated {}]);
    assert_eq!((back.status(), back.rights()), (Some(Status::Invited), None));
}

#[test]
fn those_who_can_administer_are_counted() {
    let counted = |history: &[Event], event: Event| -> Vec<Guard> {
        let guards = User::after(history).guards(&event).into_iter();
        guards.filter(|guard| matches!(guard, Guard::Count { name, .. } if name == ACTIVE_ADMINS)).collect()
    };
    let none: Vec<Guard> = vec![];
    let active = [invited(Role::Admin), accepted()];
    let narrowed = Permissions { administration: Access::Read, ..Role::Admin.ceiling() };
    assert_eq!(counted(&[], invited(Role::Admin)), none, "who is only invited cannot administer");
    assert_eq!(counted(&active[..1], accepted()), [admins(1)]);
    assert_eq!(counted(&active, Event::Deactivated {}), [admins(-1)]);
    assert_eq!(counted(&active, Event::RoleChanged { from: Role::Admin, to: Role::Agent }), [admins(-1)]);
    assert_eq!(counted(&active, Event::PermissionsChanged { from: Role::Admin.ceiling(), to: narrowed }), [admins(-1)]);
    assert_eq!(counted(&[invited(Role::Agent)], accepted()), none);
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
    ]
}

proptest! {
    /// Whatever has happened: asked twice, the second time nothing happens; permissions never exceed the role; and the
    /// count of admins is the number of those who can administer.
    #[test]
    fn laws_of_every_history(commands in prop::collection::vec(commands(), 0..40)) {
        let mut user = User::default();
        let mut count = 0;
        for command in commands {
            for event in user.decide(&command).unwrap_or_default() {
                for guard in user.guards(&event) {
                    if let Guard::Count { by, minimum: Some(1), .. } = guard {
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

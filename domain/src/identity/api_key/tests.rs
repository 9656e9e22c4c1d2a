use super::*;
use crate::{identity::Role, testing::given};

fn ana() -> UserId {
    UserId(uuid::Uuid::from_u128(11))
}

fn bob() -> UserId {
    UserId(uuid::Uuid::from_u128(12))
}

fn acme() -> OrganizationId {
    OrganizationId(uuid::Uuid::from_u128(7))
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

fn create_in(organization: OrganizationId, grant: Grant) -> Command {
    let (name, networks) = (KeyName::new("harbour robot").unwrap(), vec!["203.0.113.0/24".parse().unwrap()]);
    let (now, expires_at) = (second(10), Some(second(100)));
    Command::Create { organization, owner: ana(), name, grant, networks, now, expires_at }
}

fn agent() -> Grant {
    Grant::Permissions(Role::Agent.ceiling())
}

fn created() -> Event {
    let (name, networks) = (Personal::identity(acme(), "harbour robot"), vec!["203.0.113.0/24".to_owned()]);
    Event::Created { owner: ana(), name, grant: agent(), networks, expires_at: Some(second(100)) }
}

#[test]
fn a_key_is_accepted_until_it_expires_or_is_revoked() {
    given::<ApiKey>([]).when(create_in(acme(), agent())).then([created()]);
    let key = ApiKey::after(&[created()]);
    assert!(key.accepted(1, second(99)).is_some_and(|key| key.owner == ana()));
    assert!(key.accepted(1, second(100)).is_none() && key.accepted(2, second(99)).is_none());
    given::<ApiKey>([created()]).when(Command::Revoke).then([Event::Revoked {}]);
    given::<ApiKey>([created(), Event::Revoked {}]).when(Command::Revoke).then([]);
    assert!(ApiKey::after(&[created(), Event::Revoked {}]).accepted(1, second(20)).is_none());
    given::<ApiKey>([]).when(Command::Revoke).then_rejected(Rejection::NotFound);
}

#[test]
fn a_key_with_a_name_in_plain_text_is_the_same() {
    let Event::Created { owner, grant, networks, expires_at, .. } = created() else { unreachable!() };
    let name = "harbour robot".to_owned();
    let before = Event::CreatedV1 { owner, name, grant, networks, expires_at };
    given::<ApiKey>([before.clone()]).when(create_in(acme(), agent())).then([]);
    given::<ApiKey>([before]).when(Command::Revoke).then([Event::Revoked {}]);
}

#[test]
fn platform_keys_have_scopes_and_other_keys_have_permissions() {
    let scopes = || Grant::Scopes(BTreeSet::from([KeyScope::ReadUsers]));
    given::<ApiKey>([]).when(create_in(acme(), scopes())).then_rejected(Rejection::NeedsPermissions);
    given::<ApiKey>([]).when(create_in(OrganizationId::PLATFORM, agent())).then_rejected(Rejection::NeedsScopes);
    let of_operations = || Grant::Scopes(BTreeSet::from([KeyScope::ReadOperations]));
    given::<ApiKey>([])
        .when(create_in(OrganizationId::PLATFORM, of_operations()))
        .then_rejected(Rejection::NeedsScopes);
    let both = |scope| {
        let (permissions, scopes) = (Role::Agent.ceiling(), BTreeSet::from([scope]));
        Grant::PermissionsAndScopes { permissions, scopes }
    };
    given::<ApiKey>([]).when(create_in(acme(), both(KeyScope::ReadUsers))).then_rejected(Rejection::NeedsPermissions);
    given::<ApiKey>([])
        .when(create_in(OrganizationId::PLATFORM, both(KeyScope::WriteOperations)))
        .then_rejected(Rejection::NeedsScopes);
    let Event::Created { owner, name, networks, expires_at, .. } = created() else { unreachable!() };
    let grant = both(KeyScope::WriteOperations);
    given::<ApiKey>([]).when(create_in(acme(), grant.clone())).then([Event::Created {
        owner,
        name,
        grant,
        networks,
        expires_at,
    }]);
    let none = Grant::Scopes(BTreeSet::new());
    given::<ApiKey>([]).when(create_in(OrganizationId::PLATFORM, none)).then_rejected(Rejection::NeedsScopes);
    let key = ApiKey::default().decide(&create_in(OrganizationId::PLATFORM, scopes())).unwrap();
    assert_eq!(ApiKey::after(&key).grant(), Some(&scopes()));
}

#[test]
fn a_rotated_key_has_two_secrets_for_a_while() {
    let rotate = |generation, until| Command::Rotate { generation, now: second(20), former_until: second(until) };
    let rotated = || Event::Rotated { former_until: second(30) };
    given::<ApiKey>([created()]).when(rotate(2, 30)).then([rotated()]);
    given::<ApiKey>([created(), rotated()]).when(rotate(2, 30)).then([]);
    let week = 7 * 86_400;
    given::<ApiKey>([created()]).when(rotate(2, 21 + week)).then_rejected(Rejection::LongOverlap);
    given::<ApiKey>([created(), Event::Revoked {}]).when(rotate(2, 30)).then_rejected(Rejection::Revoked);
    let key = ApiKey::after(&[created(), rotated()]);
    let accepted = |generation, at| key.accepted(generation, second(at)).is_some();
    assert!(accepted(1, 29) && accepted(2, 29) && !accepted(1, 30) && accepted(2, 30) && !accepted(3, 29));
    let twice = ApiKey::after(&[created(), rotated(), rotated()]);
    assert!(twice.accepted(1, second(29)).is_none(), "the third secret invalidates the first immediately");
}

#[test]
fn a_key_is_transferred_to_another_owner() {
    let adopted = || Event::Adopted { from: ana(), to: bob() };
    given::<ApiKey>([created()]).when(Command::Adopt { by: bob() }).then([adopted()]);
    given::<ApiKey>([created()]).when(Command::Adopt { by: ana() }).then([]);
    given::<ApiKey>([created(), Event::Revoked {}])
        .when(Command::Adopt { by: bob() })
        .then_rejected(Rejection::Revoked);
    assert!(ApiKey::after(&[created(), adopted()]).accepted(1, second(1)).is_some_and(|key| key.owner == bob()));
}

#[test]
fn a_key_must_expire_in_the_future() {
    let Command::Create { organization, owner, name, grant, networks, expires_at, .. } = create_in(acme(), agent())
    else {
        unreachable!()
    };
    let late = Command::Create { organization, owner, name, grant, networks, expires_at, now: second(100) };
    given::<ApiKey>([]).when(late).then_rejected(Rejection::EndsInThePast);
}

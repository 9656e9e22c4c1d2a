use super::*;
use crate::testing::given;

fn acme() -> OrganizationId {
    OrganizationId(uuid::Uuid::from_u128(7))
}

fn name(text: &str) -> OrganizationName {
    OrganizationName::new(text).unwrap()
}

fn create() -> Command {
    let domain = DomainName::new("acme.example").unwrap();
    Command::Create { name: name("Acme"), domain, trial_ends_at: Some(Timestamp::UNIX_EPOCH) }
}

fn created() -> Event {
    Event::Created {
        name: "Acme".to_owned(),
        domain: "acme.example".to_owned(),
        plan: "starter".to_owned(),
        trial_ends_at: Some(Timestamp::UNIX_EPOCH),
        settings: Settings::default(),
    }
}

fn because(text: &str) -> Personal {
    Personal::identity(acme(), text)
}

fn suspend(reason: &str) -> Command {
    Command::Suspend { organization: acme(), reason: Reason::new(reason).unwrap() }
}

fn deactivate() -> Command {
    Command::Deactivate { organization: acme(), reason: Reason::new("left").unwrap() }
}

#[test]
fn a_new_organization_has_defaults_and_claims_its_domain() {
    given::<Organization>([]).when(create()).then([created()]);
    let claim = Constraint::Claim {
        scope: Scope::Platform,
        kind: "domain",
        name: Some("acme.example".to_owned()),
        violation: DOMAIN_TAKEN,
    };
    assert_eq!(Organization::default().constraints(&created()), [claim]);
}

#[test]
fn commands_on_a_missing_organization_are_rejected() {
    for command in [suspend("unpaid"), Command::Reactivate, deactivate(), Command::Rename { name: name("X") }] {
        given::<Organization>([]).when(command).then_rejected(Rejection::NotFound);
    }
}

#[test]
fn a_different_organization_with_the_same_id_is_rejected() {
    let domain = DomainName::new("other.example").unwrap();
    let other = Command::Create { name: name("Acme"), domain, trial_ends_at: Some(Timestamp::UNIX_EPOCH) };
    given::<Organization>([created()]).when(other).then_rejected(Rejection::Exists);
}

#[test]
fn changes_record_old_and_new_values() {
    let renamed = Event::Renamed { from: "Acme".to_owned(), to: "Acme Ports".to_owned() };
    given::<Organization>([created()]).when(Command::Rename { name: name("Acme Ports") }).then([renamed]);

    let from = Settings::default().business_hours;
    let patch = BusinessHoursPatch { time_zone: Some("Europe/Lisbon".to_owned()), days: None };
    let to = BusinessHours { time_zone: "Europe/Lisbon".to_owned(), ..from.clone() };
    given::<Organization>([created()])
        .when(Command::ChangeBusinessHours(patch))
        .then([Event::BusinessHoursChanged { from, to }]);
}

#[test]
fn a_patch_changes_its_members_only() {
    let patch = |json: &str| Command::ChangeBranding(serde_json::from_str(json).unwrap());
    let branding = |name: Option<&str>, logo: Option<&str>| Branding {
        display_name: name.map(str::to_owned),
        logo: logo.map(str::to_owned),
        ..Branding::default()
    };
    let logo = "https://acme.example/logo.svg";
    let first = Event::BrandingChanged { from: branding(None, None), to: branding(Some("Acme"), Some(logo)) };
    given::<Organization>([created()])
        .when(patch(r#"{"display_name": "Acme", "logo": "https://acme.example/logo.svg"}"#))
        .then([first.clone()]);
    given::<Organization>([created(), first])
        .when(patch(r#"{"display_name": null}"#))
        .then([Event::BrandingChanged { from: branding(Some("Acme"), Some(logo)), to: branding(None, Some(logo)) }]);
}

#[test]
fn an_invalid_setting_is_rejected_with_its_field() {
    let patch = BusinessHoursPatch { time_zone: Some("Mars/Base".to_owned()), days: None };
    let rejection = Organization::after(&[created()]).decide(&Command::ChangeBusinessHours(patch)).unwrap_err();
    assert!(
        matches!(&rejection, Rejection::Setting(setting) if setting.field == "business_hours/time_zone"),
        "{rejection:?}"
    );
}

#[test]
fn a_suspended_organization_can_be_administered_and_reactivated() {
    let suspended = || Event::Suspended { reason: because("unpaid") };
    given::<Organization>([created()]).when(suspend("unpaid")).then([suspended()]);
    given::<Organization>([created(), suspended()])
        .when(Command::Rename { name: name("Acme 2") })
        .then([Event::Renamed { from: "Acme".to_owned(), to: "Acme 2".to_owned() }]);
    given::<Organization>([created(), suspended()]).when(Command::Reactivate).then([Event::Reactivated {}]);

    let organization = Organization::after(&[created(), suspended()]);
    assert_eq!(organization.allow(Capability::Use), Err(Rejection::Status(OrganizationStatus::Suspended)));
    assert_eq!(organization.allow(Capability::Settle), Ok(()));
}

#[test]
fn a_deactivation_is_permanent() {
    let ended = || [created(), Event::Deactivated { reason: because("left") }];
    given::<Organization>([created()]).when(deactivate()).then([ended()[1].clone()]);
    for command in [suspend("again"), Command::Reactivate, Command::Rename { name: name("X") }] {
        given::<Organization>(ended()).when(command).then_rejected(Rejection::Status(OrganizationStatus::Deactivated));
    }
    assert_eq!(Organization::after(&ended()).allow(Capability::Settle), Ok(()));
}

#[test]
fn the_platform_itself_cannot_be_suspended() {
    let reason = || Reason::new("by mistake").unwrap();
    for command in [
        Command::Suspend { organization: OrganizationId::PLATFORM, reason: reason() },
        Command::Deactivate { organization: OrganizationId::PLATFORM, reason: reason() },
    ] {
        given::<Organization>([created()]).when(command).then_rejected(Rejection::Platform);
    }
}

#[test]
fn the_quota_of_invitations_changes_and_is_bounded() {
    let raise = |per_day| {
        Command::ChangeInvitationQuota(InvitationQuotaPatch { per_day: Some(per_day), imports_per_day: None })
    };
    let (none, raised) = (InvitationQuota::default(), InvitationQuota { per_day: Some(5_000), imports_per_day: None });
    let changed = |from, to| Event::InvitationQuotaChanged { from, to };
    given::<Organization>([created()]).when(raise(Some(5_000))).then([changed(none, raised)]);
    given::<Organization>([created(), changed(none, raised)]).when(raise(Some(5_000))).then([]);
    given::<Organization>([created(), changed(none, raised)]).when(raise(None)).then([changed(raised, none)]);
    let rejected = Organization::after(&[created()]).decide(&raise(Some(0)));
    assert!(matches!(rejected, Err(Rejection::Setting(_))), "{rejected:?}");
    assert_eq!(Organization::after(&[created(), changed(none, raised)]).invitation_quota(), raised);
}

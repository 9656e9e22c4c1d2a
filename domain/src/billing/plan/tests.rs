use super::*;
use crate::testing::given;

fn created() -> Event {
    Event::Created {
        code: "harbour".to_owned(),
        name: "Harbour".to_owned(),
        visibility: Visibility::Public,
        for_organization: None,
    }
}

fn offer() -> Offer {
    let [(.., offer), _, _] = built_in();
    offer
}

#[test]
fn a_version_is_published_once_and_never_changes() {
    let published = |version| Event::VersionPublished { version, offer: offer() };
    given::<Plan>([created()]).when(Command::Publish { offer: offer() }).then([published(1)]);
    let dearer = Offer { included_seats: 5, ..offer() };
    let second = Event::VersionPublished { version: 2, offer: dearer.clone() };
    given::<Plan>([created(), published(1)]).when(Command::Publish { offer: dearer }).then([second]);
}

#[test]
fn invalid_versions_are_rejected() {
    let negative = Offer { prices: vec![PlanPrice { price: -1, ..offer().prices[0] }], ..offer() };
    let twice = Offer { prices: vec![offer().prices[0]; 2], ..offer() };
    let none = Offer { prices: vec![], ..offer() };
    let mixed =
        Offer { prices: vec![offer().prices[0], PlanPrice { seat_price: None, ..offer().prices[1] }], ..offer() };
    for offer in [negative, twice, none, mixed] {
        let rejected = given::<Plan>([created()]).when(Command::Publish { offer: offer.clone() });
        let Err(rejection) = must_be_valid(&offer) else { panic!("{offer:?}") };
        rejected.then_rejected(rejection);
    }
}

#[test]
fn a_retired_plan_is_neither_changed_nor_chosen() {
    let events = || [created(), Event::VersionPublished { version: 1, offer: offer() }, Event::Retired {}];
    given::<Plan>(events()).when(Command::Retire).then([]);
    given::<Plan>(events()).when(Command::Publish { offer: offer() }).then_rejected(Rejection::Retired);
    let plan = Plan::after(&events());
    assert!(plan.terms_for(PlanId::STARTER, OrganizationId(Uuid::from_u128(1)), true).is_none());
}

#[test]
fn private_plans_are_for_those_they_are_given_to() {
    let [one, other] = [1, 2].map(|number| OrganizationId(Uuid::from_u128(number)));
    let private = |for_organization| {
        let created = Event::Created {
            code: "x".to_owned(),
            name: "X".to_owned(),
            visibility: Visibility::Private,
            for_organization,
        };
        Plan::after(&[created, Event::VersionPublished { version: 1, offer: offer() }])
    };
    let can = |plan: &Plan, organization, by_staff| plan.terms_for(PlanId::STARTER, organization, by_staff).is_some();
    let general = private(None);
    assert!(!can(&general, one, false) && can(&general, one, true));
    let own = private(Some(one));
    assert!(can(&own, one, false) && !can(&own, other, true));
}

#[test]
fn the_built_in_plans_are_valid() {
    for (_, code, name, _, offer) in built_in() {
        assert!(Code::new(code).is_ok() && ProductName::new(name).is_ok());
        assert_eq!(must_be_valid(&offer), Ok(()));
    }
}

use uuid::Uuid;

use super::*;
use crate::testing::given;

const VENDOR: VendorId = VendorId(Uuid::from_u128(21));

fn name(text: &str) -> VendorName {
    VendorName::new(text).unwrap()
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::new(text).unwrap()
}

fn contact(id: u128, name: &str) -> NewContact {
    let (id, name) = (ContactId(Uuid::from_u128(id)), PersonName::new(name).unwrap());
    NewContact { id, name, email: email("tugs@svitzer.example") }
}

fn recorded(id: u128, name: &str) -> Contact {
    let id = ContactId(Uuid::from_u128(id));
    let email = Personal::identity(id, "tugs@svitzer.example");
    Contact { id, name: Personal::identity(id, name), email }
}

fn create() -> Command {
    Command::Create {
        vendor: VENDOR,
        name: name("Svitzer"),
        services: [Service::Towage].into(),
        contacts: vec![contact(1, "Jens Holm")],
        order_email: Some(email("orders@svitzer.example")),
    }
}

fn created() -> Event {
    Event::Created {
        name: "Svitzer".to_owned(),
        services: [Service::Towage].into(),
        contacts: vec![recorded(1, "Jens Holm")],
        order_email: Some(Personal::identity(VENDOR, "orders@svitzer.example")),
    }
}

#[test]
fn a_vendor_is_created_once() {
    given::<Vendor>([]).when(create()).then([created()]);
    given::<Vendor>([created()]).when(create()).then([]);
    let Command::Create { vendor, services, contacts, order_email, .. } = create() else { unreachable!() };
    let other = Command::Create { vendor, name: name("Boluda"), services, contacts, order_email };
    given::<Vendor>([created()]).when(other).then_rejected(Rejection::Exists);
}

#[test]
fn an_active_vendor_with_an_address_provides_what_it_offers() {
    let after = |events: &[Event]| Vendor::after(events);
    assert_eq!(after(&[created()]).can_provide(Service::Towage), Ok(()));
    let rejected = after(&[created()]).can_provide(Service::Crew);
    assert_eq!(rejected, Err(NotOrderable::DoesNotOffer(Service::Crew)));
    let archived = after(&[created(), Event::Archived {}]);
    assert_eq!(archived.can_provide(Service::Towage), Err(NotOrderable::Archived));
    let without = Event::OrderEmailChanged { from: None, to: None };
    assert_eq!(after(&[created(), without]).can_provide(Service::Towage), Err(NotOrderable::NoAddress));
    assert_eq!(after(&[]).can_provide(Service::Towage), Err(NotOrderable::NotFound));
}

#[test]
fn a_vendor_needs_a_service_and_has_few_contacts() {
    let services = BTreeSet::new();
    given::<Vendor>([created()]).when(Command::ChangeServices { services }).then_rejected(Rejection::NoServices);
    let contacts = (0..21).map(|id| contact(id, "Jens Holm")).collect();
    given::<Vendor>([created()]).when(Command::ChangeContacts { contacts }).then_rejected(Rejection::TooManyContacts);
}

#[test]
fn changes_say_from_what_to_what() {
    given::<Vendor>([created()])
        .when(Command::Rename { name: name("Boluda") })
        .then([Event::Renamed { from: "Svitzer".to_owned(), to: "Boluda".to_owned() }]);
    let to: BTreeSet<Service> = [Service::Towage, Service::Mooring].into();
    given::<Vendor>([created()])
        .when(Command::ChangeServices { services: to.clone() })
        .then([Event::ServicesChanged { from: [Service::Towage].into(), to }]);
    given::<Vendor>([created()]).when(Command::ChangeOrderEmail { vendor: VENDOR, order_email: None }).then([
        Event::OrderEmailChanged { from: Some(Personal::identity(VENDOR, "orders@svitzer.example")), to: None },
    ]);
}

#[test]
fn a_contact_stays_the_same_contact() {
    let contacts = vec![contact(7, "Jens Holm"), contact(8, "Ida Berg")];
    given::<Vendor>([created()]).when(Command::ChangeContacts { contacts }).then([Event::ContactsChanged {
        from: vec![recorded(1, "Jens Holm")],
        to: vec![recorded(1, "Jens Holm"), recorded(8, "Ida Berg")],
    }]);
}

#[test]
fn an_archived_vendor_is_only_restored() {
    given::<Vendor>([created()]).when(Command::Archive).then([Event::Archived {}]);
    let archived = || [created(), Event::Archived {}];
    given::<Vendor>(archived()).when(Command::Archive).then([]);
    given::<Vendor>(archived()).when(Command::Rename { name: name("Boluda") }).then_rejected(Rejection::Archived);
    given::<Vendor>(archived()).when(Command::Restore).then([Event::Restored {}]);
    given::<Vendor>([created()]).when(Command::Restore).then([]);
    given::<Vendor>([]).when(Command::Archive).then_rejected(Rejection::NotFound);
}

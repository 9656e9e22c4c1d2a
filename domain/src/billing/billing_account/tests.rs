use uuid::Uuid;

use super::*;
use crate::{billing::billing_document::Name, testing::given};

const NEW: NewPersons =
    NewPersons { buyer: BuyerId(Uuid::from_u128(1)), contact: BillingContactId(Uuid::from_u128(2)) };

fn patch(json: serde_json::Value) -> AccountPatch {
    serde_json::from_value(json).unwrap()
}

fn change(json: serde_json::Value) -> Command {
    Command::Change { patch: Box::new(patch(json)), new: NEW }
}

fn business() -> serde_json::Value {
    serde_json::json!({
        "legal_name": "Lusoport Lda.",
        "address": {"street": ["Rua 1"], "postcode": "1100-148", "city": "Lisboa", "country": "PT"},
        "vat_id": "PT 501 964 843",
        "contact": {"name": "Ana Souza", "email": "ana@lusoport.example"},
    })
}

fn events_of(json: serde_json::Value) -> Vec<Event> {
    BillingAccount::default().decide(&change(json)).unwrap()
}

fn account(json: serde_json::Value) -> BillingAccount {
    BillingAccount::after(&events_of(json))
}

fn check(tax_id: &str, result: CheckResult, second: i64) -> Check {
    let checked_at = Timestamp::from_second(second).unwrap();
    Check { tax_id: tax_id.to_owned(), result, source: CheckSource::Vies, reference: None, checked_at }
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

#[test]
fn a_business_is_billed_under_its_open_name() {
    let events = events_of(business());
    given::<BillingAccount>([]).when(change(business())).then(events.clone());
    let buyer = BillingAccount::after(&events).buyer().unwrap();
    assert_eq!(buyer.legal_name, Name::Open("Lusoport Lda.".to_owned()));
    assert_eq!((buyer.vat_id.as_deref(), buyer.language.as_str()), (Some("PT501964843"), "en"));
    let stored = serde_json::to_string(&events[0]).unwrap();
    assert!(stored.contains(r#""name":{"$personal""#), "{stored}");
    assert_eq!(BillingAccount::default().missing(), ["legal_name", "address"]);
    assert_eq!(BillingAccount::default().buyer(), None);
    let rejected = BillingAccount::default().required_buyer();
    assert_eq!(rejected, Err(Rejection::Incomplete(vec!["legal_name", "address"])));
}

#[test]
fn the_name_and_street_of_a_person_are_sealed_under_one_key() {
    let mut person = business();
    person["is_business"] = false.into();
    given::<BillingAccount>([]).when(change(person.clone())).then_rejected(Rejection::PersonWithTaxId);
    person["vat_id"] = serde_json::Value::Null;
    let sealed = account(person);
    let buyer = sealed.buyer().unwrap();
    let of = |text: &str| Name::Personal(Personal::identity(NEW.buyer, text));
    assert_eq!((buyer.legal_name, buyer.address.street), (of("Lusoport Lda."), vec![of("Rua 1")]));
    let other = NewPersons { buyer: BuyerId(Uuid::from_u128(8)), contact: BillingContactId(Uuid::from_u128(9)) };
    let renamed = patch(serde_json::json!({"legal_name": "Ana Souza"})).apply(sealed.profile(), other).unwrap();
    assert_eq!(renamed.legal_name, Some(of("Ana Souza")));
    let opened = patch(serde_json::json!({"is_business": true})).apply(sealed.profile(), other).unwrap();
    assert_eq!(opened.legal_name, Some(Name::Open("Lusoport Lda.".to_owned())));
    assert_eq!(opened.contact, sealed.profile().contact);
}

#[test]
fn the_vat_id_belongs_to_the_country_of_the_address() {
    for (country, postcode, id, is_good) in [
        ("GR", "10431", "EL094259216", true),
        ("GB", "BT1 1AA", "XI980780684", true),
        ("GB", "SW1A 1AA", "GB980780684", true),
        ("MC", "98000", "FR83404833048", true),
        ("CH", "8001", "CHE107787577IVA", true),
        ("PT", "1100-148", "DE136695976", false),
        ("US", "10001", "DE136695976", false),
    ] {
        let mut body = business();
        body["address"]["country"] = country.into();
        body["address"]["postcode"] = postcode.into();
        body["vat_id"] = id.into();
        let decided = BillingAccount::default().decide(&change(body));
        match is_good {
            true => assert!(decided.is_ok(), "{country} {decided:?}"),
            false => assert!(matches!(decided, Err(Rejection::CountryMismatch { .. })), "{country} {decided:?}"),
        }
    }
    let moved = serde_json::json!({"address": {"postcode": "28001", "city": "Madrid", "country": "ES"}});
    given::<BillingAccount>(events_of(business()))
        .when(change(moved))
        .then_rejected(Rejection::CountryMismatch { id: "PT".to_owned(), address: "ES".to_owned() });
    let without = serde_json::json!({"vat_id": "PT501964843"});
    assert!(matches!(BillingAccount::default().decide(&change(without)), Err(Rejection::Setting(_))));
    for refused in ["EU826010755", "IM3720000419", "PT501964844", ""] {
        let body = serde_json::json!({"vat_id": refused});
        assert!(serde_json::from_value::<AccountPatch>(body).is_err(), "{refused}");
    }
}

#[test]
fn an_unavailable_registry_leaves_a_vat_id_pending() {
    let id = "PT501964843";
    let mut account = account(business());
    assert_eq!(account.vat_id_state(), VatIdState::Pending);
    assert!(account.needs_check(Timestamp::UNIX_EPOCH));
    account.evolve(&Event::TaxIdChecked(check(id, CheckResult::Unavailable, 1)));
    assert_eq!(account.vat_id_state(), VatIdState::Pending);
    // It is pending since the first of several checks without an answer.
    assert_eq!(account.decide(&Command::RecordCheck(check(id, CheckResult::Unavailable, 2))), Ok(vec![]));
    assert_eq!(account.pending_since(), Some(Timestamp::from_second(1).unwrap()));
    account.evolve(&Event::TaxIdChecked(check(id, CheckResult::Valid, 2)));
    assert_eq!(account.pending_since(), None);
    assert_eq!(account.tax_buyer().map(|buyer| buyer.vat_id), Some(VatIdState::Valid));
    let day = |day: i64| Timestamp::from_second(day * 86_400 + 2).unwrap();
    assert_eq!([89, 90].map(|it| account.needs_check(day(it))), [false, true]);
    // Unavailable later: the earlier answer holds.
    let later = Command::RecordCheck(check(id, CheckResult::Unavailable, 3));
    assert_eq!(account.decide(&later), Ok(vec![]));
    let other = Command::RecordCheck(check("PT501964842", CheckResult::Invalid, 3));
    assert_eq!(account.decide(&other), Ok(vec![]));
    let refuted = check(id, CheckResult::Invalid, 4);
    given::<BillingAccount>(events_of(business()))
        .when(Command::RecordCheck(refuted.clone()))
        .then([Event::TaxIdChecked(refuted)]);
    account.evolve(&Event::TaxIdChanged { from: Some(id.to_owned()), to: None });
    assert_eq!(account.vat_id_state(), VatIdState::Missing);
}

#[test]
fn invoice_billing_is_requested_and_granted() {
    let requested = || Event::InvoiceBillingRequested {};
    given::<BillingAccount>([]).when(Command::RequestInvoiceBilling).then([requested()]);
    let to = Collection::Invoice { days: 30 };
    let granted = Event::CollectionChanged { from: Collection::Automatic, to };
    given::<BillingAccount>([requested()]).when(Command::ChangeCollection(to)).then([granted.clone()]);
    given::<BillingAccount>([requested(), granted.clone()]).when(Command::RequestInvoiceBilling).then([]);
    let account = BillingAccount::after(&[requested(), granted]);
    assert_eq!((account.collection(), account.has_requested_invoice_billing()), (to, false));
    let refused = Event::CollectionChanged { from: Collection::Automatic, to: Collection::Automatic };
    given::<BillingAccount>([requested()]).when(Command::ChangeCollection(Collection::Automatic)).then([refused]);
    let long = Command::ChangeCollection(Collection::Invoice { days: 181 });
    assert!(matches!(BillingAccount::default().decide(&long), Err(Rejection::Setting(_))));
}

#[test]
fn a_balance_is_never_negative() {
    let organization = OrganizationId(Uuid::from_u128(7));
    let grant = |by| {
        let reason = Reason::new("Goodwill").unwrap();
        Command::GrantBalance { organization, by, currency: euro(), reason }
    };
    let granted = |by, after| {
        let cause = BalanceCause::Granted(Personal::identity(organization, "Goodwill"));
        Event::BalanceChanged { by, after, currency: euro(), cause }
    };
    let mut account = BillingAccount::default();
    assert_eq!(account.decide(&grant(500)), Ok(vec![granted(500, 500)]));
    account.evolve(&granted(500, 500));
    assert_eq!(account.balance(euro()), 500);
    let cause = BalanceCause::Invoice(InvoiceId(Uuid::from_u128(1)));
    let apply = |by| Command::ChangeBalance { by, currency: euro(), cause: cause.clone() };
    let applied = Event::BalanceChanged { by: -500, after: 0, currency: euro(), cause: cause.clone() };
    assert_eq!(account.decide(&apply(-500)), Ok(vec![applied]));
    let balance = rust_decimal::Decimal::new(500, 2);
    assert_eq!(account.decide(&apply(-501)), Err(Rejection::BalanceTooLow { balance, currency: euro() }));
    assert_eq!(account.decide(&apply(0)), Ok(vec![]));
    assert_eq!(account.decide(&grant(i64::MAX)), Err(Rejection::BalanceTooLarge));
    let dollar = "USD".parse().unwrap();
    let other = Command::ChangeBalance { by: -1, currency: dollar, cause };
    assert!(matches!(account.decide(&other), Err(Rejection::BalanceTooLow { .. })));
}

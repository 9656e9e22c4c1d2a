use super::*;
use crate::{billing::tax::VatIdState, testing::given};

fn patch(json: serde_json::Value) -> ProfilePatch {
    serde_json::from_value(json).unwrap()
}

fn change(json: serde_json::Value) -> Command {
    Command::ChangeProfile(Box::new(patch(json)))
}

fn entered() -> serde_json::Value {
    serde_json::json!({
        "legal_name": "PortTask GmbH",
        "address": {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"},
        "vat_id": "de 136 695 976",
        "iban": "DE02 1203 0000 0000 2020 51",
        "zone": "Europe/Berlin",
        "accounting_currency": "EUR",
    })
}

fn entered_event() -> Event {
    let from = Profile::default();
    let to = patch(entered()).apply(&from).unwrap();
    Event::ProfileChanged { from: Box::new(from), to: Box::new(to) }
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn registration(country: &str, scheme: Scheme, vat_id: &str) -> Registration {
    Registration { country: country.to_owned(), scheme, vat_id: vat_id.to_owned(), from: date("2026-01-01") }
}

fn add(country: &str, scheme: Scheme, vat_id: &str) -> Command {
    let (vat_id, from) = (VatId::new(vat_id).unwrap(), date("2026-01-01"));
    Command::AddRegistration { country: country.to_owned(), scheme, vat_id, from }
}

fn set_rate(rate: &str, from: &str) -> Command {
    let (rate, from) = (rate.parse().unwrap(), date(from));
    Command::SetTaxRate { country: "DE".to_owned(), rate, from, today: date("2026-11-28") }
}

fn set_exchange(code: &str, on: &str, rate: &str) -> Command {
    let (date, currency, rate, source) = (date(on), currency(code), rate.parse().unwrap(), "ECB".to_owned());
    Command::SetExchangeRate { date, currency, rate, source, today: self::date("2026-11-28") }
}

fn exchange(code: &str, on: &str, rate: &str) -> Event {
    let (date, currency, rate) = (date(on), currency(code), rate.parse().unwrap());
    Event::ExchangeRateSet { date, currency, rate, source: "ECB".to_owned() }
}

#[test]
fn a_profile_is_complete_with_what_the_law_asks_for() {
    given::<Seller>([]).when(change(entered())).then([entered_event()]);
    let empty = Seller::default();
    assert_eq!(empty.missing(), ["legal_name", "address", "vat_id", "zone", "accounting_currency"]);
    assert_eq!((empty.invoice_prefix(), empty.credit_note_prefix()), ("PT".to_owned(), "PT-CN".to_owned()));
    let seller = Seller::after(&[entered_event()]);
    assert!(seller.is_complete());
    assert_eq!((seller.payment_days(), seller.accounting_currency()), (14, Some(currency("EUR"))));
    assert_eq!(seller.zone().and_then(|zone| zone.iana_name().map(str::to_owned)).as_deref(), Some("Europe/Berlin"));
    let snapshot = seller.snapshot(date("2026-11-28"), Treatment::Domestic, "DE").unwrap();
    assert_eq!((snapshot.vat_id.as_str(), snapshot.iban.as_deref()), ("DE136695976", Some("DE02120300000000202051")));
    let rejected = empty.snapshot(date("2026-11-28"), Treatment::Domestic, "DE").unwrap_err();
    assert_eq!(rejected, Rejection::Incomplete(empty.missing()));
}

#[test]
fn the_vat_id_belongs_to_the_country_of_the_address() {
    let moved = serde_json::json!({"address": {"city": "Wien", "postcode": "1010", "country": "AT"}});
    given::<Seller>([entered_event()]).when(change(moved)).then_rejected(Rejection::CountryMismatch("AT".to_owned()));
    given::<Seller>([entered_event()])
        .when(add("CH", Scheme::Local, "NO 995 525 828 MVA"))
        .then_rejected(Rejection::CountryMismatch("CH".to_owned()));
}

#[test]
fn invalid_members_are_refused() {
    for (member, value) in [
        ("iban", serde_json::json!("DE02120300000000202052")),
        ("iban", serde_json::json!("é")),
        ("bic", serde_json::json!("BYLADEM")),
        ("email", serde_json::json!("x")),
        ("vat_id", serde_json::json!("DE136695978")),
        ("accounting_currency", serde_json::json!("EURO")),
        ("accent_colour", serde_json::json!("red")),
        ("prefix", serde_json::json!("pt")),
        ("prefix", serde_json::json!("")),
        ("zone", serde_json::Value::Null),
        ("unknown", serde_json::json!(1)),
    ] {
        let body = serde_json::json!({ member: value });
        assert!(serde_json::from_value::<ProfilePatch>(body.clone()).is_err(), "{body}");
    }
    for (member, value) in [
        ("zone", serde_json::json!("Mars/Olympus")),
        ("payment_days", serde_json::json!(181)),
        ("legal_name", serde_json::json!(" ")),
        ("phone", serde_json::json!("1".repeat(41))),
    ] {
        let rejected = Seller::default().decide(&change(serde_json::json!({ member: value }))).unwrap_err();
        assert!(matches!(&rejected, Rejection::Setting(setting) if setting.field == member), "{rejected}");
    }
}

#[test]
fn registrations_decide_under_which_id_and_how_sales_are_taxed() {
    let swiss = registration("CH", Scheme::Local, "CHE107787577IVA");
    let oss = registration("DE", Scheme::Oss, "DE136695976");
    given::<Seller>([entered_event()])
        .when(add("CH", Scheme::Local, "CHE-107.787.577 IVA"))
        .then([Event::RegistrationAdded(swiss.clone())]);
    given::<Seller>([Event::RegistrationAdded(swiss.clone())])
        .when(add("CH", Scheme::Local, "CHE-391.313.291 MWST"))
        .then_rejected(Rejection::Registered);
    let remove = Command::RemoveRegistration { country: "CH".to_owned(), scheme: Scheme::Local };
    given::<Seller>([Event::RegistrationAdded(swiss.clone())])
        .when(remove)
        .then([Event::RegistrationRemoved(swiss.clone())]);
    let seller = Seller::after(&[entered_event(), Event::RegistrationAdded(swiss), Event::RegistrationAdded(oss)]);
    let on = date("2026-11-28");
    let of = |on| seller.tax_seller(on).map(|it| (it.registrations, it.has_oss));
    assert_eq!(of(on), Some((vec!["CH".to_owned()], true)));
    assert_eq!(of(date("2025-12-31")), Some((vec![], false)));
    let abroad = seller.snapshot(on, Treatment::RegisteredAbroad, "CH").unwrap();
    assert_eq!(abroad.vat_id, "CHE107787577IVA");
    assert_eq!(seller.snapshot(on, Treatment::Export, "US").unwrap().vat_id, "DE136695976");
    let buyer = tax::Buyer {
        country: "CH".to_owned(),
        postcode: "8001".to_owned(),
        is_business: true,
        vat_id: VatIdState::Missing,
    };
    let decision = seller.decide_tax(&buyer, on).unwrap();
    assert_eq!((decision.treatment, decision.rate), (Treatment::RegisteredAbroad, Decimal::new(81, 1)));
    assert_eq!(Seller::default().decide_tax(&buyer, on), Err(Undecided::NoRate));
}

#[test]
fn a_rate_that_was_set_wins_from_its_first_day_on() {
    let set = Event::TaxRateSet { country: "DE".to_owned(), rate: Decimal::from(16), from: date("2026-12-01") };
    given::<Seller>([]).when(set_rate("16.0", "2026-12-01")).then([set.clone()]);
    given::<Seller>([]).when(set_rate("16", "2026-11-27")).then_rejected(Rejection::RateInThePast);
    for rate in ["-1", "100.1", "1.0001"] {
        let rejected = Seller::default().decide(&set_rate(rate, "2026-12-01"));
        assert!(matches!(rejected, Err(Rejection::InvalidRate(_))), "{rate}");
    }
    let seller = Seller::after(&[set]);
    let rate = |country, postcode, on| seller.rate(country, postcode, date(on));
    assert_eq!(rate("DE", "20457", "2026-11-30"), Some(Decimal::from(19)));
    assert_eq!(rate("DE", "20457", "2026-12-01"), Some(Decimal::from(16)));
    assert_eq!(rate("PT", "9000-001", "2026-12-01"), Some(Decimal::from(22)));
    assert_eq!(rate("MC", "98000", "2026-12-01"), Some(Decimal::from(20)));
    assert_eq!(rate("US", "", "2026-12-01"), None);
}

#[test]
fn an_exchange_rate_holds_for_seven_days() {
    given::<Seller>([entered_event()]).when(set_exchange("USD", "2026-11-20", "0.8610")).then([exchange(
        "USD",
        "2026-11-20",
        "0.861",
    )]);
    let seller = Seller::after(&[entered_event(), exchange("USD", "2026-11-20", "0.861")]);
    let on = |on| seller.exchange_rate(currency("USD"), date(on)).map(|rate| (rate.rate, rate.on));
    let found = Some((Decimal::new(861, 3), date("2026-11-20")));
    assert_eq!([on("2026-11-19"), on("2026-11-20"), on("2026-11-27"), on("2026-11-28")], [None, found, found, None]);
    given::<Seller>([])
        .when(set_exchange("USD", "2026-11-20", "1"))
        .then_rejected(Rejection::Incomplete(vec!["accounting_currency"]));
    for (code, on, rate) in [
        ("EUR", "2026-11-20", "1"),
        ("USD", "2026-11-29", "1"),
        ("USD", "2026-11-20", "0"),
        ("USD", "2026-11-20", "-1"),
    ] {
        let rejected = Seller::after(&[entered_event()]).decide(&set_exchange(code, on, rate));
        assert!(matches!(rejected, Err(Rejection::InvalidRate(_))), "{code} {on} {rate}");
    }
    let to = patch(serde_json::json!({"accounting_currency": "PLN"})).apply(seller.profile()).unwrap();
    let changed = Event::ProfileChanged { from: Box::new(seller.profile().clone()), to: Box::new(to) };
    let changed = Seller::after(&[entered_event(), exchange("USD", "2026-11-20", "0.861"), changed]);
    assert_eq!(changed.exchange_rates().count(), 0);
}

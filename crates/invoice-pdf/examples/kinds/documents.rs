//! One document of each kind.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use porttask_domain::billing::{
    Currency,
    billing_document::{
        AccountingTax, Address, Buyer, Issued, Line, LineDiscount, LineKind, LineSource, LineTax, Name, Seller,
        TaxGroup, Totals,
    },
    coupon::DiscountId,
    tax::{Category, Taxed, Treatment, totals},
    terms::Meter,
};
use porttask_invoice_pdf::{Countries, DiscountText, Document, Kind, Payment};
use rust_decimal::Decimal;

const STANDARD: (Treatment, Category, i64) = (Treatment::Domestic, Category::Standard, 19);
const REVERSE_CHARGE: (Treatment, Category, i64) = (Treatment::ReverseCharge, Category::ReverseCharge, 0);
const EXPORT: (Treatment, Category, i64) = (Treatment::Export, Category::Export, 0);
const LOGO: &[u8] = include_bytes!("logo.png");

/// Each kind with its name.
pub(crate) fn all() -> Vec<(&'static str, Document)> {
    let mut all = vec![
        ("standard", invoice(STANDARD, vec![base(4900)])),
        ("standard_german", german()),
        ("reverse_charge", reverse_charge()),
        ("export", export()),
        ("destination", destination()),
        ("credit_note", credit_note()),
        ("credit_note_german", language(credit_note(), "de-AT")),
        ("discount", discounted()),
        ("prorated_change", prorated_change()),
        ("two_rates", two_rates()),
        ("overage", overage()),
        ("seats", invoice(STANDARD, vec![base(4900), seats(7, 990)])),
        ("zero_total", zero_total()),
        ("many_lines", many_lines()),
        ("long_names", long_names()),
        ("accounting_currency", accounting_currency()),
        ("jpy", in_currency("JPY", 12_300)),
        ("kwd", in_currency("KWD", 49_125)),
        ("inclusive_prices", inclusive_prices()),
        ("card", Document { payment: card(), ..invoice(STANDARD, vec![base(4900)]) }),
        ("paid_by_card", paid_by_card()),
        ("partly_paid", Document { paid: 2000, ..invoice(STANDARD, vec![base(4900)]) }),
        ("logo", logo()),
        ("damaged_logo", Document { logo: Some(LOGO[..200].to_vec()), ..invoice(STANDARD, vec![base(4900)]) }),
        ("minimal", minimal()),
        ("markup", named("#panic() *bold* $x$ <a> `raw` \\ @ref [=", "_emphasis_ // comment", "Berlin")),
    ];
    all.extend(scripts());
    all
}

fn scripts() -> Vec<(&'static str, Document)> {
    vec![
        ("greek", named("Ναυτιλιακή Εταιρεία Αιγαίου Α.Ε.", "Ακτή Μιαούλη 85", "Πειραιάς")),
        ("cyrillic", named("Черноморски Превози ООД", "ул. Княз Борис I № 12", "Варна")),
        ("arabic", named("شركة الملاحة العربية ش.م.م", "شارع الكورنيش ٤٥", "الإسكندرية")),
        ("chinese", named("上海远洋运输有限公司", "浦东新区世纪大道100号", "上海")),
        ("japanese", named("株式会社東京海運サービス", "港区芝浦三丁目1番21号", "東京都")),
        ("korean", named("부산항만물류 주식회사", "중구 충장대로 9번길 46", "부산")),
        (
            "other_scripts",
            named("נמל חיפה · ท่าเรือ · पत्तन सेवा · Նավահանգիստ · ნავსადგური", "Łódź, Đặng, Şişli", "Þórshöfn"),
        ),
        (
            "uncovered",
            named(
                "தமிழ் Port 🚢 ⚓ ꙮ A\u{301}\u{323}\u{20dd} ا\u{338}\u{20dd} 中\u{338}",
                "\u{202e}gnirts\u{202c} \u{e000}",
                "\u{1f1e9}\u{1f1ea}",
            ),
        ),
    ]
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap_or_else(|_| unreachable!("{code} is a currency"))
}

fn address(street: &str, postcode: &str, city: &str, country: &str) -> Address {
    let street = vec![Name::Open(street.to_owned())];
    Address { street, postcode: postcode.to_owned(), city: city.to_owned(), region: None, country: country.to_owned() }
}

fn seller() -> Seller {
    Seller {
        legal_name: "PortTask GmbH".to_owned(),
        address: address("Am Sandtorkai 27", "20457", "Hamburg", "DE"),
        vat_id: "DE136695976".to_owned(),
        registration_number: Some("HRB 123456, Amtsgericht Hamburg".to_owned()),
        iban: Some("DE02120300000000202051".to_owned()),
        bic: Some("BYLADEM1001".to_owned()),
        email: Some("billing@porttask.example".to_owned()),
        phone: Some("+49 40 1234567".to_owned()),
        logo: None,
        accent_colour: None,
    }
}

fn buyer() -> Buyer {
    Buyer {
        legal_name: Name::Open("Nordic Shipping Services GmbH".to_owned()),
        address: address("Hafenstraße 12", "28195", "Bremen", "DE"),
        is_business: true,
        vat_id: Some("DE811569869".to_owned()),
        purchase_order: None,
        language: "en".to_owned(),
    }
}

fn november() -> (Date, Date) {
    (date(2026, 11, 1), date(2026, 12, 1))
}

fn line(kind: LineKind, quantity: i64, unit_price: i64) -> Line {
    let (from, until) = november();
    Line {
        id: 0,
        kind,
        plan: "Harbour Team".to_owned(),
        version: 3,
        description: String::new(),
        from,
        until,
        days: 30,
        of_days: 30,
        quantity,
        unit_price: unit_price.into(),
        gross: quantity * unit_price,
        discount: 0,
        net: quantity * unit_price,
        discounts: Vec::new(),
        tax: LineTax { category: Category::Standard, rate: Decimal::ZERO, reason: None },
        credits: None,
        sources: vec![LineSource::Event { stream: "sub_01".to_owned(), version: 4 }],
    }
}

fn base(price: i64) -> Line {
    line(LineKind::Base, 1, price)
}

fn seats(seats: i64, price: i64) -> Line {
    line(LineKind::Seats, seats, price)
}

fn invoice(tax: (Treatment, Category, i64), lines: Vec<Line>) -> Document {
    document(tax, lines, currency("EUR"), false)
}

/// A document whose groups and totals follow from its lines.
fn document(
    (treatment, category, rate): (Treatment, Category, i64),
    mut lines: Vec<Line>,
    currency: Currency,
    prices_include_tax: bool,
) -> Document {
    let rate = Decimal::from(rate);
    let reason = match category {
        Category::ReverseCharge => Some("VATEX-EU-AE".to_owned()),
        Category::Export => Some("VATEX-EU-G".to_owned()),
        Category::Standard | Category::Zero | Category::Exempt => None,
    };
    let tax = LineTax { category, rate, reason };
    let taxed: Vec<Taxed> = lines.iter().map(|line| Taxed { amount: line.net, category, rate }).collect();
    let found = totals(&taxed, prices_include_tax).unwrap_or_else(|_| unreachable!("the amounts are small"));
    for ((index, line), net) in lines.iter_mut().enumerate().zip(&found.line_nets) {
        (line.id, line.net) = (u32::try_from(index + 1).unwrap_or(u32::MAX), *net);
        line.tax.clone_from(&tax);
    }
    let groups =
        found.groups.iter().map(|group| TaxGroup { tax: tax.clone(), taxable: group.taxable, amount: group.tax });
    let issued = Issued {
        number: "PT-2026-000417".to_owned(),
        issue_date: date(2026, 11, 1),
        due_date: date(2026, 12, 1),
        currency,
        seller: Box::new(seller()),
        buyer: Box::new(buyer()),
        treatment,
        prices_include_tax,
        lines,
        groups: groups.collect(),
        accounting_tax: None,
        totals: Totals { net: found.net(), tax: found.tax(), total: found.net() + found.tax() },
        rules: 1,
    };
    let countries = Countries { seller: "Germany".to_owned(), buyer: "Germany".to_owned() };
    let (logo, discounts) = (None, BTreeMap::new());
    Document { issued, kind: Kind::Invoice, paid: 0, payment: Payment::Transfer, logo, discounts, countries }
}

fn language(mut document: Document, language: &str) -> Document {
    document.issued.buyer.language = language.to_owned();
    document.countries = Countries { seller: "Deutschland".to_owned(), buyer: "Deutschland".to_owned() };
    document
}

fn german() -> Document {
    let mut document = language(invoice(STANDARD, vec![base(4900), seats(12, 990)]), "de");
    document.issued.buyer.purchase_order = Some("4500012345".to_owned());
    document
}

fn sold_to(mut document: Document, name: &str, address: Address, vat_id: Option<&str>, country: &str) -> Document {
    let buyer = &mut document.issued.buyer;
    buyer.legal_name = Name::Open(name.to_owned());
    (buyer.address, buyer.vat_id) = (address, vat_id.map(str::to_owned));
    country.clone_into(&mut document.countries.buyer);
    document
}

fn reverse_charge() -> Document {
    let document = invoice(REVERSE_CHARGE, vec![base(24_900), seats(4, 990)]);
    let address = address("Havenweg 7", "3011 AA", "Rotterdam", "NL");
    sold_to(document, "Maasvlakte Agency B.V.", address, Some("NL004495445B01"), "Netherlands")
}

fn export() -> Document {
    let mut address = address("Pier 15, The Embarcadero", "94111", "San Francisco", "US");
    address.region = Some("California".to_owned());
    sold_to(invoice(EXPORT, vec![base(24_900)]), "Golden Gate Pilots Inc.", address, None, "United States of America")
}

fn destination() -> Document {
    let document = invoice((Treatment::Destination, Category::Standard, 20), vec![base(4900)]);
    let mut document =
        sold_to(document, "Jeanne Moreau", address("8 quai du Port", "13002", "Marseille", "FR"), None, "France");
    document.issued.buyer.is_business = false;
    document
}

fn credit_note() -> Document {
    let credited = Line { days: 16, quantity: -1, unit_price: 2613.into(), gross: -2613, net: -2613, ..base(4900) };
    let mut document = invoice(STANDARD, vec![credited, seats(-2, 990)]);
    document.kind = Kind::CreditNote {
        invoice_number: "PT-2026-000417".to_owned(),
        invoice_date: date(2026, 11, 1),
        reason: "Subscription ended early by agreement".to_owned(),
    };
    document.issued.number = "PT-CN-2026-000009".to_owned();
    (document.issued.issue_date, document.issued.due_date) = (date(2026, 11, 15), date(2026, 11, 15));
    document
}

fn discounted() -> Document {
    let (spring, welcome) = (DiscountId(uuid(1)), DiscountId(uuid(2)));
    let off = |discount, amount| LineDiscount { discount, amount };
    let mut first = base(10_000);
    (first.discounts, first.discount, first.net) = (vec![off(spring, 2000), off(welcome, 500)], 2500, 7500);
    let mut second = seats(5, 990);
    (second.discounts, second.discount, second.net) = (vec![off(spring, 990)], 990, 3960);
    let mut document = invoice(STANDARD, vec![first, second]);
    let text =
        |name: &str, percent: Option<i64>| DiscountText { name: name.to_owned(), percent: percent.map(Decimal::from) };
    document.discounts = [(spring, text("SPRING20", Some(20))), (welcome, text("WELCOME5", None))].into();
    document
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

fn prorated_change() -> Document {
    let part = |plan: &str, quantity: i64, gross: i64, net: i64| Line {
        plan: plan.to_owned(),
        from: date(2026, 11, 15),
        days: 16,
        quantity,
        unit_price: gross.abs().into(),
        gross,
        discount: gross - net,
        net,
        ..base(0)
    };
    let lines = vec![
        part("Harbour Team", -1, -2613, -2352),
        Line { kind: LineKind::Seats, ..part("Harbour Team", -1, -3696, -3696) },
        part("Harbour Enterprise", 1, 13_280, 11_952),
        Line { kind: LineKind::Seats, ..part("Harbour Enterprise", 1, 3696, 3696) },
    ];
    let mut document = invoice(STANDARD, lines);
    (document.issued.issue_date, document.issued.due_date) = (date(2026, 11, 15), date(2026, 11, 15));
    (document.payment, document.paid) = (card(), document.issued.totals.total);
    document
}

/// A credit keeps the rate of the line that it credits.
fn two_rates() -> Document {
    let mut document = prorated_change();
    let issued = &mut document.issued;
    let rates = [16, 16, 19, 19].map(Decimal::from);
    for (line, rate) in issued.lines.iter_mut().zip(rates) {
        line.tax.rate = rate;
    }
    let taxed =
        issued.lines.iter().map(|line| Taxed { amount: line.net, category: Category::Standard, rate: line.tax.rate });
    let found = totals(&taxed.collect::<Vec<_>>(), false).unwrap_or_else(|_| unreachable!("the amounts are small"));
    issued.groups = found
        .groups
        .iter()
        .map(|group| TaxGroup {
            tax: LineTax { category: group.category, rate: group.rate, reason: None },
            taxable: group.taxable,
            amount: group.tax,
        })
        .collect();
    issued.totals = Totals { net: found.net(), tax: found.tax(), total: found.net() + found.tax() };
    document.paid = issued.totals.total;
    document
}

/// With as little as can be issued.
fn minimal() -> Document {
    let mut document = invoice(EXPORT, vec![Line { of_days: 0, days: 0, until: november().0, ..base(4900) }]);
    document.payment = Payment::None;
    document.countries = Countries::default();
    let seller = &mut document.issued.seller;
    (seller.registration_number, seller.iban, seller.bic, seller.email, seller.phone) = (None, None, None, None, None);
    let buyer = &mut document.issued.buyer;
    (buyer.vat_id, buyer.language) = (None, String::new());
    buyer.address = Address { street: Vec::new(), ..address("", "", "Hong Kong", "HK") };
    document
}

fn overage() -> Document {
    let usage = |meter, count, included| LineSource::Usage {
        meter,
        from: date(2026, 10, 1),
        until: date(2026, 11, 1),
        count,
        included,
        billed: 0,
    };
    let of = |kind, quantity: i64, unit_price: Decimal, gross: i64, source| Line {
        quantity,
        unit_price,
        gross,
        net: gross,
        from: date(2026, 10, 1),
        until: date(2026, 11, 1),
        days: 31,
        of_days: 31,
        sources: vec![source],
        ..line(kind, 1, 0)
    };
    let calls = of(LineKind::Overage, 12_345, Decimal::new(25, 2), 3086, usage(Meter::ApiCalls, 112_345, 100_000));
    let ports = of(LineKind::Overage, 37, 150.into(), 5550, usage(Meter::PortCalls, 537, 500));
    let late = of(LineKind::LateUsage, 2, 150.into(), 300, usage(Meter::PortCalls, 2, 0));
    invoice(STANDARD, vec![base(4900), calls, ports, late])
}

fn zero_total() -> Document {
    let mut free = base(4900);
    (free.discount, free.net) = (4900, 0);
    invoice(STANDARD, vec![free])
}

fn many_lines() -> Document {
    let manual = |number: i64| Line {
        description: format!("On-site training, session {number}"),
        plan: String::new(),
        version: 0,
        ..line(LineKind::Manual, 1 + number % 4, 12_000 + number)
    };
    invoice(STANDARD, (1..=60).map(manual).collect())
}

fn long_names() -> Document {
    let long = "Internationale Gesellschaft für Hafenbetrieb, Schiffsabfertigung, Lotsenvermittlung und maritime Dienstleistungen an Nord- und Ostsee mit beschränkter Haftung & Compagnie Kommanditgesellschaft auf Aktien";
    let mut address = address(
        "Gebäude Z-17, Aufgang B, vierter Stock links, Zimmer 4711, bei der Hafenmeisterei",
        "26382",
        "Wilhelmshaven",
        "DE",
    );
    address.street.push(Name::Open(
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsplatz 128".to_owned(),
    ));
    let manual = Line { description: format!("{long}: {long}"), ..line(LineKind::Manual, 1_234, 9_876_543) };
    let mut document =
        sold_to(invoice(STANDARD, vec![manual, base(4900)]), long, address, Some("DE811569869"), "Germany");
    document.issued.seller.legal_name = long.to_owned();
    document.issued.buyer.purchase_order =
        Some("A-very-long-purchase-order-number-without-any-space-0123456789".to_owned());
    document
}

fn accounting_currency() -> Document {
    let mut document = document(STANDARD, vec![base(5900)], currency("USD"), false);
    document.issued.accounting_tax = Some(AccountingTax {
        currency: currency("EUR"),
        amount: 968,
        rate: Decimal::new(8635, 4),
        on: date(2026, 10, 30),
        source: "European Central Bank".to_owned(),
    });
    document
}

fn in_currency(code: &str, price: i64) -> Document {
    document(STANDARD, vec![base(price)], currency(code), false)
}

fn inclusive_prices() -> Document {
    let mut discounted = base(5900);
    (discounted.discount, discounted.net) = (590, 5310);
    document(STANDARD, vec![discounted, seats(3, 1190)], currency("EUR"), true)
}

fn card() -> Payment {
    Payment::Card { last4: "4242".to_owned() }
}

fn paid_by_card() -> Document {
    let document = invoice(STANDARD, vec![base(4900)]);
    Document { payment: card(), paid: document.issued.totals.total, ..document }
}

fn logo() -> Document {
    let mut document = reverse_charge();
    document.logo = Some(LOGO.to_vec());
    document.issued.seller.accent_colour = Some("#0d6e6e".to_owned());
    document
}

fn named(name: &str, street: &str, city: &str) -> Document {
    let mut document = invoice(STANDARD, vec![base(4900)]);
    document.issued.buyer.legal_name = Name::Open(name.to_owned());
    document.issued.buyer.address = address(street, "12345", city, "DE");
    document
}

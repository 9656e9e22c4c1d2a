use std::collections::BTreeMap;

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::*;
use crate::{Model, Row, Times, Values, model};

/// What a document says: date, country, VAT id, treatment, category, rate, taxable, tax.
struct Document(&'static str, &'static str, Option<&'static str>, &'static str, &'static str, &'static str, i64, i64);

impl Document {
    fn json(&self) -> Json {
        let Self(date, country, vat_id, treatment, category, rate, taxable, tax) = self;
        let address = json!({"street": ["Rua 1"], "postcode": "1100-148", "city": "Lisboa", "country": country});
        json!({
            "number": "PT-2026-000001", "issue_date": date, "due_date": date, "currency": "EUR",
            "seller": {"legal_name": "PortTask GmbH", "vat_id": "DE136695976", "address":
                {"street": ["Kai 1"], "postcode": "20457", "city": "Hamburg", "country": "DE"}},
            "buyer": {"legal_name": "Lusoport Lda.", "address": address, "is_business": true, "vat_id": vat_id,
                "language": "en"},
            "treatment": treatment, "prices_include_tax": false, "lines": [],
            "groups": [{"tax": {"category": category, "rate": rate}, "taxable": taxable, "amount": tax}],
            "totals": {"net": taxable, "tax": tax, "total": taxable + tax}, "rules": 1,
        })
    }
}

fn invoice(document: Json) -> DomainEvent {
    let data = json!({"kind": "manual", "collection": "automatic", "document": document, "dunning": []});
    let event = json!({"type": "invoice.issued.v1", "data": data});
    serde_json::from_value::<invoice::Event>(event).unwrap().into()
}

fn credit(document: Json) -> DomainEvent {
    let note = json!({"invoice": "inv_00000000000000000000000021", "invoice_number": "PT-2026-000001",
        "reason": "cancellation", "document": document, "to_due": 0, "to_balance": 0, "to_refund": 0});
    let event = json!({"type": "credit_note.issued.v1", "data": {"note": note}});
    serde_json::from_value::<credit_note::Event>(event).unwrap().into()
}

fn voided() -> DomainEvent {
    let data = json!({"credit_note": "crn_00000000000000000000000022", "reason": "sent twice", "to_balance": 0});
    let event = json!({"type": "invoice.voided.v1", "data": data});
    serde_json::from_value::<invoice::Event>(event).unwrap().into()
}

fn recorded(event: DomainEvent) -> Recorded {
    Recorded {
        offset: 1,
        id: Uuid::from_u128(1),
        organization: OrganizationId(Uuid::from_u128(7)),
        subject: Uuid::from_u128(9),
        version: 1,
        event_type: String::new(),
        times: Times::new(Timestamp::UNIX_EPOCH, None),
        event,
        actor: Actor::System,
        impersonator: None,
        session: None,
        request_id: None,
    }
}

/// Folds events in batches of a size, as the engines do.
fn folded<M: ReadModel>(events: &[DomainEvent], size: usize) -> Vec<M::Row> {
    let model: Box<dyn Model> = model::<M>();
    let mut stored: BTreeMap<Key, Values> = BTreeMap::new();
    for batch in events.chunks(size) {
        let batch: Vec<Recorded> = batch.iter().cloned().map(recorded).collect();
        let keys = model.keys(&batch);
        let known = keys.iter().flatten().filter_map(|key| stored.get(key).cloned()).collect::<Vec<_>>();
        let mut rows: Vec<Values> = known;
        rows.sort();
        rows.dedup();
        for (key, row) in model.fold(rows, &batch, keys).ok().unwrap() {
            match row {
                Some(row) => _ = stored.insert(key, row),
                None => _ = stored.remove(&key),
            }
        }
    }
    stored.into_values().map(|values| M::Row::from_values(values).unwrap()).collect()
}

/// The rows, which are the same in batches of any size: those of a rebuild equal those of single events.
fn rows<M: ReadModel<Row: std::fmt::Debug>>(events: &[DomainEvent]) -> Vec<M::Row> {
    let all = folded::<M>(events, events.len());
    for size in 1..events.len() {
        assert_eq!(folded::<M>(events, size), all, "in batches of {size}");
    }
    all
}

const DOMESTIC: Document = Document("2026-11-30", "DE", None, "domestic", "S", "19", 10_000, 1_900);
const REVERSE: Document = Document("2026-11-27", "PT", Some("PT501964843"), "reverse_charge", "AE", "0", 20_000, 0);

fn credited(of: &Document, date: &'static str, taxable: i64, tax: i64) -> DomainEvent {
    credit(Document(date, of.1, of.2, of.3, of.4, of.5, taxable, tax).json())
}

#[test]
fn sales_are_summed_by_month_and_tax_and_credited_in_the_month_of_the_credit_note() {
    let monaco = Document("2026-11-01", "MC", None, "origin_below_threshold", "S", "19.0", 1_000, 190);
    let events = [
        invoice(DOMESTIC.json()),
        invoice(DOMESTIC.json()),
        invoice(monaco.json()),
        credited(&DOMESTIC, "2026-12-01", 4_000, 760),
        invoice(REVERSE.json()),
    ];
    let found: Vec<_> = rows::<TaxReport>(&events)
        .into_iter()
        .map(|it| (it.month, it.country, it.treatment, it.rate, it.documents, it.taxable, it.tax))
        .collect();
    let row = |month: &str, country: &str, treatment, rate: &str, documents, taxable, tax| {
        (month.to_owned(), country.to_owned(), treatment, rate.to_owned(), documents, taxable, tax)
    };
    assert_eq!(
        found,
        [
            row("2026-11", "DE", Treatment::Domestic, "19", 2, 20_000, 3_800),
            row("2026-11", "FR", Treatment::OriginBelowThreshold, "19", 1, 1_000, 190),
            row("2026-11", "PT", Treatment::ReverseCharge, "0", 1, 20_000, 0),
            row("2026-12", "DE", Treatment::Domestic, "19", 1, -4_000, -760),
        ]
    );
}

#[test]
fn a_void_invoice_is_undone_by_its_credit_note_alone() {
    let events = [invoice(DOMESTIC.json()), credited(&DOMESTIC, "2026-11-30", 10_000, 1_900), voided()];
    let found = rows::<TaxReport>(&events);
    assert_eq!((found.len(), found[0].documents, found[0].taxable, found[0].tax), (1, 2, 0, 0));
    assert_eq!(rows::<TaxReport>(&[voided()]), []);
}

#[test]
fn the_tax_in_the_accounting_currency_is_what_the_documents_state() {
    let mut document = DOMESTIC.json();
    document["currency"] = json!("USD");
    document["groups"] = json!([
        {"tax": {"category": "S", "rate": "19"}, "taxable": 1_000, "amount": 190},
        {"tax": {"category": "S", "rate": "7"}, "taxable": 1_000, "amount": 70},
    ]);
    let stated = json!({"currency": "EUR", "amount": 225, "rate": "0.8612", "on": "2026-11-27", "source": "ECB"});
    document["accounting_tax"] = stated;
    let mut credited = document.clone();
    credited["groups"] = json!([{"tax": {"category": "S", "rate": "7"}, "taxable": 500, "amount": 35}]);
    credited["accounting_tax"]["amount"] = json!(30);
    let found = rows::<TaxReport>(&[invoice(document), credit(credited)]);
    let amounts: Vec<_> = found
        .iter()
        .map(|it| (it.rate.as_str(), it.accounting_currency.as_str(), it.accounting_taxable, it.accounting_tax))
        .collect();
    assert_eq!(amounts, [("19", "EUR", 861, 164), ("7", "EUR", 861 - 431, 61 - 30)]);
}

#[test]
fn the_list_has_sales_under_reverse_charge_by_vat_id() {
    let events = [
        invoice(REVERSE.json()),
        invoice(DOMESTIC.json()),
        invoice(REVERSE.json()),
        credited(&REVERSE, "2026-11-27", 5_000, 0),
        credited(&REVERSE, "2026-12-02", 1_000, 0),
    ];
    let found: Vec<_> =
        rows::<EcSales>(&events).into_iter().map(|it| (it.issue_date, it.vat_id, it.country, it.net)).collect();
    let row = |date: &str, net| (date.to_owned(), "PT501964843".to_owned(), "PT".to_owned(), net);
    assert_eq!(found, [row("2026-11-27", 35_000), row("2026-12-02", -1_000)]);
}

#[test]
fn the_vat_id_of_an_erased_buyer_is_not_listed_and_the_sums_stay() {
    let mut document = REVERSE.json();
    let erased = json!({"$personal": {"of": "per_00000000000000000000000007", "sealing": "identity", "value": null}});
    document["buyer"]["legal_name"] = erased;
    let found = rows::<EcSales>(&[invoice(document.clone()), invoice(REVERSE.json())]);
    let listed: Vec<_> = found.iter().map(|it| (it.vat_id.as_str(), it.net)).collect();
    assert_eq!(listed, [("", 20_000), ("PT501964843", 20_000)]);
    assert_eq!(rows::<TaxReport>(&[invoice(document), invoice(REVERSE.json())])[0].taxable, 40_000);
}

//! Who issues documents on the platform, and to whom they are addressed.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    billing::{
        BillingAccount, Seller,
        billing_account::{
            self, AccountPatch, BillingAccountId, BillingContactId, BuyerId, Check, CheckResult, CheckSource,
            NewPersons,
        },
        seller::{self, ProfilePatch, Scheme, SellerId},
        vat_id::VatId,
    },
    identity::Capability,
};
use porttask_runtime::execute::{Executor, Request, Tx};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{build::Error, plan::Plan};

/// The places of organizations: time zone, country, postcode, city, street, VAT ids.
type Place = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const PLACES: [Place; 8] = [
    ("Europe/Berlin", "DE", "20457", "Hamburg", "Am Sandtorkai", &["DE536716401", "DE136695976"]),
    ("Europe/Amsterdam", "NL", "3011 AA", "Rotterdam", "Boompjes", &["NL228660865B61", "NL004495445B01"]),
    ("Europe/Lisbon", "PT", "1100-148", "Lisboa", "Rua da Alfândega", &["PT501964843", "PT121971724"]),
    ("Europe/Athens", "GR", "185 35", "Piraeus", "Akti Miaouli", &["EL094259216", "EL827068660"]),
    ("Asia/Singapore", "SG", "119963", "Singapore", "Harbour Drive", &[]),
    ("America/New_York", "US", "11231", "Brooklyn", "Van Brunt Street", &[]),
    ("Europe/Copenhagen", "DK", "2150", "Nordhavn", "Sundkaj", &["DK13585628", "DK78120509"]),
    ("Asia/Dubai", "AE", "", "Dubai", "Al Mina Road", &[]),
];

/// Enters who issues documents.
pub(crate) async fn make_seller(executor: &Arc<Executor>, at: Timestamp) -> Result<(), Error> {
    let profile = json!({
        "legal_name": "PortTask GmbH",
        "address": {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"},
        "vat_id": "DE123456788",
        "registration_number": "HRB 123456, Amtsgericht Hamburg",
        "iban": "DE02120300000000202051",
        "bic": "BYLADEM1001",
        "email": "billing@porttask.example",
        "phone": "+49 40 123456",
        "zone": "Europe/Berlin",
        "accounting_currency": "EUR",
        "accent_colour": "#0b5d7a",
    });
    let profile: ProfilePatch = serde_json::from_value(profile).map_err(|error| Error::Text(error.to_string()))?;
    let actor = Actor::User { organization: OrganizationId::PLATFORM, user: UserId::FIRST_SUPER_ADMIN };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(actor));
    let vat_id = VatId::new("DE123456788").map_err(|error| Error::Text(error.to_string()))?;
    let from = at.to_zoned(jiff::tz::TimeZone::UTC).date();
    // Buyers in other countries without a VAT id pay the tax of theirs.
    let oss = seller::Command::AddRegistration { country: "DE".to_owned(), scheme: Scheme::Oss, vat_id, from };
    let commands = &[seller::Command::ChangeProfile(Box::new(profile)), oss];
    let work = move |tx: Tx| async move { tx.decide_all::<Seller>(SellerId::PLATFORM, commands).await };
    executor.transact(&request, work).await?;
    Ok(())
}

/// Enters to whom the documents of an organization are addressed.
pub(crate) async fn make_account(
    executor: &Arc<Executor>,
    plan: &Plan,
    request: &Request,
    at: Timestamp,
) -> Result<(), Error> {
    let (organization, people) = (plan.organization, plan.people.len());
    let (_, country, postcode, city, street, ids) =
        PLACES.iter().find(|(zone, ..)| *zone == plan.zone).unwrap_or(&PLACES[0]);
    // Some are too small to have one.
    let has_none = ids.is_empty() || plan.number % 16 == 2 || plan.number % 16 == 11;
    let vat_id = if has_none { None } else { Some(ids[people % ids.len()]) };
    let mut body = json!({
        "legal_name": plan.name,
        "address": {
            "street": [format!("{street} {}", 1 + people % 90)], "postcode": postcode, "city": city, "country": country,
        },
        "vat_id": vat_id,
    });
    if let Some(first) = plan.people.first() {
        body["contact"] = json!({"name": first.name, "email": first.email});
    }
    if people % 3 == 0 {
        body["purchase_order"] = Value::from(format!("PO-{}", 4_000 + people));
    }
    let patch: AccountPatch = serde_json::from_value(body).map_err(|error| Error::Text(error.to_string()))?;
    let of = |number: u128| Uuid::from_u128(organization.0.as_u128() ^ number);
    let new = NewPersons { buyer: BuyerId(of(1)), contact: BillingContactId(of(2)) };
    let mut commands = vec![billing_account::Command::Change { patch: Box::new(patch), new }];
    commands.extend(vat_id.and_then(|id| VatId::new(id).ok()).map(|id| {
        billing_account::Command::RecordCheck(Check {
            tax_id: id.to_string(),
            result: CheckResult::Valid,
            source: CheckSource::Checksum,
            reference: None,
            checked_at: at,
        })
    }));
    let (account, commands) = (BillingAccountId::from(organization), &commands);
    let request = request.clone().needing(Capability::Settle);
    let work = move |tx: Tx| async move { tx.decide_all::<BillingAccount>(account, commands).await };
    executor.transact(&request, work).await?;
    Ok(())
}

//! The profile of a billing account: who is billed, as far as documents show it.

use serde::{Deserialize, Serialize};

use super::{BillingContactId, BuyerId};
use crate::{
    PersonName, Personal,
    billing::{
        billing_document::{Address, Name, parsed_name},
        postal::AddressPatch,
        vat_id::VatId,
    },
    identity::{
        EmailAddress,
        settings::{InvalidSetting, KnownLocale},
    },
    merge_patch::{not_null, nullable},
    text,
};

/// The longest number of a purchase order.
const PURCHASE_ORDER_MAX: usize = 100;
/// The language of documents until one is chosen.
const LANGUAGE: &str = "en";

/// The person to whom documents are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The id.
    pub id: BillingContactId,
    /// The full name.
    pub name: Personal,
    /// The email address.
    pub email: Personal,
}

/// Who is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The legal name; of a person, sealed.
    pub legal_name: Option<Name>,
    /// The address; of a person, its street is sealed.
    pub address: Option<Address>,
    /// Whether it is a business.
    pub is_business: bool,
    /// The number of a purchase order, which documents show.
    pub purchase_order: Option<String>,
    /// The language of documents: a BCP 47 tag.
    pub language: String,
    /// To whom documents are sent; if nobody, to the Admins.
    pub contact: Option<Contact>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            legal_name: None,
            address: None,
            is_business: true,
            purchase_order: None,
            language: LANGUAGE.to_owned(),
            contact: None,
        }
    }
}

/// A contact in a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NewBillingContact))]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// The full name.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub name: PersonName,
    /// The email address.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub email: EmailAddress,
}

/// A change of the account: a JSON merge patch (RFC 7396). Null removes a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = BillingAccountPatch, example = json!({
    "legal_name": "Lusoport Lda.",
    "address": {"street": ["Rua da Alfândega 1"], "postcode": "1100-148", "city": "Lisboa", "country": "PT"},
    "vat_id": "PT501964843",
})))]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// The legal name.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub legal_name: Option<Option<String>>,
    /// The address; of an address, members that are absent keep their value.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<AddressPatch>))]
    pub address: Option<Option<AddressPatch>>,
    /// Whether it is a business. The name and the street of a person are encrypted, and erased after the retention of
    /// invoices.
    #[serde(default, deserialize_with = "not_null")]
    pub is_business: Option<bool>,
    /// The VAT id, with its prefix: of the European Union, GB, XI, CHE or NO. It must belong to the country of the address.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "DE136695976"))]
    pub vat_id: Option<Option<VatId>>,
    /// The number of a purchase order, which documents show.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub purchase_order: Option<Option<String>>,
    /// The language of documents: a BCP 47 tag.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "en"))]
    pub language: Option<KnownLocale>,
    /// To whom documents are sent; null for the Admins.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<NewContact>))]
    pub contact: Option<Option<NewContact>>,
}

/// Ids for what is sealed for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPersons {
    /// Of a buyer who is a person.
    pub buyer: BuyerId,
    /// Of the contact.
    pub contact: BillingContactId,
}

impl AccountPatch {
    /// The changed profile.
    ///
    /// # Errors
    /// If a member is invalid.
    pub fn apply(&self, to: &Profile, new: NewPersons) -> Result<Profile, InvalidSetting> {
        let is_business = self.is_business.unwrap_or(to.is_business);
        let name = |text: String| match (is_business, to.sealed()) {
            (true, _) => Name::Open(text),
            (false, Some(sealed)) => Name::Personal(sealed.replaced(text)),
            (false, None) => Name::Personal(Personal::identity(new.buyer, text)),
        };
        // What was entered before is sealed or opened if that changed; what was erased is gone.
        let kept = |known: &Name| match known {
            Name::Open(_) if is_business => Some(known.clone()),
            Name::Personal(_) if !is_business => Some(known.clone()),
            Name::Open(_) | Name::Personal(_) => known.text().map(|text| name(text.to_owned())),
        };
        let address = to.address.as_ref().and_then(|address| {
            let street = address.street.iter().map(kept).collect::<Option<Vec<_>>>()?;
            Some(Address { street, ..address.clone() })
        });
        let legal_name = match &self.legal_name {
            Some(value) => value.as_deref().map(parsed_name).transpose().map(|text| text.map(name)),
            None => Ok(to.legal_name.as_ref().and_then(kept)),
        };
        let purchase_order = match &self.purchase_order {
            Some(value) => value.as_deref().map(|value| text::line(value, PURCHASE_ORDER_MAX)).transpose(),
            None => Ok(to.purchase_order.clone()),
        };
        let invalid = |field| move |error: crate::InvalidText| InvalidSetting::new(field, error.to_string());
        Ok(Profile {
            legal_name: legal_name.map_err(invalid("legal_name"))?,
            address: match &self.address {
                Some(patch) => patch.as_ref().map(|patch| patch.apply(address.as_ref(), &name)).transpose()?,
                None => address,
            },
            is_business,
            purchase_order: purchase_order.map_err(invalid("purchase_order"))?,
            language: self.language.as_ref().map_or(to.language.clone(), |language| language.0.to_string()),
            contact: match &self.contact {
                Some(contact) => contact.as_ref().map(|contact| contact.named(to.contact.as_ref(), new.contact)),
                None => to.contact.clone(),
            },
        })
    }
}

impl Profile {
    /// A value that is sealed for the buyer.
    fn sealed(&self) -> Option<&Personal> {
        let names = self.legal_name.iter().chain(self.address.iter().flat_map(|address| &address.street));
        names.into_iter().find_map(|name| match name {
            Name::Personal(sealed) => Some(sealed),
            Name::Open(_) => None,
        })
    }
}

impl NewContact {
    /// The contact: the known one if nothing changed.
    fn named(&self, known: Option<&Contact>, id: BillingContactId) -> Contact {
        let (name, email) = (self.name.as_str(), self.email.to_string());
        let is_same = |it: &&Contact| it.name.value() == Some(name) && it.email.value() == Some(email.as_str());
        known.filter(is_same).cloned().unwrap_or_else(|| Contact {
            id,
            name: Personal::identity(id, name),
            email: Personal::identity(id, email.as_str()),
        })
    }
}

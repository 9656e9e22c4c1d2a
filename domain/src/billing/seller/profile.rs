//! The profile of the seller: what documents say about who issues them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    InvalidText,
    billing::{
        Currency,
        billing_document::{Address, Name, parsed_name},
        postal::AddressPatch,
        vat_id::VatId,
    },
    identity::{
        EmailAddress,
        settings::{Colour, InvalidSetting, ZoneName},
    },
    merge_patch::{not_null, nullable},
    text,
};

/// The prefix of numbers until one is chosen.
const PREFIX: &str = "PT";
/// After how many days an invoice is due, until that is chosen.
const PAYMENT_DAYS: u16 = 14;
/// The most days until an invoice is due.
pub const PAYMENT_DAYS_MAX: u16 = 180;

/// The logo on documents: bytes in the blob store of the platform's own organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logo {
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// `image/png` or `image/svg+xml`.
    pub content_type: String,
}

/// The profile of the seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The legal name.
    pub legal_name: Option<String>,
    /// The address.
    pub address: Option<Address>,
    /// The VAT id, in canonical form.
    pub vat_id: Option<String>,
    /// The number in a commercial register.
    pub registration_number: Option<String>,
    /// The IBAN of the account for transfers, without spaces.
    pub iban: Option<String>,
    /// The BIC of its bank.
    pub bic: Option<String>,
    /// The email address for questions.
    pub email: Option<String>,
    /// The phone number for questions.
    pub phone: Option<String>,
    /// The time zone in which documents are dated.
    pub zone: Option<String>,
    /// The currency in which taxes are accounted for.
    pub accounting_currency: Option<Currency>,
    /// The logo.
    pub logo: Option<Logo>,
    /// The colour of headings: `#rrggbb`.
    pub accent_colour: Option<String>,
    /// How numbers of invoices begin; those of credit notes go on with `-CN`.
    pub prefix: String,
    /// After how many days an invoice is due that is paid by transfer.
    pub payment_days: u16,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            legal_name: None,
            address: None,
            vat_id: None,
            registration_number: None,
            iban: None,
            bic: None,
            email: None,
            phone: None,
            zone: None,
            accounting_currency: None,
            logo: None,
            accent_colour: None,
            prefix: PREFIX.to_owned(),
            payment_days: PAYMENT_DAYS,
        }
    }
}

/// A change of the profile: a JSON merge patch (RFC 7396). Null removes a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SellerPatch, example = json!({
    "legal_name": "PortTask GmbH",
    "address": {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"},
    "vat_id": "DE136695976",
    "zone": "Europe/Berlin",
    "accounting_currency": "EUR",
})))]
#[serde(deny_unknown_fields)]
pub struct ProfilePatch {
    /// The legal name.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub legal_name: Option<Option<String>>,
    /// The address; of an address, members that are absent keep their value.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<AddressPatch>))]
    pub address: Option<Option<AddressPatch>>,
    /// The VAT id, with its prefix.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "DE136695976"))]
    pub vat_id: Option<Option<VatId>>,
    /// The number in a commercial register.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub registration_number: Option<Option<String>>,
    /// The IBAN of the account for transfers.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub iban: Option<Option<Iban>>,
    /// The BIC of its bank.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub bic: Option<Option<Bic>>,
    /// The email address for questions.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub email: Option<Option<EmailAddress>>,
    /// The phone number for questions.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub phone: Option<Option<String>>,
    /// The time zone in which documents are dated: a name of the IANA database.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "Europe/Berlin"))]
    pub zone: Option<String>,
    /// The currency in which taxes are accounted for: ISO 4217. Exchange rates are deleted when it changes.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "EUR"))]
    pub accounting_currency: Option<Currency>,
    /// The colour of headings.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Colour>))]
    pub accent_colour: Option<Option<Colour>>,
    /// How numbers of invoices begin: up to 10 capitals and digits. A new prefix begins a new series.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "PT"))]
    pub prefix: Option<NumberPrefix>,
    /// After how many days an invoice is due that is paid by transfer: at most 180.
    #[serde(default, deserialize_with = "not_null")]
    pub payment_days: Option<u16>,
}

impl ProfilePatch {
    /// The changed profile.
    ///
    /// # Errors
    /// If a member is invalid, or the VAT id belongs to another country than the address.
    pub fn apply(&self, to: &Profile) -> Result<Profile, InvalidSetting> {
        let line = |value: &Option<Option<String>>, current: &Option<String>, field, longest| match value {
            Some(value) => value.as_deref().map(|value| text::line(value, longest)).transpose().map_err(invalid(field)),
            None => Ok(current.clone()),
        };
        let legal_name = self.legal_name.as_ref().map(|name| name.as_deref().map(parsed_name).transpose());
        let address = self
            .address
            .as_ref()
            .map(|address| address.as_ref().map(|address| address.apply(to.address.as_ref(), &Name::Open)).transpose());
        let zone = self.zone.as_deref().map(str::parse::<ZoneName>).transpose().map_err(invalid("zone"))?;
        let changed = Profile {
            legal_name: legal_name.transpose().map_err(invalid("legal_name"))?.unwrap_or(to.legal_name.clone()),
            address: address.transpose()?.unwrap_or(to.address.clone()),
            vat_id: written(&self.vat_id, &to.vat_id),
            registration_number: line(&self.registration_number, &to.registration_number, "registration_number", 100)?,
            iban: written(&self.iban, &to.iban),
            bic: written(&self.bic, &to.bic),
            email: written(&self.email, &to.email),
            phone: line(&self.phone, &to.phone, "phone", 40)?,
            zone: zone.map(|zone| zone.to_string()).or(to.zone.clone()),
            accounting_currency: self.accounting_currency.or(to.accounting_currency),
            logo: to.logo.clone(),
            accent_colour: written(&self.accent_colour, &to.accent_colour),
            prefix: self.prefix.as_ref().map_or(to.prefix.clone(), |prefix| prefix.0.clone()),
            payment_days: self.payment_days.unwrap_or(to.payment_days),
        };
        if changed.payment_days > PAYMENT_DAYS_MAX {
            return Err(InvalidSetting::new("payment_days", format!("must be at most {PAYMENT_DAYS_MAX}")));
        }
        Ok(changed)
    }
}

fn invalid(field: &'static str) -> impl Fn(InvalidText) -> InvalidSetting {
    move |error| InvalidSetting::new(field, error.to_string())
}

/// A changed member as it is stored.
fn written<T: fmt::Display>(value: &Option<Option<T>>, current: &Option<String>) -> Option<String> {
    value.as_ref().map_or_else(|| current.clone(), |value| value.as_ref().map(T::to_string))
}

macro_rules! parsed {
    ($($name:ident),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

parsed!(Iban, Bic, NumberPrefix);

/// The number of a bank account (ISO 13616), without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iban(String);

impl FromStr for Iban {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let invalid = || InvalidText("must be an IBAN such as DE02120300000000202051: check each character".to_owned());
        let number: String = text.chars().filter(|it| *it != ' ').collect::<String>().to_ascii_uppercase();
        let is_number = (15..=34).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && number.bytes().take(2).all(|byte| byte.is_ascii_uppercase());
        let (Some(head), Some(rest), true) = (number.get(..4), number.get(4..), is_number) else {
            return Err(invalid());
        };
        // Letters count as 10 to 35; the remainder by 97 must be 1.
        let digits = rest.chars().chain(head.chars()).filter_map(|it| it.to_digit(36));
        let remainder = digits.fold(0, |sum, digit| if digit > 9 { sum * 100 + digit } else { sum * 10 + digit } % 97);
        if remainder == 1 { Ok(Self(number)) } else { Err(invalid()) }
    }
}

/// The code of a bank (ISO 9362).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bic(String);

impl FromStr for Bic {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let code: String = text.chars().filter(|it| *it != ' ').collect::<String>().to_ascii_uppercase();
        let is_code = [8, 11].contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && code.bytes().skip(4).take(2).all(|byte| byte.is_ascii_uppercase());
        if is_code { Ok(Self(code)) } else { Err(InvalidText("must be a BIC such as BYLADEM1001".to_owned())) }
    }
}

/// How the numbers of a series begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPrefix(String);

impl FromStr for NumberPrefix {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let is_good = (1..=10).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        match is_good {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidText("must have 1 to 10 capitals and digits".to_owned())),
        }
    }
}

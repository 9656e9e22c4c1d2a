//! The seller: the legal entity that issues billing documents. There is one, on the platform.

mod event;
mod profile;
mod rejection;

use std::collections::BTreeMap;

use jiff::{
    ToSpan,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use rust_decimal::Decimal;

pub use self::{
    event::{Event, Registration},
    profile::{Bic, Iban, Logo, NumberPrefix, PAYMENT_DAYS_MAX, Profile, ProfilePatch},
    rejection::Rejection,
};
use super::{
    Currency, billing_document as document,
    country::Country,
    tax::{self, Decision, Treatment, Undecided},
    vat_id::{VatId, country_of},
    vat_rate::{is_member_state, is_regional, standard_rate, tax_country},
};
use crate::{Aggregate, OrganizationId, identity::settings::InvalidSetting};

crate::ids! {
    /// The seller: the same UUID as the platform's own organization.
    SellerId = "slr";
}

impl SellerId {
    /// The only seller.
    pub const PLATFORM: Self = Self(OrganizationId::PLATFORM.0);
}

crate::texts! {
    /// What a registration of the seller is for.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TaxScheme))]
    pub enum Scheme {
        /// For VAT in that country.
        Local = "local",
        /// In the one-stop shop of that country, for sales to consumers of all member states.
        Oss = "oss",
    }
}

/// An exchange rate of the accounting currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRate {
    /// How much of the accounting currency one unit of the other currency is.
    pub rate: Decimal,
    /// Its date.
    pub on: Date,
    /// Who published it.
    pub source: String,
}

/// Commands on the seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Change the profile.
    ChangeProfile(Box<ProfilePatch>),
    /// Change the logo.
    ChangeLogo(Option<Logo>),
    /// Add a registration.
    AddRegistration {
        /// The country.
        country: String,
        /// What it is for.
        scheme: Scheme,
        /// The VAT id under it.
        vat_id: VatId,
        /// The first date on which it holds.
        from: Date,
    },
    /// Remove a registration.
    RemoveRegistration {
        /// The country.
        country: String,
        /// What it is for.
        scheme: Scheme,
    },
    /// Set the standard rate of a country from a date on, over the built-in table.
    SetTaxRate {
        /// The country.
        country: String,
        /// The rate in percent.
        rate: Decimal,
        /// The first date.
        from: Date,
        /// The current date in the seller's zone.
        today: Date,
    },
    /// Set an exchange rate.
    SetExchangeRate {
        /// The date of the rate.
        date: Date,
        /// The other currency.
        currency: Currency,
        /// How much of the accounting currency one unit of it is.
        rate: Decimal,
        /// Who published it.
        source: String,
        /// The current date in the seller's zone.
        today: Date,
    },
}

/// How many days an exchange rate holds if there is no newer one.
const EXCHANGE_RATE_DAYS: i32 = 7;
/// What numbers of credit notes add to the prefix.
const CREDIT_NOTE: &str = "-CN";

/// The state of the seller.
#[derive(Debug, Clone, Default)]
pub struct Seller {
    profile: Profile,
    registrations: BTreeMap<(String, Scheme), Registration>,
    tax_rates: BTreeMap<(String, Date), Decimal>,
    exchange_rates: BTreeMap<(Currency, Date), (Decimal, String)>,
}

impl Seller {
    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it can issue documents.
    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// Which members of the profile are missing for documents.
    pub fn missing(&self) -> Vec<&'static str> {
        let Profile { legal_name, address, vat_id, zone, accounting_currency, .. } = &self.profile;
        let members = [
            ("legal_name", legal_name.is_some()),
            ("address", address.is_some()),
            ("vat_id", vat_id.is_some()),
            ("zone", zone.is_some()),
            ("accounting_currency", accounting_currency.is_some()),
        ];
        members.into_iter().filter(|(_, is_given)| !is_given).map(|(name, _)| name).collect()
    }

    /// The seller of a document that is issued on a date to a buyer of a country: under the VAT id of the registration
    /// that its treatment needs.
    ///
    /// # Errors
    /// If the profile is incomplete.
    pub fn snapshot(&self, on: Date, treatment: Treatment, country: &str) -> Result<document::Seller, Rejection> {
        let profile = self.profile.clone();
        let (Some(legal_name), Some(address), Some(vat_id), true) =
            (profile.legal_name, profile.address, profile.vat_id, self.is_complete())
        else {
            return Err(Rejection::Incomplete(self.missing()));
        };
        let registration = match treatment {
            Treatment::Destination => self.in_force(on).find(|it| it.scheme == Scheme::Oss),
            Treatment::RegisteredAbroad => {
                self.in_force(on).find(|it| it.scheme == Scheme::Local && it.country == tax_country(country))
            }
            Treatment::Domestic | Treatment::ReverseCharge | Treatment::OriginBelowThreshold | Treatment::Export => {
                None
            }
        };
        Ok(document::Seller {
            legal_name,
            address,
            vat_id: registration.map_or(vat_id, |registration| registration.vat_id.clone()),
            registration_number: profile.registration_number,
            iban: profile.iban,
            bic: profile.bic,
            email: profile.email,
            phone: profile.phone,
            logo: profile.logo.map(|logo| logo.sha256),
            accent_colour: profile.accent_colour,
        })
    }

    /// The seller as the rules of tax see it on a date; `None` if it has no address.
    pub fn tax_seller(&self, on: Date) -> Option<tax::Seller> {
        let country = self.profile.address.as_ref()?.country.clone();
        let is_abroad = |it: &&Registration| it.scheme == Scheme::Local && !is_member_state(&it.country);
        let registrations = self.in_force(on).filter(is_abroad).map(|it| it.country.clone()).collect();
        let has_oss = self.in_force(on).any(|it| it.scheme == Scheme::Oss);
        Some(tax::Seller { country, registrations, has_oss })
    }

    /// How a sale is taxed on a date, at the seller's own rates where there are some.
    ///
    /// # Errors
    /// If the VAT id is being checked, or a rate is not known; without an address of the seller, none is.
    pub fn decide_tax(&self, buyer: &tax::Buyer, on: Date) -> Result<Decision, Undecided> {
        let seller = self.tax_seller(on).ok_or(Undecided::NoRate)?;
        tax::decide_with(&seller, buyer, &|country, postcode| self.rate(country, postcode, on))
    }

    /// The standard rate of a place on a date in percent: the one that was set, otherwise the one of the built-in table,
    /// which is always that of a territory with a rate of its own.
    pub fn rate(&self, country: &str, postcode: &str, on: Date) -> Option<Decimal> {
        let country = tax_country(country);
        let built_in = || standard_rate(country, postcode, on);
        if is_regional(country, postcode) {
            return built_in();
        }
        let set = self.tax_rates.range((country.to_owned(), Date::MIN)..=(country.to_owned(), on));
        set.map(|(_, rate)| *rate).next_back().or_else(built_in)
    }

    /// The exchange rate of a currency on a date: the last one of the seven days before it, or of itself.
    pub fn exchange_rate(&self, currency: Currency, on: Date) -> Option<ExchangeRate> {
        let first = on.checked_sub(EXCHANGE_RATE_DAYS.days()).ok()?;
        let rates = self.exchange_rates.range((currency, first)..=(currency, on));
        let last = rates.map(|((_, on), (rate, source))| (*rate, *on, source.clone())).next_back();
        last.map(|(rate, on, source)| ExchangeRate { rate, on, source })
    }

    /// The time zone in which documents are dated.
    pub fn zone(&self) -> Option<TimeZone> {
        TimeZoneDatabase::bundled().get(self.profile.zone.as_deref()?).ok()
    }

    /// The currency in which taxes are accounted for.
    pub fn accounting_currency(&self) -> Option<Currency> {
        self.profile.accounting_currency
    }

    /// How the numbers of invoices begin.
    pub fn invoice_prefix(&self) -> String {
        self.profile.prefix.clone()
    }

    /// How the numbers of credit notes begin.
    pub fn credit_note_prefix(&self) -> String {
        format!("{}{CREDIT_NOTE}", self.profile.prefix)
    }

    /// After how many days an invoice is due that is paid by transfer, unless the organization has other terms.
    pub fn payment_days(&self) -> u16 {
        self.profile.payment_days
    }

    /// The registrations.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values()
    }

    /// The tax rates that were set: country, first date and rate.
    pub fn tax_rates(&self) -> impl Iterator<Item = (&str, Date, Decimal)> {
        self.tax_rates.iter().map(|((country, from), rate)| (country.as_str(), *from, *rate))
    }

    /// The exchange rates: currency and rate, by currency and date.
    pub fn exchange_rates(&self) -> impl Iterator<Item = (Currency, ExchangeRate)> {
        self.exchange_rates.iter().map(|((currency, on), (rate, source))| {
            (*currency, ExchangeRate { rate: *rate, on: *on, source: source.clone() })
        })
    }

    fn in_force(&self, on: Date) -> impl Iterator<Item = &Registration> {
        self.registrations.values().filter(move |it| it.from <= on)
    }

    fn change(&self, to: Profile) -> Result<Vec<Event>, Rejection> {
        if let (Some(id), Some(address)) = (&to.vat_id, &to.address)
            && country_of(id) != tax_country(&address.country)
        {
            return Err(Rejection::CountryMismatch(address.country.clone()));
        }
        let (from, to) = (Box::new(self.profile.clone()), Box::new(to));
        Ok(if from == to { vec![] } else { vec![Event::ProfileChanged { from, to }] })
    }

    fn add(&self, registration: Registration, is_of_country: bool) -> Result<Vec<Event>, Rejection> {
        let known = self.registrations.get(&(registration.country.clone(), registration.scheme));
        if known == Some(&registration) {
            return Ok(vec![]);
        }
        let is_known = is_country(&registration.country)?;
        if registration.scheme == Scheme::Oss && !is_member_state(is_known) {
            return Err(InvalidSetting::new("country", "must be a member state of the European Union").into());
        }
        if !is_of_country {
            return Err(Rejection::CountryMismatch(registration.country));
        }
        match known {
            Some(_) => Err(Rejection::Registered),
            None => Ok(vec![Event::RegistrationAdded(registration)]),
        }
    }
}

fn is_country(code: &str) -> Result<&'static str, InvalidSetting> {
    let country = Country::with(code).map(|country| country.code);
    country.ok_or_else(|| InvalidSetting::new("country", "must be a code of ISO 3166-1 in capitals, such as PT"))
}

impl Aggregate for Seller {
    const CATEGORY: &'static str = "seller";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = SellerId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::ChangeProfile(patch) => self.change(patch.apply(&self.profile)?),
            Command::ChangeLogo(logo) => self.change(Profile { logo: logo.clone(), ..self.profile.clone() }),
            Command::AddRegistration { country, scheme, vat_id, from } => {
                let (country, is_of_country) = (country.clone(), vat_id.is_of(country));
                let vat_id = vat_id.to_string();
                self.add(Registration { country, scheme: *scheme, vat_id, from: *from }, is_of_country)
            }
            Command::RemoveRegistration { country, scheme } => {
                let registration = self.registrations.get(&(country.clone(), *scheme)).cloned();
                Ok(registration.map(Event::RegistrationRemoved).into_iter().collect())
            }
            Command::SetTaxRate { country, rate, from, today } => {
                let rate = rate.normalize();
                if self.tax_rates.get(&(country.clone(), *from)) == Some(&rate) {
                    return Ok(vec![]);
                }
                is_country(country)?;
                match () {
                    () if rate < Decimal::ZERO || rate > Decimal::ONE_HUNDRED || rate.scale() > 3 => {
                        Err(Rejection::InvalidRate("a tax rate must be from 0 to 100 percent, with up to 3 decimals"))
                    }
                    () if from < today => Err(Rejection::RateInThePast),
                    () => Ok(vec![Event::TaxRateSet { country: country.clone(), rate, from: *from }]),
                }
            }
            Command::SetExchangeRate { date, currency, rate, source, today } => {
                let rate = rate.normalize();
                if self.exchange_rates.get(&(*currency, *date)) == Some(&(rate, source.clone())) {
                    return Ok(vec![]);
                }
                let accounting = self.profile.accounting_currency;
                match () {
                    () if accounting.is_none() => Err(Rejection::Incomplete(vec!["accounting_currency"])),
                    () if accounting == Some(*currency) => {
                        Err(Rejection::InvalidRate("the accounting currency has no exchange rate to itself"))
                    }
                    () if date > today => Err(Rejection::InvalidRate("an exchange rate must not be of the future")),
                    () if rate <= Decimal::ZERO || rate >= Decimal::from(1_000_000_000) || rate.scale() > 10 => {
                        Err(Rejection::InvalidRate("an exchange rate must be above 0, with up to 10 decimals"))
                    }
                    () => {
                        let (date, currency, source) = (*date, *currency, source.clone());
                        Ok(vec![Event::ExchangeRateSet { date, currency, rate, source }])
                    }
                }
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::ProfileChanged { from, to } => {
                if from.accounting_currency != to.accounting_currency {
                    self.exchange_rates.clear();
                }
                self.profile.clone_from(to);
            }
            Event::RegistrationAdded(registration) => {
                let key = (registration.country.clone(), registration.scheme);
                self.registrations.insert(key, registration.clone());
            }
            Event::RegistrationRemoved(registration) => {
                self.registrations.remove(&(registration.country.clone(), registration.scheme));
            }
            Event::TaxRateSet { country, rate, from } => {
                self.tax_rates.insert((country.clone(), *from), *rate);
            }
            Event::ExchangeRateSet { date, currency, rate, source } => {
                self.exchange_rates.insert((*currency, *date), (*rate, source.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;

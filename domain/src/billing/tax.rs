//! Tax of documents: once per group of lines with the same category and rate, never per line.

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::TextEnum;

use super::{
    amount::{TooLarge, allocate, rounded},
    vat_rate::{is_member_state, is_outside_vat_area, standard_rate, tax_country},
};

crate::texts! {
    /// The category of a tax, as EN 16931 codes it (BT-151).
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TaxCategory))]
    pub enum Category {
        /// Standard rate.
        Standard = "S",
        /// Zero rated.
        Zero = "Z",
        /// Exempt.
        Exempt = "E",
        /// Reverse charge.
        ReverseCharge = "AE",
        /// Supplied outside the European Union.
        Export = "G",
    }

    /// How a sale is taxed.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TaxTreatment))]
    pub enum Treatment {
        /// In the seller's country.
        Domestic = "domestic",
        /// The buyer accounts for it (articles 44 and 196).
        ReverseCharge = "reverse_charge",
        /// At the buyer's rate, through the one-stop shop (article 58).
        Destination = "destination",
        /// At the seller's rate, below the threshold of article 59c.
        OriginBelowThreshold = "origin_below_threshold",
        /// At the rate of a country outside the European Union in which the seller is registered.
        RegisteredAbroad = "registered_abroad",
        /// Outside the European Union.
        Export = "export",
    }
}

/// A line of a document, before tax or with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taxed {
    /// Its amount.
    pub amount: i64,
    /// Its category.
    pub category: Category,
    /// Its rate in percent.
    pub rate: Decimal,
}

/// The lines of a document with one category and rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The category.
    pub category: Category,
    /// The rate in percent.
    pub rate: Decimal,
    /// The sum of the lines without tax.
    pub taxable: i64,
    /// The tax.
    pub tax: i64,
}

/// The totals of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// The lines without tax.
    pub line_nets: Vec<i64>,
    /// The groups, by category and rate.
    pub groups: Vec<Group>,
}

impl Totals {
    /// The sum without tax.
    pub fn net(&self) -> i64 {
        self.line_nets.iter().sum()
    }

    /// The tax.
    pub fn tax(&self) -> i64 {
        self.groups.iter().map(|group| group.tax).sum()
    }
}

/// The tax of an amount, rounded once.
///
/// # Errors
/// If it is too large.
pub fn tax(taxable: i64, rate: Decimal) -> Result<i64, TooLarge> {
    rounded(Decimal::from(taxable).checked_mul(rate).ok_or(TooLarge)? / Decimal::ONE_HUNDRED)
}

/// An amount that includes the tax, without it.
///
/// # Errors
/// If it is too large.
pub fn without(amount: i64, rate: Decimal) -> Result<i64, TooLarge> {
    let hundred = Decimal::ONE_HUNDRED;
    rounded(Decimal::from(amount).checked_mul(hundred).ok_or(TooLarge)? / (hundred + rate))
}

/// The totals of lines; if their prices include the tax, it is taken out of each group, and what is left is allocated to
/// the group's lines.
///
/// # Errors
/// If an amount is too large.
pub fn totals(lines: &[Taxed], prices_include_tax: bool) -> Result<Totals, TooLarge> {
    let mut found: Vec<(Category, Decimal, Vec<usize>)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match found.iter_mut().find(|(category, rate, _)| (*category, *rate) == (line.category, line.rate)) {
            Some((.., members)) => members.push(index),
            None => found.push((line.category, line.rate, vec![index])),
        }
    }
    found.sort_by(|one, other| (one.0.as_str(), one.1).cmp(&(other.0.as_str(), other.1)));
    let (mut line_nets, mut groups): (Vec<i64>, _) = (lines.iter().map(|line| line.amount).collect(), Vec::new());
    for (category, rate, members) in found {
        let amounts: Vec<i64> = members.iter().map(|index| lines[*index].amount).collect();
        let sum = amounts.iter().try_fold(0_i64, |sum, amount| sum.checked_add(*amount)).ok_or(TooLarge)?;
        if !prices_include_tax {
            groups.push(Group { category, rate, taxable: sum, tax: tax(sum, rate)? });
            continue;
        }
        let share = Decimal::from(sum).checked_mul(rate).ok_or(TooLarge)?;
        let tax = rounded(share / (Decimal::ONE_HUNDRED + rate))?;
        for (index, net) in members.iter().zip(allocate(sum - tax, &amounts)?) {
            line_nets[*index] = net;
        }
        groups.push(Group { category, rate, taxable: sum - tax, tax });
    }
    Ok(Totals { line_nets, groups })
}

/// The tax of a further credit note of a group, so that all of them together credit the tax of what was credited.
///
/// # Errors
/// If an amount is too large.
pub fn credited_tax(credited_before: i64, net: i64, rate: Decimal) -> Result<i64, TooLarge> {
    let after = credited_before.checked_add(net).ok_or(TooLarge)?;
    Ok(tax(after, rate)? - tax(credited_before, rate)?)
}

/// Who sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// The country.
    pub country: String,
    /// Countries outside the European Union in which it is registered.
    pub registrations: Vec<String>,
    /// Whether it takes part in the one-stop shop.
    pub has_oss: bool,
}

/// What is known of a VAT id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VatIdState {
    /// None was given.
    Missing,
    /// It is being checked.
    Pending,
    /// It is valid.
    Valid,
    /// It is not valid.
    Invalid,
}

/// Who buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// The country.
    pub country: String,
    /// The postcode, which decides about territories.
    pub postcode: String,
    /// Whether it is a business.
    pub is_business: bool,
    /// What is known of its VAT id.
    pub vat_id: VatIdState,
}

/// How a sale is taxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The treatment.
    pub treatment: Treatment,
    /// The category of its lines.
    pub category: Category,
    /// Their rate.
    pub rate: Decimal,
    /// Why there is no tax, as VATEX codes it.
    pub reason: Option<&'static str>,
}

/// Why a sale cannot be taxed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The VAT id is still being checked.
    #[error("the VAT id is being checked")]
    Wait,
    /// The rate of the country is not known.
    #[error("the rate of this country is not known")]
    NoRate,
}

/// How a service that is supplied electronically is taxed on a date.
///
/// # Errors
/// If the VAT id is being checked, or a rate is not known.
pub fn decide(seller: &Seller, buyer: &Buyer, on: Date) -> Result<Decision, Undecided> {
    decide_with(seller, buyer, &|country, postcode| standard_rate(country, postcode, on))
}

/// How a service that is supplied electronically is taxed, at the rates of a country and a postcode.
///
/// # Errors
/// If the VAT id is being checked, or a rate is not known.
pub fn decide_with(
    seller: &Seller,
    buyer: &Buyer,
    rates: &dyn Fn(&str, &str) -> Option<Decimal>,
) -> Result<Decision, Undecided> {
    let (home, country) = (tax_country(&seller.country), tax_country(&buyer.country));
    let is_outside = is_outside_vat_area(country, &buyer.postcode);
    let standard = |treatment, country: &str, postcode: &str| {
        let rate = rates(country, postcode).ok_or(Undecided::NoRate)?;
        Ok(Decision { treatment, category: Category::Standard, rate, reason: None })
    };
    let untaxed =
        |treatment, category, reason| Ok(Decision { treatment, category, rate: Decimal::ZERO, reason: Some(reason) });
    if !is_outside && country == home {
        return standard(Treatment::Domestic, country, &buyer.postcode);
    }
    if !is_outside && is_member_state(country) {
        return match (buyer.is_business, buyer.vat_id) {
            (true, VatIdState::Valid) => untaxed(Treatment::ReverseCharge, Category::ReverseCharge, "VATEX-EU-AE"),
            (true, VatIdState::Pending) => Err(Undecided::Wait),
            _ if seller.has_oss => standard(Treatment::Destination, country, &buyer.postcode),
            _ => standard(Treatment::OriginBelowThreshold, home, ""),
        };
    }
    let is_registered = seller.registrations.iter().any(|registered| registered == country);
    // In Great Britain and Norway, a business accounts for the tax itself.
    if !is_outside && is_registered && (country == "CH" || !buyer.is_business) {
        return standard(Treatment::RegisteredAbroad, country, "");
    }
    untaxed(Treatment::Export, Category::Export, "VATEX-EU-G")
}

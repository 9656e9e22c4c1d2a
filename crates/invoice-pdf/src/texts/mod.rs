//! The words of a document, one file per language. Placeholders are names in braces.

mod de;
mod en;

use porttask_domain::billing::{credit_note::CreditReason, terms::Meter};

/// The words of one language.
pub(crate) struct Texts {
    /// BCP 47.
    pub(crate) language: &'static str,
    pub(crate) invoice: &'static str,
    pub(crate) credit_note: &'static str,
    pub(crate) number: &'static str,
    pub(crate) credit_note_number: &'static str,
    pub(crate) issue_date: &'static str,
    pub(crate) due_date: &'static str,
    pub(crate) period: &'static str,
    pub(crate) purchase_order: &'static str,
    pub(crate) your_vat_id: &'static str,
    pub(crate) vat_id: &'static str,
    pub(crate) registration_number: &'static str,
    pub(crate) credited_invoice: &'static str,
    pub(crate) invoice_of: &'static str,
    pub(crate) reason: &'static str,
    /// Why something is credited, in words.
    pub(crate) credited_for: fn(CreditReason) -> &'static str,
    pub(crate) erased: &'static str,

    pub(crate) description: &'static str,
    pub(crate) quantity: &'static str,
    pub(crate) unit_price: &'static str,
    pub(crate) rate: &'static str,
    pub(crate) net_amount: &'static str,

    pub(crate) extra_seats: &'static str,
    pub(crate) overage: &'static str,
    pub(crate) late_usage: &'static str,
    pub(crate) credit: &'static str,
    pub(crate) days: &'static str,
    pub(crate) pieces: &'static str,
    pub(crate) used: &'static str,
    pub(crate) port_calls: &'static str,
    pub(crate) users: &'static str,
    pub(crate) storage: &'static str,
    pub(crate) api_calls: &'static str,
    pub(crate) discount: &'static str,
    pub(crate) percent_off: &'static str,
    pub(crate) discount_included: &'static str,

    pub(crate) net_total: &'static str,
    pub(crate) tax: &'static str,
    pub(crate) tax_on: &'static str,
    pub(crate) total: &'static str,
    pub(crate) paid: &'static str,
    pub(crate) amount_due: &'static str,
    pub(crate) amount_credited: &'static str,
    pub(crate) payable_by: &'static str,
    pub(crate) is_paid: &'static str,
    pub(crate) nothing_due: &'static str,

    pub(crate) reverse_charge: &'static str,
    pub(crate) reverse_charge_note: &'static str,
    pub(crate) export: &'static str,
    pub(crate) export_note: &'static str,
    pub(crate) exempt: &'static str,
    pub(crate) inclusive_note: &'static str,
    pub(crate) tax_in: &'static str,
    pub(crate) exchange: &'static str,

    pub(crate) bank_transfer: &'static str,
    pub(crate) account_holder: &'static str,
    pub(crate) reference: &'static str,
    pub(crate) charged_to_card: &'static str,
    pub(crate) paid_by_card: &'static str,
    pub(crate) credit_note_terms: &'static str,

    pub(crate) electronic_invoice: &'static str,
    pub(crate) electronic_amount: &'static str,
}

impl Texts {
    /// The words of a BCP 47 tag; English if there are none.
    pub(crate) fn of(language: &str) -> &'static Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        [&de::TEXTS, &en::TEXTS].into_iter().find(|it| primary.eq_ignore_ascii_case(it.language)).unwrap_or(&en::TEXTS)
    }

    pub(crate) fn meter(&self, meter: Meter) -> &'static str {
        match meter {
            Meter::PortCalls => self.port_calls,
            Meter::Users => self.users,
            Meter::StorageBytes => self.storage,
            Meter::ApiCalls => self.api_calls,
        }
    }
}

/// A text with its placeholders replaced. Values are not searched for placeholders.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, left)) = after.split_once('}') else { break };
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = left;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_first_part() {
        for (tag, found) in [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("en-GB", "en"), ("pt", "en"), ("", "en")]
        {
            assert_eq!(Texts::of(tag).language, found, "{tag}");
        }
    }

    #[test]
    fn values_are_not_searched_for_placeholders() {
        assert_eq!(fill("{a} of {b}", &[("a", "{b}"), ("b", "2")]), "{b} of 2");
    }
}

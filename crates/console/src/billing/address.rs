//! The inputs of a postal address.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::country::{countries, country_name};
use crate::{api::Problem, form::Fields, ui::field::field};

/// A postal address.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Address {
    street: Vec<Option<String>>,
    postcode: String,
    city: String,
    region: Option<String>,
    country: String,
}

impl Address {
    /// As it is entered: the names of its inputs, and their values.
    pub(super) fn fields(&self) -> [(&'static str, String); 5] {
        let street: Vec<&str> = self.street.iter().flatten().map(String::as_str).collect();
        [
            ("street", street.join("\n")),
            ("postcode", self.postcode.clone()),
            ("city", self.city.clone()),
            ("region", self.region.clone().unwrap_or_default()),
            ("country", self.country.clone()),
        ]
    }

    /// In one line.
    pub(super) fn in_words(&self) -> String {
        let street = self.street.iter().flatten().cloned();
        let place = format!("{} {}", self.postcode, self.city).trim().to_owned();
        let parts = street.chain([place]).chain(self.region.clone()).chain([country_name(&self.country).to_owned()]);
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// The address that was entered; null if it is empty.
pub(super) fn entered(fields: &Fields) -> Value {
    let names = ["street", "postcode", "city", "region", "country"];
    if names.iter().all(|name| fields.text(name).is_empty()) {
        return Value::Null;
    }
    let lines: Vec<&str> = fields.text("street").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    json!({
        "street": lines, "postcode": fields.text("postcode"), "city": fields.text("city"),
        "region": fields.text("region"), "country": fields.text("country"),
    })
}

/// The inputs.
pub(super) fn inputs(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let input = |label: &'static str, name: &'static str| {
        field(label, name).value(fields.text(name)).error(problem, &format!("/address/{name}"))
    };
    html! {
        (input("Street", "street").hint("Street and number, building, post-office box: up to three lines.").area(2))
        div.pair {
            (input("Postcode", "postcode").optional().input("text"))
            (input("City", "city").input("text"))
        }
        div.pair {
            (input("State or province", "region").optional().input("text"))
            (input("Country", "country").select(&countries()))
        }
    }
}

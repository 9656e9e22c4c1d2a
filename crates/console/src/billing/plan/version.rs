//! The version of a plan in a form. What the form does not show is kept from the version before: prices and overage in
//! other currencies.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{FEATURES, Offer, feature};
use crate::{
    api::Problem,
    form::Fields,
    ui::{
        field::{field, id_of, tick},
        icon,
        money::{bytes_of, gigabytes, input, minor},
        sentence,
    },
};

/// The meters, each with the fields of its price beyond the limit, and of the unit of that, and what the unit is of.
const OVERAGE: [(&str, &str, &str, &str); 4] = [
    ("users", "users_overage", "users_unit", "users"),
    ("port_calls", "port_calls_overage", "port_calls_unit", "port calls"),
    ("storage_bytes", "storage_overage", "storage_unit", "GB"),
    ("api_calls", "api_calls_overage", "api_calls_unit", "API calls"),
];
const PRICES: [(&str, &str); 2] = [("month", "month_seat"), ("year", "year_seat")];

/// The fields of a version, as the form has them: its first currency.
pub(super) fn fields_of(offer: &Offer) -> Fields {
    let currency = offer.prices.first().map_or("EUR", |price| price.currency.as_str());
    let of =
        |interval: &str| offer.prices.iter().find(|price| price.interval == interval && price.currency == currency);
    let amount = |it: Option<i64>| it.map(|it| input(it, currency)).unwrap_or_default();
    let number = |it: Option<u64>| it.map(|it| it.to_string()).unwrap_or_default();
    let limits = &offer.limits;
    let mut fields = vec![
        ("currency", currency.to_owned()),
        ("included_seats", offer.included_seats.to_string()),
        ("users", number(limits.users)),
        ("port_calls", number(limits.port_calls)),
        ("storage_gb", limits.storage_bytes.map(gigabytes).unwrap_or_default()),
        ("api_calls", number(limits.api_calls)),
        ("trial_days", offer.trial_days.to_string()),
    ];
    for (interval, seat) in PRICES {
        fields.push((interval, amount(of(interval).map(|it| it.price))));
        fields.push((seat, amount(of(interval).and_then(|it| it.seat_price))));
    }
    for (meter, price, unit, _) in OVERAGE {
        if let Some(it) = offer.overage.iter().find(|it| it.meter == meter && it.currency == currency) {
            fields.push((price, it.price_per_unit.clone()));
            fields.push((unit, if meter == "storage_bytes" { gigabytes(it.unit) } else { it.unit.to_string() }));
        }
    }
    fields.extend(offer.prices_include_tax.then(|| ("prices_include_tax", "true".to_owned())));
    fields.extend(offer.features.iter().map(|feature| ("features", feature.clone())));
    Fields::with(fields)
}

/// The content of a version, as it was entered, with what is kept of the version before, as the API shows it. What is no
/// number is sent as it is, and refused by the API.
pub(super) fn body(fields: &Fields, before: &Value) -> Value {
    let currency = fields.text("currency").to_uppercase();
    let mut body = before.as_object().cloned().unwrap_or_default();
    body.remove("version");
    let entered: Map<String, Value> = [
        ("prices", others_with(&before["prices"], &currency, prices(fields, &currency))),
        ("overage", others_with(&before["overage"], &currency, overage(fields, &currency))),
        ("included_seats", number(fields.text("included_seats"))),
        ("prices_include_tax", fields.has("prices_include_tax").into()),
        ("features", fields.all("features").collect::<Vec<_>>().into()),
        ("trial_days", number(fields.text("trial_days"))),
        (
            "limits",
            json!({
                "users": number(fields.text("users")), "port_calls": number(fields.text("port_calls")),
                "storage_bytes": storage(fields.text("storage_gb")), "api_calls": number(fields.text("api_calls")),
            }),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    body.extend(entered);
    Value::Object(body)
}

fn number(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
    }
}

fn storage(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => bytes_of(text).map_or_else(|| text.into(), Value::from),
    }
}

fn prices(fields: &Fields, currency: &str) -> Vec<Value> {
    let amount = |name: &str| match fields.text(name) {
        "" => Value::Null,
        text => minor(text, currency).map_or_else(|| text.into(), Value::from),
    };
    let price = |(interval, seat): (&str, &str)| json!({ "currency": currency, "interval": interval, "price": amount(interval), "seat_price": amount(seat) });
    PRICES.into_iter().filter(|(interval, _)| !fields.text(interval).is_empty()).map(price).collect()
}

fn overage(fields: &Fields, currency: &str) -> Vec<Value> {
    let is_entered = |names: [&str; 2]| names.into_iter().any(|name| !fields.text(name).is_empty());
    let entered = OVERAGE.into_iter().filter(|(_, price, unit, _)| is_entered([price, unit]));
    let one = |(meter, price, unit, _): (&str, &str, &str, &str)| {
        let unit = fields.text(unit);
        let unit = if meter == "storage_bytes" { storage(unit) } else { number(unit) };
        json!({ "meter": meter, "currency": currency, "unit": unit, "price_per_unit": fields.text(price) })
    };
    entered.map(one).collect()
}

/// What there was in other currencies, in its order, with what is entered in the place of what there was in this one.
fn others_with(before: &Value, currency: &str, entered: Vec<Value>) -> Value {
    let before = before.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_other = |it: &&Value| it["currency"] != currency;
    let (first, rest) = before.split_at(before.iter().take_while(is_other).count());
    first.iter().cloned().chain(entered).chain(rest.iter().filter(is_other).cloned()).collect()
}

/// The inputs of a version, whose members are below a pointer.
pub(super) fn inputs(fields: &Fields, problem: Option<&Problem>, below: &str) -> Markup {
    let at = |name: &str| format!("{below}/{name}");
    let input = |label: &'static str, name: &'static str| field(label, name).value(fields.text(name)).optional();
    html! {
        (field("Currency", "currency").value(fields.text("currency")).hint("What there is in other currencies is kept.").error(problem, &at("currency")).input("text"))
        div.pair {
            (input("Price a month", "month").error(problem, &at("prices")).input("text"))
            (input("Extra seat a month", "month_seat").input("text"))
        }
        div.pair {
            (input("Price a year", "year").input("text"))
            (input("Extra seat a year", "year_seat").input("text"))
        }
        (tick("The prices include tax", "prices_include_tax", fields.has("prices_include_tax"), ""))
        div.pair {
            (field("Included users", "included_seats").value(fields.text("included_seats")).error(problem, &at("included_seats")).input("number"))
            (input("Users", "users").hint("Of a plan without extra seats. Empty: no limit.").error(problem, &at("limits/users")).input("number"))
        }
        div.pair {
            (input("Port calls a month", "port_calls").hint("Empty: no limit.").error(problem, &at("limits/port_calls")).input("number"))
            (input("API calls a month", "api_calls").hint("Empty: no limit.").error(problem, &at("limits/api_calls")).input("number"))
        }
        div.pair {
            (input("Storage in GB", "storage_gb").hint("Empty: no limit.").error(problem, &at("limits/storage_bytes")).input("text"))
            (field("Days of the trial", "trial_days").value(fields.text("trial_days")).error(problem, &at("trial_days")).input("number"))
        }
        fieldset.ticks { legend { "Features" } @for code in FEATURES { label {
            input type="checkbox" name="features" value=(code) checked[fields.all("features").any(|it| it == code)]; " " (feature(code))
        } } }
        (overage_inputs(fields, problem, &at("overage")))
    }
}

fn overage_inputs(fields: &Fields, problem: Option<&Problem>, pointer: &str) -> Markup {
    let error = problem.and_then(|it| it.at(pointer)).map(sentence);
    html! { fieldset.form id=(id_of(pointer)) { legend { b { "Beyond the limits" } }
        p.soft { "With a price, what is used beyond a limit is billed. Without, it is refused." }
        @if let Some(text) = error { span.error { (icon("circle-alert")) span { (text) } } }
        @for (_, price, unit, noun) in OVERAGE {
            @let (label, each) = (format!("Price of more {noun}"), format!("For each … {noun}"));
            div.pair {
                (field(&label, price).value(fields.text(price)).optional().input("text"))
                (field(&each, unit).value(fields.text(unit)).optional().input("text"))
            }
        }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_form_does_not_show_is_kept() {
        let usd = json!({"currency": "USD", "interval": "month", "price": 5_500, "seat_price": null});
        let eur = |price: i64| json!({"currency": "EUR", "interval": "month", "price": price, "seat_price": null});
        let over = |currency: &str, unit: u64| json!({"meter": "storage_bytes", "currency": currency, "unit": unit, "price_per_unit": "0.20"});
        let before = json!({
            "version": 3, "prices": [eur(4_900), usd], "included_seats": 3, "prices_include_tax": true,
            "features": ["sso"], "overage": [over("USD", 1), over("EUR", 500_000_000)], "trial_days": 30,
            "limits": {"users": 5, "port_calls": null, "storage_bytes": 500_000_000, "api_calls": 0},
        });
        let offer: Offer = serde_json::from_value(before.clone()).unwrap();
        let shown = fields_of(&offer);
        let mut same = before.clone();
        same.as_object_mut().unwrap().remove("version");
        assert_eq!(body(&shown, &before), same);
        let dearer = Fields::with(
            shown.pairs().map(|(name, value)| (name, if name == "month" { "59" } else { value }.to_owned())),
        );
        assert_eq!(body(&dearer, &before)["prices"], json!([eur(5_900), usd]));
        let first = body(&shown, &Value::Null);
        assert_eq!((&first["prices"], &first["overage"]), (&json!([eur(4_900)]), &json!([over("EUR", 500_000_000)])));
    }
}

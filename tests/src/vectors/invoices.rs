//! Vectors of invoices and tax.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    TextEnum,
    billing::{
        number::{Series, printed},
        settlement::{Settlement, Target},
        tax::{Buyer, Category, Seller, Taxed, Undecided, VatIdState, credited_tax, decide, tax, totals},
        vat_id::VatId,
        vat_rate::standard_rate,
    },
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Case,
    billing::{Computed, as_json, cases, failed, zone},
};

fn decimal(value: &Value) -> Result<Decimal, String> {
    value.as_str().unwrap_or_default().parse().map_err(failed)
}

fn category(value: &Value) -> Result<Category, String> {
    Category::from_text(value.as_str().unwrap_or_default()).ok_or_else(|| format!("unknown category {value}"))
}

pub(super) fn taxes(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| {
        let members = ["line_nets", "groups", "net", "tax", "total"];
        Value::Object(members.map(|member| (member.to_owned(), case[member].clone())).into_iter().collect())
    };
    cases(file, expected, |case| {
        let line = |line: &Value| {
            let (category, rate) = (category(&line["category"])?, decimal(&line["rate"])?);
            Ok::<_, String>(Taxed { amount: as_json(&line["amount"])?, category, rate })
        };
        let lines = case["lines"].as_array().into_iter().flatten().map(line).collect::<Result<Vec<_>, _>>()?;
        let found = totals(&lines, case["prices"] == "inclusive").map_err(failed)?;
        let group = |group: &porttask_domain::billing::tax::Group| {
            let (category, rate) = (group.category.as_str(), group.rate.to_string());
            json!({"category": category, "rate": rate, "taxable": group.taxable, "tax": group.tax})
        };
        Ok(json!({
            "line_nets": found.line_nets, "groups": found.groups.iter().map(group).collect::<Vec<_>>(),
            "net": found.net(), "tax": found.tax(), "total": found.net() + found.tax(),
        }))
    })
}

pub(super) fn groups(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| {
        let agrees = |group: &Value| group["agrees"].clone();
        case["groups"].as_array().into_iter().flatten().map(agrees).collect()
    };
    cases(file, expected, |case| {
        let agrees = |group: &Value| {
            let (taxable, rate, expected) =
                (decimal(&group["taxable"])?, decimal(&group["rate"])?, decimal(&group["tax"])?);
            let cents = |amount: Decimal| i64::try_from((amount * Decimal::ONE_HUNDRED).trunc()).map_err(failed);
            Ok::<_, String>(json!(tax(cents(taxable)?, rate).map_err(failed)? == cents(expected)?))
        };
        case["groups"].as_array().into_iter().flatten().map(agrees).collect()
    })
}

pub(super) fn credit_notes(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| json!([case["invoice"]["tax"], case["credit_notes"], case["left"]]);
    cases(file, expected, |case| {
        let (rate, net): (_, i64) = (decimal(&case["rate"])?, as_json(&case["invoice"]["net"])?);
        let whole = tax(net, rate).map_err(failed)?;
        let (mut credited, mut taxes, mut notes) = (0, 0, Vec::new());
        for note in case["credit_notes"].as_array().into_iter().flatten() {
            let net: i64 = as_json(&note["net"])?;
            let tax = credited_tax(credited, net, rate).map_err(failed)?;
            notes.push(json!({"net": net, "tax": tax, "total": net + tax}));
            (credited, taxes) = (credited + net, taxes + tax);
        }
        Ok(json!([whole, notes, {"net": net - credited, "tax": whole - taxes}]))
    })
}

pub(super) fn numbers(file: &Value) -> Result<Vec<Case>, String> {
    cases(
        file,
        |case| case["steps"].clone(),
        |case| {
            let (zone, mut series) = (zone(&case["zone"])?, BTreeMap::<String, Series>::new());
            let step = |step: &Value| {
                let mut found = step.clone();
                if step["op"] == "issue" {
                    let (prefix, at): (String, Timestamp) = (as_json(&step["series"])?, as_json(&step["at"])?);
                    let (date, number) = series.entry(prefix.clone()).or_default().next(at, &zone);
                    (found["number"], found["issue_date"]) = (json!(printed(&prefix, date, number)), json!(date));
                } else {
                    found["number"] = Value::Null;
                }
                Ok(found)
            };
            case["steps"].as_array().ok_or("no steps")?.iter().map(step).collect()
        },
    )
}

pub(super) fn settlement(file: &Value) -> Result<Vec<Case>, String> {
    let outcomes = |case: &Value| {
        let outcome = |step: &Value| step.get("refused").or_else(|| step.get("then")).cloned().unwrap_or_default();
        case["steps"].as_array().into_iter().flatten().map(outcome).collect()
    };
    cases(file, outcomes, |case| {
        let mut invoice = Settlement::issued(as_json(&case["total"])?);
        case["steps"].as_array().ok_or("no steps")?.iter().map(|step| settle(&mut invoice, step)).collect()
    })
}

fn settle(invoice: &mut Settlement, step: &Value) -> Computed {
    let (before, amount) = (*invoice, step["amount"].as_i64().unwrap_or_default());
    let done = match step["op"].as_str().unwrap_or_default() {
        "pay" => invoice.pay(amount),
        "grant_balance" => invoice.grant_balance(amount),
        "apply_balance" => invoice.apply_balance(amount),
        "credit" => {
            let to = Target::from_text(step["to"].as_str().unwrap_or_default()).ok_or("unknown target")?;
            invoice.credit(amount, to)
        }
        "void" => invoice.void(),
        "mark_uncollectible" => invoice.mark_uncollectible(),
        "reverse_payment" => invoice.reverse_payment(amount),
        "become_overdue" => {
            invoice.is_overdue = true;
            Ok(())
        }
        other => return Err(format!("unknown step {other}")),
    };
    match done {
        Err(_) if before != *invoice => Err("a refused step changed something".to_owned()),
        Err(refusal) => Ok(json!(refusal.slug())),
        Ok(()) => Ok(json!({
            "state": invoice.state.as_str(), "total": invoice.total, "credited": invoice.credited,
            "from_balance": invoice.from_balance, "paid": invoice.paid, "due": invoice.due(),
            "balance": invoice.balance, "refunded": invoice.refunded,
        })),
    }
}

pub(super) fn vat_ids(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| case["canonical"].clone();
    cases(file, expected, |case| {
        let found = VatId::new(case["input"].as_str().unwrap_or_default());
        Ok(found.map_or(Value::Null, |id| json!(id.as_str())))
    })
}

pub(super) fn vat_rates(file: &Value) -> Result<Vec<Case>, String> {
    cases(
        file,
        |case| case["rate"].clone(),
        |case| {
            let (country, on): (String, Date) = (as_json(&case["country"])?, as_json(&case["on"])?);
            let postcode = case["postcode"].as_str().unwrap_or_default();
            let rate = standard_rate(&country, postcode, on).ok_or("no rate")?;
            Ok(json!(rate.to_string()))
        },
    )
}

pub(super) fn treatments(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| json!([case["treatment"], case["category"], case["rate"], case["reason"]]);
    cases(file, expected, |case| {
        let (seller, buyer) = (&case["seller"], &case["buyer"]);
        let vat_id = match buyer["vat_id_state"].as_str() {
            None => VatIdState::Missing,
            Some("valid") => VatIdState::Valid,
            Some("pending") => VatIdState::Pending,
            Some("invalid") => VatIdState::Invalid,
            Some(other) => return Err(format!("unknown state {other}")),
        };
        let seller = Seller {
            country: as_json(&seller["country"])?,
            registrations: as_json(&seller["registrations"])?,
            has_oss: as_json(&seller["oss"])?,
        };
        let on: Date = as_json(&buyer["on"])?;
        let buyer = Buyer {
            country: as_json(&buyer["country"])?,
            postcode: buyer["postcode"].as_str().unwrap_or_default().to_owned(),
            is_business: as_json(&buyer["business"])?,
            vat_id,
        };
        match decide(&seller, &buyer, on) {
            Ok(found) => {
                let (treatment, category) = (found.treatment.as_str(), found.category.as_str());
                Ok(json!([treatment, category, found.rate.to_string(), found.reason]))
            }
            Err(Undecided::Wait) => Ok(json!(["wait", null, null, null])),
            Err(error) => Err(error.to_string()),
        }
    })
}

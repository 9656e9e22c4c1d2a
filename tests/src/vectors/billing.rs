//! Vectors of billing.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use porttask_domain::{
    TextEnum,
    billing::{
        Currency,
        amount::allocate,
        discount::{self, Discount, Off},
        mrr::{self as revenue, Change},
        period::{self, Interval, Period},
        proration::{Cause, Course, Document, Line, Terms},
        schedule::{self, Due, What},
        usage as metering,
    },
};
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::Case;

pub(super) type Computed = Result<Value, String>;

pub(super) fn failed(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn as_json<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(failed)
}

/// The cases of a file: the name, what is expected, and what is computed.
pub(super) fn cases(
    file: &Value,
    expected: impl Fn(&Value) -> Value,
    compute: impl Fn(&Value) -> Computed,
) -> Result<Vec<Case>, String> {
    let all = file["cases"].as_array().ok_or("no cases")?;
    let case = |(number, case): (usize, &Value)| {
        let name = case["name"].as_str().map_or_else(|| format!("case {}", number + 1), str::to_owned);
        Case { name, expected: expected(case), found: compute(case) }
    };
    Ok(all.iter().enumerate().map(case).collect())
}

pub(super) fn then(case: &Value) -> Value {
    case["then"].clone()
}

pub(super) fn zone(name: &Value) -> Result<TimeZone, String> {
    TimeZone::get(name.as_str().ok_or("no zone")?).map_err(failed)
}

pub(super) fn allocation(file: &Value) -> Result<Vec<Case>, String> {
    #[derive(Deserialize)]
    struct Given {
        total: i64,
        weights: Vec<i64>,
    }
    cases(
        file,
        |case| case["shares"].clone(),
        |case| {
            let Given { total, weights } = as_json(case)?;
            Ok(json!(allocate(total, &weights).map_err(failed)?))
        },
    )
}

pub(super) fn currencies(file: &Value) -> Result<Vec<Case>, String> {
    let currency = |code: &Value| code.as_str().unwrap_or_default().parse::<Currency>().map_err(failed);
    let mut all = cases(
        file,
        |case| json!([case["number"], case["exponent"]]),
        |case| {
            let currency = currency(&case["code"])?;
            Ok(json!([currency.number(), currency.exponent()]))
        },
    )?;
    for case in file["text"].as_array().into_iter().flatten() {
        let computed = || {
            let currency = currency(&case["currency"])?;
            let minor = as_json(&case["minor"])?;
            let decimal = currency.decimal(minor);
            Ok(json!([decimal.to_string(), currency.minor(decimal)]))
        };
        let name = format!("{} {}", case["currency"], case["minor"]);
        all.push(Case { name, expected: json!([case["decimal"], case["minor"]]), found: computed() });
    }
    Ok(all)
}

#[derive(Deserialize)]
struct GivenDiscount {
    id: String,
    percent: Option<String>,
    amount: Option<i64>,
    redeemed_at: Timestamp,
    applies_to: Option<Vec<usize>>,
}

impl GivenDiscount {
    fn discount(self) -> Result<Discount, String> {
        let Self { id, percent, amount, redeemed_at, applies_to } = self;
        let off = match (percent, amount) {
            (Some(percent), None) => Off::Percent(percent.parse::<Decimal>().map_err(failed)?),
            (None, Some(amount)) => Off::Amount(amount),
            _ => return Err("a discount has a percentage or an amount".to_owned()),
        };
        Ok(Discount { id, off, redeemed_at, applies_to })
    }
}

fn given_discounts(value: &Value) -> Result<Vec<Discount>, String> {
    as_json::<Vec<GivenDiscount>>(value)?.into_iter().map(GivenDiscount::discount).collect()
}

pub(super) fn discounts(file: &Value) -> Result<Vec<Case>, String> {
    let expected = |case: &Value| json!({"steps": case["steps"], "net": case["net"], "total": case["total"]});
    cases(file, expected, |case| {
        let (lines, discounts): (Vec<i64>, _) = (as_json(&case["lines"])?, given_discounts(&case["discounts"])?);
        let applied = discount::apply(&lines, &discounts).map_err(failed)?;
        let step = |step: &discount::Step| {
            let per_line: BTreeMap<String, i64> =
                step.per_line.iter().map(|(index, off)| (index.to_string(), *off)).collect();
            json!({"discount": step.discount, "off": step.off, "per_line": per_line})
        };
        let steps: Vec<Value> = applied.steps.iter().map(step).collect();
        Ok(json!({"steps": steps, "net": applied.net, "total": applied.net.iter().sum::<i64>()}))
    })
}

pub(super) fn periods(file: &Value) -> Result<Vec<Case>, String> {
    cases(
        file,
        |case| case["starts"].clone(),
        |case| {
            let (anchor, zone): (Date, _) = (as_json(&case["anchor"])?, zone(&case["zone"])?);
            let interval: Interval = as_json(&case["interval"])?;
            let count = case["starts"].as_array().map_or(1, Vec::len);
            let start = |number: i64| {
                let date = period::start(anchor, interval, number).map_err(failed)?;
                Ok(json!([date, period::first_instant(date, &zone).map_err(failed)?]))
            };
            (0..count as i64).map(start).collect()
        },
    )
}

pub(super) fn schedules(file: &Value) -> Result<Vec<Case>, String> {
    cases(file, then, |case| {
        let zone = zone(&case["zone"])?;
        Ok(match case["kind"].as_str() {
            Some("card") => {
                let all = schedule::automatic_collection(as_json(&case["issued"])?, &zone).map_err(failed)?;
                json!({"schedule": dues(&all)})
            }
            Some("terms") => {
                let (issued, days) = (as_json(&case["issued"])?, as_json(&case["days"])?);
                let (due, all) = schedule::invoice_billing(issued, days, &zone).map_err(failed)?;
                json!({"due": due, "schedule": dues(&all)})
            }
            Some("trial") => {
                let ends_at = as_json::<Timestamp>(&case["created_at"])? + schedule::TRIAL;
                let (until, all) = schedule::trial(ends_at, &zone).map_err(failed)?;
                json!({"trial_ends_at": ends_at, "trial_until": until, "schedule": dues(&all)})
            }
            Some("renewal") => {
                let (end, interval) = (as_json(&case["period_end"])?, as_json(&case["interval"])?);
                json!({"schedule": dues(&schedule::renewal(end, interval, &zone).map_err(failed)?)})
            }
            other => return Err(format!("unknown kind {other:?}")),
        })
    })
}

fn dues(all: &[Due]) -> Vec<Value> {
    let due = |Due { what, at }: &Due| {
        let name = match what {
            What::Charge { .. } => "charge",
            What::Remind => "remind",
            What::RemindRenewal => "remind_renewal",
            What::BecomeReadOnly => "read_only",
            What::EndUnpaid => "end_unpaid",
            What::EndTrial => "end_trial",
            What::EndWithoutPlan => "end_without_plan",
            What::Renew => "renew",
            What::Bill => "bill",
        };
        let at = at.map_or_else(|| json!("on issue"), |at| json!(at));
        match what {
            What::Charge { attempt } => json!({"what": name, "attempt": attempt, "at": at}),
            _ => json!({"what": name, "at": at}),
        }
    };
    all.iter().map(due).collect()
}

pub(super) fn proration(file: &Value) -> Result<Vec<Case>, String> {
    cases(file, then, |case| {
        let given = &case["given"];
        let terms = |plan: &str, seats: u32| {
            let prices = &given["plans"][plan];
            let (price, seat_price) = (as_json(&prices["price"])?, as_json(&prices["seat_price"])?);
            Ok::<_, String>(Terms { plan: plan.to_owned(), price, seat_price, seats })
        };
        let [from, until]: [Date; 2] = as_json(&given["period"])?;
        let start = terms(given["start"]["plan"].as_str().ok_or("no plan")?, as_json(&given["start"]["seats"])?)?;
        let discounts = given_discounts(&given["discounts"])?;
        let (mut course, first) = Course::begin(Period { from, until }, start, discounts).map_err(failed)?;
        let mut documents = vec![first];
        for change in case["changes"].as_array().into_iter().flatten() {
            let on: Date = as_json(&change["on"])?;
            documents.extend(course.reach(on).map_err(failed)?);
            if change["cancel"] == true {
                course.cancel(on, change["now"] == true).map_err(failed)?;
                continue;
            }
            if change["resume"] == true {
                course.resume();
                continue;
            }
            let plan = change["plan"].as_str().unwrap_or(&course.current().plan).to_owned();
            let seats = change.get("seats").map_or(Ok(course.current().seats), as_json)?;
            let now = change["now"].as_bool().unwrap_or_default();
            documents.extend(course.change(on, terms(&plan, seats)?, now).map_err(failed)?);
        }
        documents.extend(course.reach(until).map_err(failed)?);
        let sum: i64 = documents.iter().map(Document::net).sum();
        let documents: Vec<Value> = documents.iter().map(document).collect();
        let mut found = json!({"documents": documents, "sum_net": sum});
        if let Some(pending) = course.pending() {
            let Terms { plan, seats, .. } = &pending.terms;
            let cause = Cause::Downgrade.as_str();
            found["at_period_end"] = json!({"date": pending.effective, "cause": cause, "plan": plan, "seats": seats});
        }
        if let Some(date) = course.canceled_from() {
            found["at_period_end"] = json!({"date": date, "cause": Cause::Cancel.as_str(), "plan": "none", "seats": 0});
        }
        Ok(found)
    })
}

fn document(document: &Document) -> Value {
    let line = |line: &Line| {
        json!({
            "kind": line.kind.as_str(), "plan": line.plan, "sign": if line.is_credit { "credit" } else { "charge" },
            "from": line.from, "until": line.until, "days": line.days, "of_days": line.of_days,
            "gross": line.gross, "discount": line.net - line.gross, "net": line.net,
        })
    };
    let lines: Vec<Value> = document.lines.iter().map(line).collect();
    json!({"effective": document.effective, "cause": document.cause.as_str(), "lines": lines, "net": document.net()})
}

pub(super) fn mrr(file: &Value) -> Result<Vec<Case>, String> {
    #[derive(Deserialize)]
    struct Event {
        on: Date,
        organization: String,
        interval: Interval,
        recurring_net: i64,
    }
    cases(file, then, |case| {
        let events: Vec<Event> = as_json(&case["events"])?;
        let changes: Vec<Change> = events
            .into_iter()
            .map(|Event { on, organization, interval, recurring_net }| Change {
                on,
                organization,
                interval,
                recurring_net,
            })
            .collect();
        let month = |expected: &Value| {
            let month = expected["month"].as_str().ok_or("no month")?;
            let first: Date = format!("{month}-01").parse().map_err(failed)?;
            let all = revenue::movements(first, &changes).map_err(failed)?;
            Ok(json!({
                "month": month, "start": all.start, "new": all.new, "reactivation": all.reactivation,
                "expansion": all.expansion, "contraction": all.contraction, "churn": all.churn, "end": all.end,
                "customers_start": all.customers_start, "customers_new": all.customers_new,
                "customers_reactivated": all.customers_reactivated, "customers_churned": all.customers_churned,
                "arr_end": all.arr_end(), "customer_churn_bp": all.customer_churn().map_err(failed)?,
                "gross_mrr_churn_bp": all.gross_churn().map_err(failed)?,
                "net_revenue_retention_bp": all.net_retention().map_err(failed)?,
            }))
        };
        case["then"].as_array().ok_or("no months")?.iter().map(month).collect()
    })
}

pub(super) fn usage(file: &Value) -> Result<Vec<Case>, String> {
    cases(file, then, |case| match case["kind"].as_str() {
        Some("storage") => storage(case),
        Some("overage") => {
            let price: Decimal = case["price_per_unit"].as_str().unwrap_or_default().parse().map_err(failed)?;
            let (quantity, included, unit) =
                (as_json(&case["quantity"])?, as_json(&case["included"])?, as_json(&case["unit"])?);
            let euro = "EUR".parse().map_err(failed)?;
            let (units, amount) = metering::overage(quantity, included, unit, price, euro).map_err(failed)?;
            Ok(json!({"units": units, "amount": amount}))
        }
        Some("forecast") => {
            let (used, left) = (as_json(&case["used"])?, as_json(&case["seconds_left"])?);
            let days: Vec<i64> = as_json(&case["full_days"])?;
            Ok(json!({"forecast": metering::forecast(used, &days, left).map_err(failed)?}))
        }
        Some("stock_forecast") => {
            let (current, left) = (as_json(&case["current"])?, as_json(&case["days_left"])?);
            let days: Vec<i64> = as_json(&case["daily"])?;
            Ok(json!({"forecast": metering::stock_forecast(current, &days, left).map_err(failed)?}))
        }
        Some("thresholds") => {
            let (limit, mut warned): (Option<u64>, Vec<u64>) = (as_json(&case["limit"])?, Vec::new());
            let step = |step: &Value| {
                let used = as_json(&step["used"])?;
                let warns = metering::warnings(used, limit, &warned);
                warned.extend(&warns);
                Ok(json!({"used": used, "warns": warns}))
            };
            case["then"].as_array().ok_or("no steps")?.iter().map(step).collect()
        }
        Some("api_calls") => {
            let mut days: BTreeMap<String, metering::Counts> = BTreeMap::new();
            let report = |report: &Value| {
                let (run, day) = (report["node_run"].as_str().unwrap_or_default(), report["day"].to_string());
                let total = days.entry(day).or_default().report(run, as_json(&report["absolute"])?);
                let mut found = report.clone();
                found["total"] = json!(total);
                Ok(found)
            };
            case["then"].as_array().ok_or("no reports")?.iter().map(report).collect()
        }
        other => Err(format!("unknown kind {other:?}")),
    })
}

fn storage(case: &Value) -> Computed {
    #[derive(Deserialize)]
    struct Given {
        from: Timestamp,
        until: Timestamp,
        bytes_at_start: i64,
        changes: Vec<GivenChange>,
    }
    #[derive(Deserialize)]
    struct GivenChange {
        at: Timestamp,
        bytes: i64,
    }
    let Given { from, until, bytes_at_start, changes } = as_json(case)?;
    let changes: Vec<(Timestamp, i64)> = changes.into_iter().map(|GivenChange { at, bytes }| (at, bytes)).collect();
    let stock = metering::stock((from, until), bytes_at_start, &changes).map_err(failed)?;
    Ok(json!({
        "byte_seconds": stock.byte_seconds.to_string(), "seconds": stock.seconds, "average_bytes": stock.average,
        "peak_bytes": stock.peak, "bytes_at_end": stock.end,
    }))
}

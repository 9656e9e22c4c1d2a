//! Coupons, for staff.

use axum::{Router, http::Method, response::Response, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::subscription::{Discount, discount_body, discount_inputs};
use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::{Fields, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing},
        time, words,
    },
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route(URL, get(list))
        .route("/admin/coupons/export", get(export))
        .route("/admin/coupons/new", get(new_form).post(create))
        .route("/admin/coupons/{coupon}/retire", get(retire_form).post(retire))
}

const URL: &str = "/admin/coupons";
const API: &str = "/v1/platform/billing/coupons";
const TABS: [(&str, &str); 3] = [("", "All"), ("false", "Redeemable"), ("true", "Retired")];

#[derive(Debug, Deserialize)]
struct Coupon {
    id: String,
    code: String,
    name: String,
    discount: Option<Discount>,
    redemption: Redemption,
    redemptions: u64,
    retired: bool,
}

#[derive(Debug, Deserialize)]
struct Redemption {
    redeem_until: Option<Timestamp>,
    max_redemptions: Option<u32>,
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["retired", "q", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Coupon>().await?;
    let add = ui::sheet_link("/admin/coupons/new", "btn main-act", "plus", "New coupon");
    let listing = Listing {
        name: "Coupons",
        tabs: Some(("retired", &TABS)),
        search: Some("Code or name"),
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Coupon", "name", ""),
            Column("Discount", "", "only-wide"),
            Column("Redeemed", "", "sum only-wide"),
            Column("Until", "", "only-wide"),
            Column("", "", "end act"),
        ],
        nothing: ui::empty("flag", "No coupon yet", "Organizations redeem coupons for a discount.", add.clone()),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } (add) };
    let content = html! {
        (ui::head("Coupons", "Codes that organizations redeem for a discount.", actions))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it)))
    };
    Ok(visit.page("Coupons", &[("Administration", "/admin/organizations"), ("Coupons", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["retired", "q", "sort"])).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "coupons.csv"))
}

fn row(visit: &Visit, it: &Coupon) -> Markup {
    let off = it.discount.as_ref().map(Discount::in_words).unwrap_or_default();
    html! { tr id=(it.id) {
        td { b { (it.code) } br; small.soft { (it.name) } span.only-narrow { br; (off) } }
        td.only-wide { (off) }
        td.sum.only-wide { (it.redemptions) @if let Some(most) = it.redemption.max_redemptions { " of " (most) } }
        td.fit.soft.only-wide { (time::maybe(&visit.frame, it.redemption.redeem_until, "no end")) }
        td.end.act { @if it.retired { (words::badge("bad dot", "Retired")) }
            @else { (ui::sheet_link(&format!("{URL}/{}/retire", it.id), "btn edge", "x", "Retire…")) } }
    } }
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    Ok(form_page(&visit, &Fields::default(), None))
}

fn form_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let of = |name: &str| fields.text(name).to_owned();
    let sheet = ui::sheet(
        "New coupon",
        html! { "Each organization can redeem it once." },
        ui::sheet_form(
            &visit.frame,
            "/admin/coupons/new",
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    div.pair {
                        (field("Code", "code").value(fields.text("code")).hint("Such as WELCOME10.").error(problem, "/code").input("text"))
                        (field("Name", "name").value(fields.text("name")).error(problem, "/name").input("text"))
                    }
                    (discount_inputs(of, problem, "/discount"))
                    div.pair {
                        (field("Last day", "redeem_until").value(fields.text("redeem_until")).optional().error(problem, "/redemption/redeem_until").input("date"))
                        (field("How often on the whole platform", "max_redemptions").value(fields.text("max_redemptions")).optional().error(problem, "/redemption/max_redemptions").input("number"))
                    }
                }
                footer {
                    a.btn.edge href=(URL) data-close { "Cancel" }
                    button.btn.main-act type="submit" name="step" value="confirm" { (icon("check")) "Create coupon" }
                }
            },
        ),
    );
    visit.page_with(problem, "New coupon", &[("Coupons", URL), ("New coupon", "")], sheet)
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let of = |name: &str| fields.text(name).to_owned();
    let mut body = json!({ "code": of("code"), "name": of("name"), "discount": discount_body(of) });
    if !of("max_redemptions").is_empty() {
        let most = of("max_redemptions");
        body["redemption"]["max_redemptions"] = most.parse::<u32>().map_or_else(|_| most.into(), Value::from);
    }
    if !of("redeem_until").is_empty() {
        let day = of("redeem_until");
        // Until the end of the day that was entered.
        let next = day.parse::<jiff::civil::Date>().ok().and_then(|day| day.tomorrow().ok());
        body["redemption"]["redeem_until"] = next.map_or(day, |next| next.to_string()).into();
    }
    match visit.client.post(API).key(fields.key()).json(&body).send::<Value>().await {
        Ok(_) => {
            let text = format!("The coupon {} is created.", fields.text("code"));
            Ok(visit.done(URL, &Message { text, ..Message::default() }))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => Ok(form_page(&visit, &fields, Some(&problem))),
    }
}

async fn retirement<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let path = format!("{API}/{}", visit.param("coupon"));
    let coupon = visit.client.get(path.clone()).send::<Coupon>().await?.body;
    Ok(Action {
        title: format!("Retire {}", coupon.code),
        lead: html! { "It is accepted no longer. Discounts that were redeemed go on." },
        button: "Retire",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{path}/retire"),
        resource: path,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: URL.to_owned(),
        done: format!("{} is retired.", coupon.code),
        crumbs: vec![("Coupons".to_owned(), URL.to_owned())],
    })
}

async fn retire_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    retirement(&visit).await?.show(&visit).await
}

async fn retire(visit: Visit, fields: Fields) -> Answered {
    retirement(&visit).await?.submit(&visit, &fields).await
}

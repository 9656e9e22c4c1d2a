//! General: who an organization is, and when it works.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{Hours, Organization};
use crate::{
    action::{conflict, outdated},
    api::Problem,
    form::{Fields, VERSION},
    identity::me::LOCALES,
    ui::{
        self,
        field::{field, id_of},
        time, words,
    },
    visit::{Answered, Message, Visit},
};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const BRANDING: [&str; 4] = ["display_name", "logo", "primary_colour", "secondary_colour"];

/// The intervals of a day as they are entered: `08:00-12:00, 13:00-17:00`.
fn intervals(hours: Option<&Vec<Hours>>) -> String {
    let hours = hours.into_iter().flatten().map(|it| format!("{}-{}", it.opens, it.closes));
    hours.collect::<Vec<_>>().join(", ")
}

/// What was entered for a day: intervals, or null if it is closed.
fn day_of(text: &str) -> Value {
    let intervals = text.split([',', ';']).map(str::trim).filter(|it| !it.is_empty());
    let interval = |text: &str| {
        let (opens, closes) = text.split_once(['-', '–']).unwrap_or((text, ""));
        json!({ "opens": opens.trim(), "closes": closes.trim() })
    };
    match intervals.map(interval).collect::<Vec<_>>() {
        intervals if intervals.is_empty() => Value::Null,
        intervals => intervals.into(),
    }
}

/// The settings as the fields of their form.
fn fields_of(organization: &Organization) -> Fields {
    let Organization { name, locale, branding, business_hours, .. } = organization.clone();
    let text = Option::unwrap_or_default;
    let own = [
        ("name", name),
        ("locale", locale),
        ("display_name", text(branding.display_name)),
        ("logo", text(branding.logo)),
        ("primary_colour", text(branding.primary_colour)),
        ("secondary_colour", text(branding.secondary_colour)),
        ("time_zone", business_hours.time_zone),
    ];
    Fields::with(own.into_iter().chain(DAYS.map(|day| (day, intervals(business_hours.days.get(day))))))
}

pub(super) async fn general(visit: Visit) -> Answered {
    let answer = visit.get("").send::<Organization>().await?;
    let fields = fields_of(&answer.body);
    Ok(general_page(&visit, &answer.body, &fields, answer.etag.as_deref().unwrap_or_default(), &html! {}, None))
}

fn general_page(
    visit: &Visit,
    now: &Organization,
    fields: &Fields,
    version: &str,
    note: &Markup,
    problem: Option<&Problem>,
) -> Response {
    let may_write = visit.may("organization:write");
    let input = |label: &'static str, name: &'static str, pointer: &str| {
        field(label, name).value(fields.text(name)).error(problem, pointer)
    };
    let locale = fields.text("locale");
    let known = LOCALES.iter().skip(1).copied();
    let languages: Vec<(&str, &str)> = match LOCALES.iter().any(|(code, _)| *code == locale) {
        true => known.collect(),
        false => known.chain([(locale, locale)]).collect(),
    };
    let day_names: Vec<String> = DAYS.iter().map(|day| words::words(day)).collect();
    let content = html! {
        (ui::head("General", "Who you are here, and when you work.", html! {}))
        div.grid.wide {
            section.card { (ui::form(&visit.frame, &visit.url("/general"), html! {
                input type="hidden" name=(VERSION) value=(version);
                fieldset.in.form disabled[!may_write] {
                    legend.hide { "Settings of the organization" }
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (note)
                    (input("Name", "name", "/name").input("text"))
                    (input("Language of emails", "locale", "/locale").hint("For users who have not chosen one.").select(&languages))
                    h2 { "Branding" }
                    (input("Display name", "display_name", "/branding/display_name").optional().hint("Shown instead of the name.").input("text"))
                    (input("Logo", "logo", "/branding/logo").optional().hint("An https address.").input("url"))
                    div.pair {
                        (input("Primary colour", "primary_colour", "/branding/primary_colour").optional().hint("#rrggbb").input("text"))
                        (input("Secondary colour", "secondary_colour", "/branding/secondary_colour").optional().hint("#rrggbb").input("text"))
                    }
                    h2 { "Business hours" }
                    (input("Time zone", "time_zone", "/business_hours/time_zone").hint("Such as Europe/Lisbon.").input("text"))
                    p.soft id=(id_of("/business_hours/days")) { "Intervals such as 08:00-12:00, 13:00-17:00. One may end on the next day, as 22:00-06:00. Empty: closed." }
                    @for (day, name) in DAYS.iter().zip(&day_names) {
                        (field(name, day).value(fields.text(day)).optional().error(problem, &format!("/business_hours/days/{day}")).input("text"))
                    }
                    @if may_write { div.row { button.btn.main-act type="submit" name="step" value="confirm" { "Save" } } }
                }
            })) }
            div.form {
                section.card { header { h2 { "Organization" } (words::status(&now.status)) } dl.facts {
                    dt { "Domain" } dd { (now.domain) }
                    dt { "Plan" } dd { (now.plan.as_deref().map_or_else(|| "none".to_owned(), words::words)) }
                    @if let Some(end) = now.trial_ends_at { dt { "Trial ends" } dd { (time::instant(&visit.frame, end)) } }
                    dt { "Created" } dd { (time::instant(&visit.frame, now.created_at)) }
                    dt { "Id" } dd { (ui::id(&now.id)) }
                } }
                (branding_preview(fields))
            }
        }
    };
    visit.page_with(problem, "General", &[("Settings", &visit.url("/general")), ("General", "")], content)
}

/// How the name and the colours look, drawn without inline styles.
fn branding_preview(fields: &Fields) -> Markup {
    let is_colour =
        |text: &str| text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|it| it.is_ascii_hexdigit());
    let colours =
        ["primary_colour", "secondary_colour"].map(|name| fields.text(name)).into_iter().filter(|it| is_colour(it));
    let name =
        [fields.text("display_name"), fields.text("name")].into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    html! { section.card { header { h2 { "Preview" } } div.in.form {
        b { (name) }
        div.row { @for colour in colours { svg width="64" height="28" role="img" aria-label=(colour) { rect width="64" height="28" rx="6" fill=(colour) {} } } }
    } } }
}

pub(super) async fn save(visit: Visit, fields: Fields) -> Answered {
    let now = visit.get("").send::<Organization>().await?;
    let optional = |name: &str| match fields.text(name) {
        "" => Value::Null,
        text => text.into(),
    };
    let branding: Map<String, Value> = BRANDING.into_iter().map(|name| (name.to_owned(), optional(name))).collect();
    let days: Map<String, Value> = DAYS.into_iter().map(|day| (day.to_owned(), day_of(fields.text(day)))).collect();
    let body = json!({
        "name": fields.text("name"), "locale": fields.text("locale"), "branding": branding,
        "business_hours": { "time_zone": fields.text("time_zone"), "days": days },
    });
    match visit.client.patch(visit.path("")).version(fields.version()).json(&body).send::<Value>().await {
        Ok(_) => Ok(visit.done(&visit.url("/general"), &Message { text: "Saved.".to_owned(), ..Message::default() })),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => {
            let note = conflict(&visit, &problem, "Save");
            let version = now.etag.as_deref().unwrap_or_default();
            Ok(outdated(general_page(&visit, &now.body, &fields, version, &note, None)))
        }
        Err(problem) => Ok(general_page(&visit, &now.body, &fields, fields.version(), &html! {}, Some(&problem))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_several_intervals_or_is_closed() {
        assert_eq!(
            day_of("08:00-12:00, 13:00 – 17:00"),
            json!([{"opens": "08:00", "closes": "12:00"}, {"opens": "13:00", "closes": "17:00"}])
        );
        assert_eq!(day_of(" "), Value::Null);
        let hours = vec![Hours { opens: "22:00".to_owned(), closes: "06:00".to_owned() }];
        assert_eq!(intervals(Some(&hours)), "22:00-06:00");
    }
}

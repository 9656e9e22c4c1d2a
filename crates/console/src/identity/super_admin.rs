//! Super admins: who belongs to the platform's staff.

use axum::{Router, http::Method, routing::get};
use maud::html;
use serde_json::json;

use super::user::User;
use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{
        self,
        field::field,
        list::{Asked, Column, Listing},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/admin/super-admins", get(list))
        .route("/admin/super-admins/promote", get(promote_form).post(promote))
        .route("/admin/super-admins/{user}/demote", get(demote_form).post(demote))
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/platform/super-admins").query(asked.pick(&["q", "role", "sort", "cursor"]));
    let found = call.query([("limit", "50")]).page::<User>().await?;
    let may_write = visit.may("super_admins:write");
    let listing = Listing {
        name: "Super admins",
        tabs: None,
        search: Some("Name or email address"),
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Person", "name", ""),
            Column("Role", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last sign-in", "", "only-wide"),
            Column("", "", "end"),
        ],
        nothing: html! {},
        panel: None,
    };
    let row = |user: &User| {
        html! { tr id=(user.id) {
            td { div.who { (ui::face(user.name(), "")) span { b { (user.name()) } small { (user.email.as_deref().unwrap_or_default()) } span.only-narrow { (words::role(&user.role)) } } } }
            td.fit.only-wide { (words::role(&user.role)) }
            td.fit.only-wide { (words::status(&user.status)) }
            td.fit.soft.only-wide { (time::maybe(&visit.frame, user.last_signed_in_at, "never")) }
            td.end { @if may_write && user.id != visit.frame.me.id { (ui::sheet_link(&format!("/admin/super-admins/{}/demote", user.id), "btn edge", "user-x", "Demote…")) } }
        } }
    };
    let content = html! {
        (ui::head("Super admins", "Who administers the platform, and may act in every organization.", html! {
            @if may_write { (ui::sheet_link("/admin/super-admins/promote", "btn main-act", "user-plus", "Promote a user")) }
        }))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Super admins", &[("Administration", "/admin/organizations"), ("Super admins", "")], content))
}

fn promotion<'a>(fields: Option<&Fields>) -> Action<'a> {
    let text = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let (organization, user) = (text("organization"), text("user"));
    Action {
        title: "Promote a user".to_owned(),
        lead: html! { "They get an account of the platform with the same address, and an invitation for it." },
        button: "Promote",
        is_dangerous: true,
        method: Method::POST,
        path: "/v1/platform/super-admins".to_owned(),
        resource: String::new(),
        body: json!({ "organization": organization, "user": user }),
        inputs: Inputs::new(move |problem| {
            html! {
                (field("Organization", "organization").value(&organization).hint("Its domain, such as acme.example, or its id.").error(problem, "/organization").input("text"))
                (field("User", "user").value(&user).hint("The id or the email address of the user there.").error(problem, "/user").input("text"))
            }
        }),
        is_previewed: false,
        typed: None,
        back: "/admin/super-admins".to_owned(),
        done: "The user is promoted, and invited to the platform.".to_owned(),
        crumbs: vec![("Super admins".to_owned(), "/admin/super-admins".to_owned())],
    }
}

async fn promote_form(visit: Visit) -> Answered {
    visit.require("super_admins:write")?;
    promotion(None).show(&visit).await
}

async fn promote(visit: Visit, fields: Fields) -> Answered {
    promotion(Some(&fields)).submit(&visit, &fields).await
}

async fn demotion<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let id = visit.param("user");
    let path = format!("/v1/organizations/current/users/{id}");
    let user = visit.client.get(path.clone()).send::<User>().await?.body;
    Ok(Action {
        title: format!("Demote {}", user.name()),
        lead: html! { "They lose their access to the platform at once. Their accounts in organizations stay." },
        button: "Demote",
        is_dangerous: true,
        method: Method::POST,
        path: format!("/v1/platform/super-admins/{id}/demote"),
        resource: path,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: "/admin/super-admins".to_owned(),
        done: format!("{} is no longer a super admin.", user.name()),
        crumbs: vec![("Super admins".to_owned(), "/admin/super-admins".to_owned())],
    })
}

async fn demote_form(visit: Visit) -> Answered {
    visit.require("super_admins:write")?;
    demotion(&visit).await?.show(&visit).await
}

async fn demote(visit: Visit, fields: Fields) -> Answered {
    demotion(&visit).await?.submit(&visit, &fields).await
}

//! Help: keyboard shortcuts, and where the documentation is.

use axum::{Router, routing::get};
use maud::html;

use crate::{
    Console, ui,
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/help", get(help))
}

const KEYS: [(&str, &str); 6] = [
    ("Ctrl K or ⌘ K", "Go to a page, or to a pasted id"),
    ("/", "Search the list"),
    ("Enter", "Open what has the focus"),
    ("Esc", "Close a dialog, a menu or a panel"),
    ("g u, g a, g o", "Users, audit log, organizations"),
    ("?", "This page"),
];

async fn help(visit: Visit) -> Answered {
    let content = html! {
        (ui::head("Help", "", html! { a.btn.edge href="/docs/" { "API documentation" } }))
        section.card { header { h2 { "Keyboard" } }
            table.table { caption.hide { "Keyboard shortcuts" }
                thead { tr { th scope="col" { "Keys" } th scope="col" { "What they do" } } }
                tbody { @for (keys, text) in KEYS { tr { td.fit { kbd { (keys) } } td { (text) } } } } }
            p.in.need-js { label { input #letters type="checkbox" data-letters; " Shortcuts of single letters" } }
        }
    };
    Ok(visit.page("Help", &[("Help", "")], content))
}

//! Words and badges for the codes of the API.

use maud::{Markup, html};

/// The roles that can be given in an organization, with what they are for.
pub(crate) const ROLES: [(&str, &str, &str); 4] = [
    ("admin", "Admin", "Manages users, billing, integrations and settings."),
    ("agent", "Agent", "Handles port calls, service orders, vendors and documents."),
    ("read_only", "Read-only", "Sees everything operational, changes nothing."),
    ("auditor", "Auditor", "Reads users, settings and the audit log, changes nothing."),
];

/// The permission groups, with what they cover.
pub(crate) const GROUPS: [(&str, &str, &str); 4] = [
    ("administration", "Administration", "Users, roles, settings, integrations and the audit log."),
    ("invoices", "Invoices", "Subscription, invoices and payment."),
    ("reports", "Reports", "Usage and reports."),
    ("tickets", "Tickets", "Support tickets and billing inquiries."),
];

/// A code as words: `read_only` becomes "Read only".
pub(crate) fn words(code: &str) -> String {
    let text = code.replace(['_', '-'], " ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// The name of a role.
pub(crate) fn role_name(code: &str) -> String {
    let known = ROLES.iter().find(|(role, _, _)| *role == code).map(|(_, name, _)| (*name).to_owned());
    known.unwrap_or_else(|| words(code))
}

/// A badge: its word, and a tone that repeats it.
pub(crate) fn badge(tone: &str, text: &str) -> Markup {
    html! { span class=(format!("tag {tone}")) { (text) } }
}

pub(crate) fn role(code: &str) -> Markup {
    let tone = match code {
        "admin" => "violet",
        "agent" => "info",
        "auditor" | "platform_auditor" => "warn",
        "super_admin" => "bad",
        _ => "",
    };
    badge(tone, &role_name(code))
}

/// The status of a user, an organization, a port call, a vendor, a job, a task or an email.
pub(crate) fn status(code: &str) -> Markup {
    let tone = match code {
        "active" | "trialing" | "done" | "open" | "ok" | "current" | "running" | "confirmed" | "alongside"
        | "accepted" | "completed" | "succeeded" | "paid" => "ok dot",
        "arrived" | "in_progress" | "processing" => "info dot",
        "invited" | "suspended" | "waiting" | "queued" | "deferred" | "behind" | "pending" | "scheduled" | "silent"
        | "planned" | "read_only" | "assigned" | "past_due" | "draft" | "action_required" | "unknown" => "warn dot",
        "deactivated" | "failed" | "dead" | "dead_lettered" | "revoked" | "ended" | "locked" | "canceled"
        | "declined" | "reversed" | "uncollectible" => "bad dot",
        _ => "dot",
    };
    badge(tone, &words(code))
}

/// What a permission allows, such as `users:write`.
pub(crate) fn right(code: &str) -> String {
    let (resource, action) = code.split_once(':').unwrap_or((code, ""));
    let verb = match action {
        "read" => "read",
        "write" => "manage",
        "own" => "manage one's own",
        "impersonate" => "impersonate",
        "search" => "search",
        _ => action,
    };
    format!("{verb} {}", resource.replace('_', " ").replace("api ", "API "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_words() {
        assert_eq!(words("dead_lettered"), "Dead lettered");
        assert_eq!(role_name("read_only"), "Read-only");
        assert_eq!(role_name("super_admin"), "Super admin");
        assert_eq!(right("api_keys:write"), "manage API keys");
    }
}

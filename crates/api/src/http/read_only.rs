//! What organizations can do while their subscription is read-only: read, export, be billed, get support, care for one's
//! own account, and take access or data away. What grows or works is refused.

use axum::http::Method;

/// The operations that change something and are allowed nevertheless, below `/v1/organizations/{org}`; `*` stands for
/// everything below.
const ALLOWED: [(&str, &str); 21] = [
    ("POST", "/audit-log/export"),
    ("POST", "/billing/*"),
    ("PATCH", "/billing/*"),
    ("POST", "/tickets"),
    ("POST", "/tickets/*"),
    ("POST", "/suspend"),
    ("POST", "/reactivate"),
    ("POST", "/deactivate"),
    ("POST", "/api-keys/{key}/revoke"),
    ("DELETE", "/documents/{document}"),
    ("DELETE", "/port-calls/{port_call}"),
    ("POST", "/port-calls/{port_call}/cancel"),
    ("POST", "/service-orders/{service_order}/cancel"),
    ("DELETE", "/users/{user}"),
    // What does more than to narrow rights is refused in its unit of work.
    ("PATCH", "/users/{user}"),
    ("POST", "/users/{user}/deactivate"),
    ("POST", "/users/{user}/impersonate"),
    ("POST", "/users/{user}/reset-password"),
    ("POST", "/users/{user}/revoke-invitation"),
    ("DELETE", "/users/{user}/*"),
    ("POST", "/users/{user}/unlock"),
];

/// Whether an operation is refused while the subscription of its organization is read-only.
pub(crate) fn is_refused(method: &Method, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/v1/organizations/{org}") else { return false };
    let matches = |allowed: &str| match allowed.strip_suffix('*') {
        Some(start) => rest.starts_with(start),
        None => rest == allowed,
    };
    *method != Method::GET && !ALLOWED.iter().any(|(allowed, path)| method == *allowed && matches(path))
}

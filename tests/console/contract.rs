//! The console and the API: what pages read exists in its document, and every operation is reachable or known to be not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    access::{PAGES, PUBLIC, SETTINGS, sources},
    openapi::{SNAPSHOT, operations},
};

/// The operations by name, with a page that uses each of them.
const REACHED: [(&str, &str); 136] = [
    ("cancel_address_change", "/address-change-cancellation"),
    ("confirm_address", "/address-change"),
    ("accept_invitation", "/invitation"),
    ("inspect_link", "/invitation"),
    ("set_up", "/setup"),
    ("sign_in", "/sign-in"),
    ("request_password_reset", "/forgot-password"),
    ("complete_password_reset", "/password-reset"),
    ("get_me", "/me"),
    ("change_me", "/me"),
    ("change_my_address", "/me/address"),
    ("change_password", "/me/password"),
    ("get_my_permissions", "/me"),
    ("list_my_sessions", "/me"),
    ("revoke_my_sessions", "/me/sessions/end"),
    ("revoke_my_session", "/me"),
    ("get_current_session", "/me"),
    ("sign_out", "/me"),
    ("stream_positions", "/users"),
    ("get_subscription", "/billing"),
    ("list_plans_on_offer", "/billing/change"),
    ("preview_subscription_change", "/billing/change"),
    ("change_subscription", "/billing/change"),
    ("cancel_subscription", "/billing/cancel"),
    ("resume_subscription", "/billing/resume"),
    ("withdraw_subscription_change", "/billing/withdraw-change"),
    ("redeem_coupon", "/billing/redeem"),
    ("list_payment_methods", "/billing/payment-methods"),
    ("add_payment_method", "/billing/payment-methods/new"),
    ("make_payment_method_default", "/billing/payment-methods/{method}/make-default"),
    ("remove_payment_method", "/billing/payment-methods/{method}/remove"),
    ("list_payments", "/billing/payments"),
    ("get_payment", "/billing/payments/{payment}/reverse"),
    ("confirm_payment", "/billing/payments/{payment}/confirm"),
    ("simulate_payment_confirmation", "/billing/payments/{payment}/confirm"),
    ("list_invoices", "/billing/invoices"),
    ("get_invoice", "/billing/invoices/{invoice}"),
    ("get_invoice_pdf", "/billing/invoices/{invoice}/pdf"),
    ("get_invoice_xml", "/billing/invoices/{invoice}/xml"),
    ("get_invoice_archive", "/billing/invoices/archive?from=2000-01-01&until=2999-01-01"),
    ("recalculate_invoice", "/billing/invoices/{invoice}/recalculation"),
    ("pay_invoice", "/billing/invoices/{invoice}/pay"),
    ("list_credit_notes", "/billing/credit-notes"),
    ("get_credit_note", "/billing/credit-notes/{note}"),
    ("get_credit_note_pdf", "/billing/credit-notes/{note}/pdf"),
    ("get_credit_note_xml", "/billing/credit-notes/{note}/xml"),
    ("get_billing_account", "/billing/account"),
    ("change_billing_account", "/billing/account"),
    ("check_vat_id", "/billing/account/check-tax-id"),
    ("request_invoice_billing", "/billing/account/request-invoice-billing"),
    ("list_licences", "/billing/licences"),
    ("get_licence", "/billing/licences/{licence}"),
    ("remove_licence_activation", "/billing/licences/{licence}/activations/{activation}/remove"),
    ("get_usage", "/usage"),
    ("get_usage_history", "/usage"),
    ("get_usage_days", "/usage/export"),
    ("get_top_usage", "/usage/export?report=users"),
    ("list_organizations", "/admin/organizations"),
    ("create_organization", "/admin/organizations/new"),
    ("get_organization", "/general"),
    ("change_organization", "/general"),
    ("deactivate_organization", "/admin/organizations/{org}/deactivate"),
    ("reactivate_organization", "/admin/organizations/{org}/reactivate"),
    ("suspend_organization", "/admin/organizations/{org}/suspend"),
    ("change_invitation_quota", "/admin/organizations/{org}/invitation-quota"),
    ("list_api_keys", "/integrations"),
    ("create_api_key", "/integrations/new"),
    ("get_api_key", "/integrations/{key}/rotate"),
    ("adopt_api_key", "/integrations/{key}/adopt"),
    ("revoke_api_key", "/integrations/{key}/revoke"),
    ("rotate_api_key", "/integrations/{key}/rotate"),
    ("list_audit_log", "/audit-log"),
    ("export_audit_log", "/audit-log/export"),
    ("list_jobs", "/users/import"),
    ("get_job", "/users/import/{job}"),
    ("get_job_report", "/users/import/{job}/report"),
    ("list_users", "/users"),
    ("invite_user", "/users/invite"),
    ("import_users", "/users/import"),
    ("invite_users", "/users/invite-several"),
    ("get_user", "/users/{user}"),
    ("remove_user", "/users/{invited}/remove"),
    ("change_user", "/users/{user}/role"),
    ("deactivate_user", "/users/{user}/deactivate"),
    ("impersonate_user", "/users/{user}/impersonate"),
    ("send_invitation", "/users/{invited}/invite"),
    ("reactivate_user", "/users/{user}/reactivate"),
    ("reset_password", "/users/{user}/reset-password"),
    ("revoke_invitation", "/users/{invited}/revoke-invitation"),
    ("list_sessions", "/users/{user}"),
    ("revoke_sessions", "/users/{user}/sessions/end"),
    ("revoke_session", "/users/{user}"),
    ("unlock_user", "/users/{user}/unlock"),
    ("list_ports", "/operations/port-calls/new"),
    ("list_port_calls", "/operations/port-calls"),
    ("list_port_call_agents", "/operations/port-calls"),
    ("create_port_call", "/operations/port-calls/new"),
    ("import_port_calls", "/operations/port-calls/import"),
    ("get_port_call", "/operations/port-calls/{call}"),
    ("change_port_call", "/operations/port-calls/{call}/edit"),
    ("delete_port_call", "/operations/port-calls/{call}/delete"),
    ("change_port_call_status", "/operations/port-calls/{call}/status"),
    ("revert_port_call_status", "/operations/port-calls/{call}/revert-status"),
    ("cancel_port_call", "/operations/port-calls/{call}/cancel"),
    ("reopen_port_call", "/operations/port-calls/{call}/reopen"),
    ("list_service_orders", "/operations/service-orders"),
    ("create_service_order", "/operations/port-calls/{call}/order"),
    ("get_service_order", "/operations/service-orders/{order}"),
    ("change_service_order", "/operations/service-orders/{order}/edit"),
    ("assign_service_order", "/operations/service-orders/{order}/assign"),
    ("ask_vendor_again", "/operations/service-orders/{order}/ask-again"),
    ("answer_service_order", "/operations/service-orders/{order}/answer"),
    ("start_service_order", "/operations/service-orders/{order}/start"),
    ("cancel_service_order", "/operations/service-orders/{order}/cancel"),
    ("respond_as_vendor", "/vendor-response"),
    ("list_vendors", "/operations/vendors"),
    ("create_vendor", "/operations/vendors/new"),
    ("get_vendor", "/operations/vendors/{vendor}"),
    ("change_vendor", "/operations/vendors/{vendor}"),
    ("archive_vendor", "/operations/vendors/{vendor}/archive"),
    ("restore_vendor", "/operations/vendors/{vendor}/restore"),
    ("list_documents", "/operations/documents"),
    ("upload_document", "/operations/documents/new"),
    ("get_document_details", "/operations/documents/{document}/delete"),
    ("delete_document", "/operations/documents/{document}/delete"),
    ("download_document", "/operations/documents/{document}/content"),
    ("list_tickets", "/tickets"),
    ("open_ticket", "/tickets/new"),
    ("get_ticket", "/tickets/{ticket}"),
    ("list_ticket_entries", "/tickets/{ticket}"),
    ("reply_to_ticket", "/tickets/{ticket}/reply"),
    ("escalate_ticket", "/tickets/{ticket}/escalate"),
    ("resolve_ticket", "/tickets/{ticket}/resolve"),
    ("reopen_ticket", "/tickets/{ticket}/reopen"),
    ("search_users", "/admin/users"),
    ("list_super_admins", "/admin/super-admins"),
];
/// Those of the platform.
const REACHED_BY_STAFF: [(&str, &str); 74] = [
    ("extend_trial", "/billing/extend-trial"),
    ("end_subscription", "/billing/end"),
    ("change_billing_zone", "/billing/change-zone"),
    ("add_discount", "/billing/add-discount"),
    ("remove_discount", "/billing/discounts/{discount}/remove"),
    ("draft_invoice", "/billing/invoices/new"),
    ("change_invoice_draft", "/billing/invoices/{invoice}/edit"),
    ("issue_invoice", "/billing/invoices/{invoice}/issue"),
    ("discard_invoice_draft", "/billing/invoices/{invoice}/discard"),
    ("mark_invoice_paid", "/billing/invoices/{invoice}/mark-paid"),
    ("void_invoice", "/billing/invoices/{invoice}/void"),
    ("credit_invoice", "/billing/invoices/{invoice}/credit"),
    ("correct_invoice", "/billing/invoices/{invoice}/correct"),
    ("mark_invoice_uncollectible", "/billing/invoices/{invoice}/mark-uncollectible"),
    ("list_all_invoices", "/admin/invoices"),
    ("list_all_credit_notes", "/admin/credit-notes"),
    ("get_receivables", "/admin/receivables"),
    ("get_tax_report", "/admin/tax-report"),
    ("get_ec_sales_list", "/admin/tax-report"),
    ("list_all_payments", "/admin/payments"),
    ("reverse_payment", "/billing/payments/{payment}/reverse"),
    ("get_mrr", "/admin/revenue"),
    ("list_mrr_movements", "/admin/revenue"),
    ("list_subscriptions", "/admin/subscriptions"),
    ("get_total_usage", "/admin/usage"),
    ("create_plan", "/admin/plans/new"),
    ("list_plans", "/admin/plans"),
    ("get_plan", "/admin/plans/{plan}"),
    ("change_plan", "/admin/plans/{plan}/edit"),
    ("publish_plan_version", "/admin/plans/{plan}/version"),
    ("migrate_plan", "/admin/plans/{plan}/migrate"),
    ("retire_plan", "/admin/plans/{plan}/retire"),
    ("create_coupon", "/admin/coupons/new"),
    ("list_coupons", "/admin/coupons"),
    ("get_coupon", "/admin/coupons/{coupon}/retire"),
    ("retire_coupon", "/admin/coupons/{coupon}/retire"),
    ("change_collection", "/billing/account/collection"),
    ("grant_balance", "/billing/account/grant-balance"),
    ("list_invoice_billing_requests", "/admin/subscriptions"),
    ("get_seller", "/admin/seller"),
    ("change_seller", "/admin/seller"),
    ("add_seller_registration", "/admin/seller/add-registration"),
    ("remove_seller_registration", "/admin/seller/remove-registration"),
    ("set_tax_rate", "/admin/seller/tax-rates"),
    ("list_exchange_rates", "/admin/seller"),
    ("set_exchange_rate", "/admin/seller/exchange-rates"),
    ("upload_seller_logo", "/admin/seller/logo"),
    ("remove_seller_logo", "/admin/seller/remove-logo"),
    ("list_number_series", "/admin/seller/series"),
    ("continue_number_series", "/admin/seller/series/{series}/continue"),
    ("issue_licence", "/billing/licences/new"),
    ("revoke_licence", "/billing/licences/{licence}/revoke"),
    ("replace_licence", "/billing/licences/{licence}/replace"),
    ("list_all_licences", "/admin/licences"),
    ("list_licence_signing_keys", "/admin/licence-signing-keys"),
    ("create_licence_signing_key", "/admin/licence-signing-keys/new"),
    ("activate_licence_signing_key", "/admin/licence-signing-keys/{signing_key}/activate"),
    ("retire_licence_signing_key", "/admin/licence-signing-keys/{signing_key}/retire"),
    ("promote_super_admin", "/admin/super-admins/promote"),
    ("demote_super_admin", "/admin/super-admins/{staff}/demote"),
    ("list_platform_audit_log", "/admin/audit-log"),
    ("export_platform_audit_log", "/admin/audit-log/export"),
    ("list_all_tickets", "/admin/tickets"),
    ("assign_ticket", "/tickets/{ticket}/assign"),
    ("add_ticket_note", "/tickets/{ticket}/note"),
    ("list_ticket_notes", "/tickets/{ticket}"),
    ("get_mail", "/admin/system"),
    ("list_nodes", "/admin/system"),
    ("list_reactors", "/admin/system"),
    ("list_tasks", "/admin/system"),
    ("retry_task", "/admin/system"),
    ("list_timer_failures", "/admin/system"),
    ("list_timers", "/admin/system"),
    ("list_views", "/admin/system"),
];
/// The operations that no page needs.
const API_ONLY: [&str; 13] = [
    // A coupon that was shared cannot be taken back: it is retired, and another one created.
    "change_coupon",
    // For programs that have the element of the payment provider.
    "begin_payment_method",
    // For the payment provider.
    "receive_stripe_event",
    // For monitoring and load balancers.
    "get_health",
    "get_metrics",
    "get_readiness",
    // For programs.
    "download_seller_logo",
    "get_document",
    "activate_licence",
    "deactivate_licence",
    "get_licence_keys",
    "get_licence_revocations",
    // The page that changes it starts empty.
    "get_invitation_quota",
];
/// Structs that are decoded from something else than an answer of the API: a query, a cookie.
const NOT_OF_THE_API: [&str; 2] = ["Asked", "Message"];
/// Structs for the answers of several operations: each member is of one of them.
const OF_SEVERAL: [&str; 1] = ["Effect"];

#[test]
fn every_operation_is_reached_from_a_page_or_is_for_programs_only() {
    let pages: Vec<&str> = PAGES.iter().chain(&SETTINGS).map(|(page, _)| *page).chain(PUBLIC).collect();
    let reached = || REACHED.into_iter().chain(REACHED_BY_STAFF);
    for (operation, page) in reached() {
        assert!(pages.contains(&page), "{operation}: no test asks for {page}");
    }
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for name in reached().map(|(name, _)| name).chain(API_ONLY) {
        *known.entry(name).or_default() += 1;
    }
    assert!(known.values().all(|count| *count == 1), "{known:?}");
    let all: BTreeSet<String> =
        operations().iter().map(|it| it.definition["operationId"].as_str().unwrap().to_owned()).collect();
    let missing: Vec<&String> = all.iter().filter(|name| !known.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "no page reaches {missing:?}: add one, or say that they are for programs only");
    let former: Vec<&&str> = known.keys().filter(|name| !all.contains(**name)).collect();
    assert!(former.is_empty(), "{former:?} are no operations");
}

#[test]
fn pages_call_operations_that_the_document_has() {
    // `visit.get("/users")`, `client.post("/v1/sessions")`: of an organization, or from the root.
    let paths: BTreeSet<String> = operations().into_iter().map(|operation| operation.path).collect();
    let like = |called: &str| {
        let of_organization = format!("/v1/organizations/{{org}}{called}");
        let called = if called.starts_with("/v1/") { called } else { &of_organization };
        let called: Vec<&str> = called.split('?').next().unwrap().trim_end_matches('/').split('/').collect();
        paths.iter().any(|path| {
            let path: Vec<&str> = path.split('/').collect();
            path.len() == called.len()
                && path.iter().zip(&called).all(|(one, other)| one == other || is_open(one, other))
        })
    };
    let mut tried = 0;
    for (file, source) in sources() {
        let starts = ["visit.get(", "visit.path(", "client.get(", "client.post(", "client.patch("];
        for call in starts.iter().flat_map(|start| source.split(start).skip(1)) {
            let call = call.trim_start_matches("&format!(").trim_start_matches("format!(");
            let Some(path) = call.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
            // A path that is put together of parts is not known here.
            if !path.is_empty() && path.starts_with('/') {
                assert!(like(path), "{file} calls {path}, which the document does not have");
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

/// Whether a segment of a called path is put in, as is that of the document, or may be a command of several.
fn is_open(documented: &str, called: &str) -> bool {
    called.starts_with('{') || documented.starts_with('{') && called == "current"
}

#[test]
fn what_is_decoded_from_answers_has_only_members_that_the_document_has() {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    let mut schemas = Vec::new();
    collect(&document, &document, &mut schemas);
    let all: BTreeSet<&String> = schemas.iter().flatten().collect();
    let mut tried = 0;
    for (file, source) in sources() {
        for (name, members) in structs(&source) {
            if NOT_OF_THE_API.contains(&name.as_str()) {
                continue;
            }
            tried += 1;
            let unknown: Vec<&String> = members.iter().filter(|member| !all.contains(member)).collect();
            assert!(unknown.is_empty(), "{file}: {name} has {unknown:?}, which no answer has");
            let is_one = OF_SEVERAL.contains(&name.as_str()) || schemas.iter().any(|schema| members.is_subset(schema));
            assert!(is_one, "{file}: no answer has all of {name}: {members:?}");
        }
    }
    assert!(tried > 30, "{tried}");
}

/// The members of all objects that the document describes.
fn collect(document: &Value, value: &Value, schemas: &mut Vec<BTreeSet<String>>) {
    match value {
        Value::Object(object) => {
            let members = members_of(document, value);
            if !members.is_empty() {
                schemas.push(members);
            }
            object.values().for_each(|value| collect(document, value, schemas));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(document, value, schemas)),
        _ => {}
    }
}

/// The members of an object, with those of the schemas that it consists of.
fn members_of(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        let target = target.unwrap_or_else(|| panic!("the document refers to {reference}, which it does not have"));
        return members_of(document, target);
    }
    let own = schema["properties"].as_object().into_iter().flat_map(|it| it.keys().cloned());
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| members_of(document, part));
    own.chain(parts).collect()
}

/// The structs of a source file that are decoded, with their members.
fn structs(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut lines = source.lines();
    let mut is_decoded = false;
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with("#[derive(") {
            is_decoded = line.contains("Deserialize");
        }
        let declared = line.trim_start_matches("pub(crate) ").strip_prefix("struct ");
        let Some(declared) = declared.filter(|_| std::mem::take(&mut is_decoded) && line.ends_with('{')) else {
            continue;
        };
        let name = declared.split(['<', ' ']).next().unwrap().to_owned();
        let (mut members, mut renamed, mut is_skipped) = (BTreeSet::new(), None, false);
        for line in lines.by_ref().map(str::trim).take_while(|line| *line != "}") {
            if let Some(rest) = line.split("rename = \"").nth(1) {
                renamed = rest.split('"').next().map(str::to_owned);
            }
            is_skipped |= line == "#[serde(skip)]";
            let member = line.trim_start_matches("pub(crate) ").split_once(": ").map(|(member, _)| member);
            let Some(member) = member.filter(|it| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')) else {
                continue;
            };
            let member = renamed.take().unwrap_or_else(|| member.to_owned());
            if !std::mem::take(&mut is_skipped) {
                members.insert(member);
            }
        }
        found.push((name, members));
    }
    found
}

//! The service over HTTP, as a running process, on both engines.
//!
//! A test that takes a [`SharedService`](shared::SharedService) creates organizations of its own on a service that all
//! tests of this process share. One that takes a store starts a service of its own: because of its settings, because
//! it stops the service, or because it observes the whole platform.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../service/mailbox.rs"]
mod mailbox;
#[path = "../service/openapi.rs"]
mod openapi;
#[path = "../service/service.rs"]
mod service;
#[path = "../service/shared.rs"]
mod shared;

mod billing {
    pub(crate) mod account;
    mod history;
    mod invoice;
    mod late_usage;
    mod licence;
    mod limits;
    mod mails;
    mod money_back;
    mod payment;
    mod payment_crash;
    mod plan;
    mod revenue;
    mod subscription;
    mod tax_report;
    mod usage;
}

mod compliance {
    mod audit_log;
    mod export;
    mod platform_audit_log;
    mod staff_access;
}

mod identity {
    mod api_key;
    mod attempts;
    mod impersonation;
    mod import;
    mod invitation;
    mod link;
    mod me;
    mod organization;
    mod password;
    mod search;
    mod session;
    mod sign_in;
    mod super_admin;
    mod user;
}

mod operations {
    mod document;
    mod document_crash;
    mod document_subject;
    mod port;
    mod port_call;
    mod port_call_import;
    mod port_call_status;
    mod service_order;
    mod vendor;
    mod vendor_response;
}

mod support {
    mod ticket;
    mod ticket_hand_over;
    mod ticket_mail;
    mod ticket_staff;
}

mod platform {
    mod attacks;
    mod changes;
    mod clock;
    mod connections;
    mod copy;
    mod counts;
    mod docs;
    mod document;
    mod inputs;
    mod limits;
    mod logging;
    mod mail;
    mod metrics;
    mod positions;
    mod readiness;
    mod requests;
    mod system;
    mod timers;
}

//! Plans, subscriptions and usage: what spans aggregates.
//!
//! | file | what it owns |
//! |---|---|
//! | `accounts.rs` | checks of VAT ids |
//! | `plans.rs` | the plans that every platform has |
//! | `subscriptions.rs` | trials, what is used |
//! | `payments.rs` | charges what is owed, in three steps |
//! | `timers.rs` | what becomes due for subscriptions and payments |
//! | `trials.rs` | trials of organizations that were created before there were subscriptions |
//! | `metering.rs` | counts requests with API keys, and limits them |
//! | `usage_days.rs` | records the requests of days that are over |
//! | `warnings.rs` | records that 80% or 100% of a limit are reached |
//! | `licences.rs` | signs the tokens of licences, activation leases and revocation lists |
//! | `licence_renewal.rs` | licences follow their subscription |
//! | `mails.rs` | mails about usage and subscriptions |

pub mod accounts;
pub mod invoices;
pub mod licence_renewal;
pub mod licences;
pub mod mails;
pub mod metering;
pub mod payments;
pub mod plans;
pub mod stocks;
pub mod subscriptions;
pub mod timers;
pub mod trials;
pub mod usage_days;
pub mod warnings;

//! What every endpoint shares.
//!
//! | file | what it owns |
//! |---|---|
//! | `app.rs` | the application state |
//! | `permissions.rs` | permissions as types |
//! | `request/` | extractors: callers, bodies, preconditions |
//! | `changes.rs` | what a command changes |
//! | `response.rs` | the result of a command |
//! | `limits.rs` | rate limits |
//! | `csv.rs` | CSV for spreadsheets |
//! | `listing.rs` | filtering, sorting, pagination |
//! | `metrics.rs` | metrics |
//! | `device.rs` | device names from user agents |
//! | `problem.rs` | problem details (RFC 9457) |
//! | `denials.rs` | denied requests, for the audit log |
//! | `document.rs` | the OpenAPI document |
//! | `middleware/` | request id, metrics, rate limits, timeout |
//! | `shares.rs` | shares of uploads and connections |
//! | `serve.rs` | connections and graceful shutdown |

pub(crate) mod app;
pub(crate) mod changes;
pub(crate) mod csv;
pub(crate) mod denials;
pub(crate) mod device;
pub(crate) mod document;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod metrics;
pub(crate) mod middleware;
pub(crate) mod permissions;
pub(crate) mod problem;
pub(crate) mod read_only;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod serve;
pub(crate) mod shares;

//! What every endpoint shares.
//!
//! | file | what it owns |
//! |---|---|
//! | `app.rs` | what handlers work with |
//! | `permissions.rs` | who may: permissions as types |
//! | `request/` | callers, bodies, conditions |
//! | `response.rs` | the result of a command |
//! | `limits.rs` | request budgets |
//! | `listing.rs` | filter, sort, pages |
//! | `metrics.rs` | what is counted |
//! | `device.rs` | what a user agent says about a device |
//! | `problem.rs` | why not (RFC 9457) |
//! | `denials.rs` | why not, for the audit log |
//! | `document.rs` | the OpenAPI document |
//! | `middleware/` | what surrounds every request: id, metrics, limits, deadline |
//! | `serve.rs` | connections, until the service is stopped |

pub(crate) mod app;
pub(crate) mod denials;
pub(crate) mod device;
pub(crate) mod document;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod metrics;
pub(crate) mod middleware;
pub(crate) mod permissions;
pub(crate) mod problem;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod serve;

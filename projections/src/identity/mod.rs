//! Organizations, their users, sessions and API keys.

pub(crate) mod account_reminder;
pub mod api_key;
pub mod organization;
pub mod session;
pub(crate) mod sign_in;
pub mod user;
pub(crate) mod user_import;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![
        model::<organization::Organizations>(),
        model::<user::Users>(),
        model::<session::Sessions>(),
        model::<api_key::ApiKeys>(),
    ]
}

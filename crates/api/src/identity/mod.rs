//! Organizations, users, sessions.

pub(crate) mod api_key;
pub(crate) mod impersonation;
pub(crate) mod import;
pub(crate) mod invitation;
pub(crate) mod invite;
pub(crate) mod me;
pub(crate) mod organization;
pub(crate) mod password;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod super_admin;
pub(crate) mod user;
pub(crate) mod words;

//! Organizations, users, sessions.

pub(crate) mod invitation;
pub(crate) mod organization;
pub(crate) mod session;
pub(crate) mod user;
pub(crate) mod words;

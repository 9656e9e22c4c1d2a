//! Organizations, their users, and who is signed in.

pub mod api_key;
pub mod organization;
pub mod session;
pub mod user;

//! Organizations, their users, and who is signed in.
//!
//! | file | what it owns |
//! |---|---|
//! | `organization.rs` | the life of an organization, and its settings |
//! | `standing.rs` | what an organization may do while it is active, suspended or deactivated |
//! | `settings.rs` | branding, business hours, locale |
//! | `user.rs` | the life of an account: invitation, role, permissions |
//! | `role.rs` | roles, and the permissions that refine them |
//! | `session.rs` | a sign-in, until it ends |
//! | `api_key.rs` | a key by which a program works in the name of a person |
//! | `mailbox.rs` | an address, whoever has accounts with it |
//! | `address.rs` | domain names and mail addresses |

pub mod address;
pub mod api_key;
pub mod mailbox;
pub mod organization;
pub mod role;
pub mod session;
pub mod settings;
pub mod standing;
pub mod user;

pub use address::{DomainName, EmailAddress};
pub use api_key::ApiKey;
pub use mailbox::Mailbox;
pub use organization::Organization;
pub use role::{Access, Permissions, Role};
pub use session::Session;
pub use standing::{Capability, Standing};
pub use user::User;

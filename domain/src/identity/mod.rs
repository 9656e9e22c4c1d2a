//! Organizations, their users, sessions and API keys.
//!
//! | file | what it owns |
//! |---|---|
//! | `organization.rs` | the lifecycle of an organization, and its settings |
//! | `organization_status.rs` | what an organization may do while it is active, suspended or deactivated |
//! | `invitation_quota.rs` | how many invitations an organization may send per day |
//! | `settings.rs` | branding, business hours, locale |
//! | `user.rs` | the lifecycle of an account: invitation, role, permissions |
//! | `role.rs` | roles, and the permissions that refine them |
//! | `session.rs` | a session, from sign-in until it ends |
//! | `sign_in.rs` | failed sign-in attempts |
//! | `api_key.rs` | keys by which programs act on behalf of users |
//! | `account_reminder.rs` | mails that list the accounts with an email address |
//! | `user_import.rs` | imports of users |
//! | `address.rs` | domain names and email addresses |

pub mod account_reminder;
pub mod address;
pub mod api_key;
pub mod invitation_quota;
pub mod organization;
pub mod organization_status;
pub mod role;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod user;
pub mod user_import;

pub use account_reminder::AccountReminder;
pub use address::{DomainName, EmailAddress};
pub use api_key::ApiKey;
pub use invitation_quota::{InvitationQuota, InvitationQuotaPatch};
pub use organization::Organization;
pub use organization_status::{Capability, OrganizationStatus};
pub use role::{Access, Permissions, PermissionsPatch, Role};
pub use session::Session;
pub use sign_in::FailedSignIns;
pub use user::User;
pub use user_import::UserImport;

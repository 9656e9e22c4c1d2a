//! To whom tickets can be handed over.

use porttask_domain::identity::{Access, User};

/// Whether a user can ask in tickets: an active one with write access to them.
pub fn can_be_requester(user: &User) -> bool {
    user.rights().is_some_and(|(_, permissions)| permissions.tickets == Access::Write)
}

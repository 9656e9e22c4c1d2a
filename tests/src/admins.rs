//! What admins do all day, at random.

use jiff::Timestamp;
use porttask_app::new_id;
use porttask_domain::{
    UserId,
    identity::{Role, Session, organization, session, user},
};

use crate::{Acme, Dice, Node, become_role, invite};

const ROLES: [Role; 4] = [Role::Admin, Role::Agent, Role::ReadOnly, Role::Auditor];

/// Does things to organizations and their people; refusals are part of life.
pub async fn work(node: &Node, steps: usize) -> Vec<Acme> {
    let mut dice = Dice::new();
    let mut organizations = Vec::new();
    for _ in 0..3 {
        let domain = format!("d{}.example", new_id::<UserId>().0.simple());
        organizations.push((node.found(&domain).await, Vec::<UserId>::new()));
    }
    for _ in 0..steps {
        let (acme, people) = &mut organizations[dice.below(3) as usize];
        let someone = people.get(dice.below(people.len().max(1) as u32) as usize).copied().unwrap_or(acme.admin);
        let role = ROLES[dice.below(4) as usize];
        match dice.below(9) {
            0 | 1 => {
                let user = new_id();
                let email = format!("{}@people.example", new_id::<UserId>().0.simple());
                _ = node.user(acme, user, invite(acme.organization, user, &email, role)).await;
                people.push(user);
            }
            2 => {
                _ = node.user(acme, someone, user::Command::Accept { invitation: 1, now: Timestamp::UNIX_EPOCH }).await
            }
            3 => _ = node.user(acme, someone, become_role(role)).await,
            4 => _ = node.user(acme, someone, user::Command::Deactivate).await,
            5 => _ = node.user(acme, someone, user::Command::Reactivate).await,
            6 => _ = node.organization(acme, acme.suspend()).await,
            7 => _ = node.organization(acme, organization::Command::Reactivate).await,
            _ => {
                let (session, method) = (new_id(), session::Method::Password);
                let start = session::Command::Start { user: someone, method, expires_at: Timestamp::MAX };
                let request = acme.request();
                if node.executor.execute::<Session>(session, start, &request).await.is_ok() && dice.below(2) == 0 {
                    _ = node.executor.execute::<Session>(session, session::Command::SignOut, &request).await;
                }
            }
        }
    }
    organizations.into_iter().map(|(acme, _)| acme).collect()
}

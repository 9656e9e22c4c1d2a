//! The guards that follow from a history: for those who check or mend what is claimed and counted.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    Aggregate, Fact, Guard, OrganizationId,
    compliance::{Export, Readings, Refusals},
    identity::{ApiKey, Mailbox, Organization, Session, User},
};

/// Everything that has happened so far, as far as guards depend on it.
#[derive(Debug, Default)]
pub struct Tally {
    organizations: HashMap<Uuid, Organization>,
    users: HashMap<(OrganizationId, Uuid), User>,
}

impl Tally {
    /// Takes in what happened next to something; answers what it changed beyond its stream.
    pub fn take_in(&mut self, organization: OrganizationId, subject: Uuid, fact: &Fact) -> Vec<Guard> {
        match fact {
            Fact::Organization(event) => step(self.organizations.entry(subject).or_default(), event),
            Fact::User(event) => step(self.users.entry((organization, subject)).or_default(), event),
            // What these claim and count depends on nothing that has happened to them.
            Fact::Session(event) => Session::default().guards(event),
            Fact::ApiKey(event) => ApiKey::default().guards(event),
            Fact::Mailbox(event) => Mailbox::default().guards(event),
            Fact::Refusal(event) => Refusals::default().guards(event),
            Fact::Reading(event) => Readings::default().guards(event),
            Fact::Export(event) => Export::default().guards(event),
        }
    }
}

fn step<A: Aggregate>(state: &mut A, event: &A::Event) -> Vec<Guard> {
    let guards = state.guards(event);
    state.evolve(event);
    guards
}

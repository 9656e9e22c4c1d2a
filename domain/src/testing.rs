//! Given what has happened, when something is asked, then this happens.

use crate::{DomainEvent, Registered};

/// What has happened so far.
pub(crate) struct Given<A: Registered>(A);

/// What was decided.
pub(crate) struct When<A: Registered> {
    state: A,
    command: A::Command,
    decided: Result<Vec<A::Event>, A::Rejection>,
}

/// These events, each as it comes back from its stored bytes.
pub(crate) fn given<A: Registered>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let events: Vec<A::Event> = events.into_iter().inspect(comes_back::<A>).collect();
    Given(A::after(&events))
}

/// Every event is read as it was written.
fn comes_back<A: Registered>(event: &A::Event) {
    let domain_event: DomainEvent = event.clone().into();
    let (name, data) = domain_event.encode();
    let data = data.to_string();
    assert_eq!(DomainEvent::decode(&name, data.as_bytes()), Ok(domain_event), "{name} is not read as it was written");
}

impl<A: Registered> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> When<A> {
        let decided = self.0.decide(&command);
        When { state: self.0, command, decided }
    }
}

impl<A: Registered> When<A> {
    /// These events happen, and asked again, nothing more: a retry changes nothing.
    pub(crate) fn then(mut self, events: impl IntoIterator<Item = A::Event>) {
        let events: Vec<A::Event> = events.into_iter().inspect(comes_back::<A>).collect();
        assert_eq!(self.decided, Ok(events.clone()), "after {:?}", self.command);
        events.iter().for_each(|event| self.state.evolve(event));
        assert_eq!(self.state.decide(&self.command), Ok(vec![]), "a retry of {:?}", self.command);
    }

    pub(crate) fn then_rejected(self, rejection: A::Rejection) {
        assert_eq!(self.decided, Err(rejection), "after {:?}", self.command);
    }
}

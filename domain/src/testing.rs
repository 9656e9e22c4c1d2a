//! Given/when/then tests: given past events, when a command is decided, then these events follow.

use crate::{DomainEvent, Registered};

/// The state after past events.
pub(crate) struct Given<A: Registered>(A);

/// The outcome of a command.
pub(crate) struct When<A: Registered> {
    state: A,
    command: A::Command,
    decided: Result<Vec<A::Event>, A::Rejection>,
}

/// Applies past events; asserts that each round-trips through its stored bytes.
pub(crate) fn given<A: Registered>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let events: Vec<A::Event> = events.into_iter().inspect(comes_back::<A>).collect();
    Given(A::after(&events))
}

/// Asserts that the event round-trips through its stored bytes.
fn comes_back<A: Registered>(event: &A::Event) {
    let domain_event: DomainEvent = event.clone().into();
    let (name, data) = domain_event.encode();
    let data = data.to_string();
    assert_eq!(DomainEvent::decode(&name, data.as_bytes()), Ok(domain_event), "{name} does not round-trip");
}

impl<A: Registered> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> When<A> {
        let decided = self.0.decide(&command);
        When { state: self.0, command, decided }
    }
}

impl<A: Registered> When<A> {
    /// Asserts that the command yields these events, and that repeating it yields none.
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

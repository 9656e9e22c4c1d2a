//! Stored representation of a job's actor and counts, for every engine: JSON.

use porttask_domain::Actor;

use super::Counts;

/// Serializes the actor that requested a job.
pub fn actor_text(actor: Actor) -> String {
    serde_json::to_string(&actor).unwrap_or_else(|error| unreachable!("an actor cannot be serialized: {error}"))
}

/// Parses a stored actor.
pub fn actor(text: &str) -> Option<Actor> {
    serde_json::from_str(text).ok()
}

/// Serializes counts.
pub fn counts_text(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|error| unreachable!("counts cannot be serialized: {error}"))
}

/// Parses stored counts.
pub fn counts(text: &str) -> Option<Counts> {
    serde_json::from_str(text).ok()
}

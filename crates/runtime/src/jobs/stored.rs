//! How every engine stores who ordered a job and how its parts ended: as JSON.

use porttask_domain::Actor;

use super::Counts;

/// Who ordered a job.
pub fn actor_text(actor: Actor) -> String {
    serde_json::to_string(&actor).unwrap_or_else(|error| unreachable!("an actor that is no JSON: {error}"))
}

/// Who ordered a job, from what was stored.
pub fn actor(text: &str) -> Option<Actor> {
    serde_json::from_str(text).ok()
}

/// How the parts of a job ended.
pub fn counts_text(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|error| unreachable!("counts that are no JSON: {error}"))
}

/// How the parts of a job ended, from what was stored.
pub fn counts(text: &str) -> Option<Counts> {
    serde_json::from_str(text).ok()
}

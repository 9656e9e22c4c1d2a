//! The platform itself.

pub(crate) mod task;
pub mod timer;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<timer::Timers>()]
}

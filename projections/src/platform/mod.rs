//! The platform itself.

pub mod timer;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<timer::Timers>()]
}

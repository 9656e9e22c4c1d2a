//! Operational records.

use crate::Model;

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![]
}

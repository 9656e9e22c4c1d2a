//! Operational records.

pub mod document;
pub mod vendor;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<vendor::Vendors>(), model::<document::Documents>()]
}

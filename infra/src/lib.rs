//! Infrastructure: implementations of the ports of `porttask-runtime`.

pub mod blobs;
mod gathering;
pub mod log;
pub mod mail;
pub mod payments;
mod private;
pub mod tax_registry;
pub mod views;
mod write_back;

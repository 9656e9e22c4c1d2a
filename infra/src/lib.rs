//! Infrastructure: implementations of the ports of `porttask-runtime`.

pub mod blobs;
mod gathering;
pub mod log;
pub mod mail;
mod private;
pub mod views;
mod write_back;

//! Infrastructure: implementations of the ports of `porttask-runtime`.

mod gathering;
pub mod log;
pub mod mail;
mod private;
pub mod views;
mod write_back;

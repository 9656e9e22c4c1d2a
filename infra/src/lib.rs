//! How it is kept: the machinery behind the ports of `porttask-app`.

mod gathering;
pub mod log;
pub mod mail;
pub mod views;
mod write_back;

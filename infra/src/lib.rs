//! How it is kept: the machinery behind the ports of `porttask-app`.

pub mod log;
mod multi_row;
pub mod views;

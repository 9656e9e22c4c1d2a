//! A lifelike platform for demonstrations: a year of organizations, people and their work, made by the same use cases as
//! the API, at simulated times.

mod build;
mod desk;
mod names;
mod plan;
mod random;
mod site;
mod traffic;

pub use build::{Account, Built, Error, Options, PASSWORD, Parts, build};

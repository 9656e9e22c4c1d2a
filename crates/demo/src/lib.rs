//! A lifelike platform for demonstrations: a year of organizations, people and their work, made by the same use cases as
//! the API, at simulated times.

mod bills;
mod build;
mod desk;
mod documents;
mod keys;
mod money;
mod names;
mod plan;
mod random;
mod site;
mod tax;
mod traffic;

pub use build::{Account, Built, Error, Options, PASSWORD, Parts, build};

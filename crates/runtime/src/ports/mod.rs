//! Ports of the outside world, which `infra` implements. They speak of ids, amounts and bytes.

pub mod mail;

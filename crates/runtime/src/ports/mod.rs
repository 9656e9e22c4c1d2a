//! Ports of external systems, implemented by `infra`. Their types are ids, amounts and bytes.

pub mod blobs;
pub mod mail;

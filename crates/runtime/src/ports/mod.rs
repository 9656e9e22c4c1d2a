//! Ports of external systems, implemented by `infra`. Their types are ids, amounts and bytes.

pub mod blobs;
pub mod invoices;
pub mod mail;
pub mod payments;
pub mod tax_registry;

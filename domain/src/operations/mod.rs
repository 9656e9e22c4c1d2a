//! Operational records: what organizations do on PortTask.

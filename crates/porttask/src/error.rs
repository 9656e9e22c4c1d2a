//! Why a command failed.

/// Why a command failed, as printed to the user.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

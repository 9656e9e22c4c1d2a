//! Remarks: what people note about operational records.

use crate::{InvalidText, text};

/// A remark on an operational record: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark(String);

text::entered!(Remark);

impl Remark {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 500;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::line(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The remark.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

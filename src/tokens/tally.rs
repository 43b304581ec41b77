//! The running sum of tokens and characters.

use serde_json::Value;

use super::Encoding;

/// How many characters one token stands for, on average and in the server's own estimate.
pub(super) const CHARACTERS_PER_TOKEN: u64 = 4;

/// What has been counted of a prompt so far.
///
/// Content that is not text, such as ready-made tokens and images, is added as tokens that stand
/// for [`CHARACTERS_PER_TOKEN`] characters each, so that a rule that goes by characters does not
/// take it for nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    encoding: Encoding,
    pub(super) tokens: u64,
    pub(super) characters: u64,
}

impl Tally {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            tokens: 0,
            characters: 0,
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.tokens = self.tokens.saturating_add(self.encoding.count(text));
        self.characters = self.characters.saturating_add(characters(text));
    }

    /// Overhead of the chat format: tokens that the server adds and no character stands for.
    pub(super) fn overhead(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Content that is not text.
    pub(super) fn tokens(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        let characters = tokens.saturating_mul(CHARACTERS_PER_TOKEN);
        self.characters = self.characters.saturating_add(characters);
    }

    /// Text for a string, nothing for null, and the JSON's text for everything else: a field of
    /// the wrong type is counted too, whatever the server will say to it.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.text(text),
            other => self.text(&other.to_string()),
        }
    }

    /// The same for a field that may be missing.
    pub(super) fn field(&mut self, object: &Value, name: &str) {
        if let Some(value) = object.get(name) {
            self.value(value);
        }
    }
}

/// Characters as the server counts them: code points, not bytes.
pub(super) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

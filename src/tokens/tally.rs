//! The running sum of tokens and characters.

use std::mem;

use serde_json::Value;

use super::base64::data_url;
use super::json::{self, Found, Piece};
use super::media;
use super::models::Profile;

/// How many characters one token stands for, on average and in the server's own estimate.
pub(super) const CHARACTERS_PER_TOKEN: u64 = 4;
/// Strings of JSON that are longer are counted where they are, by themselves.
const LONG: usize = 4 * 1024;
/// JSON is counted in stretches of this length: it is nowhere written down whole.
const STRETCH: usize = 64 * 1024;

/// What has been counted of a prompt so far.
///
/// Content that is not text, such as ready-made tokens and images, is added as tokens that stand
/// for [`CHARACTERS_PER_TOKEN`] characters each, so that a rule that goes by characters does not
/// take it for nothing.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    pub(super) profile: &'a Profile,
    pub(super) tokens: u64,
    pub(super) characters: u64,
    /// Where texts are put together, kept for the next one.
    scratch: String,
}

impl<'a> Tally<'a> {
    pub(super) fn new(profile: &'a Profile) -> Self {
        Self {
            profile,
            tokens: 0,
            characters: 0,
            scratch: String::new(),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.tokens = self
            .tokens
            .saturating_add(self.profile.encoding.count(text));
        self.characters = self.characters.saturating_add(characters(text));
    }

    /// Several texts as one, which may have fewer tokens than they have.
    pub(super) fn joined<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        let mut scratch = mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend(texts);
        self.text(&scratch);
        self.scratch = scratch;
    }

    /// Overhead of the chat format: tokens that the server adds and no character stands for. Some
    /// formats have less than nothing for one thing or another.
    pub(super) fn overhead(&mut self, tokens: i32) {
        self.tokens = self.tokens.saturating_add_signed(tokens.into());
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
            other => self.json(other),
        }
    }

    /// The text of a value's JSON, in which `data:` URLs count as what they hold.
    pub(super) fn json(&mut self, value: &Value) {
        let mut stretch = mem::take(&mut self.scratch);
        stretch.clear();
        json::walk(value, |piece| {
            match piece {
                Piece::Plain(text) => stretch.push_str(text),
                Piece::Quoted(text) => {
                    if let Some((kind, base64)) = data_url(text) {
                        self.tokens(media::url(self.profile, kind, base64));
                    } else if text.len() > LONG {
                        self.text(&stretch);
                        stretch.clear();
                        self.text(text);
                    } else {
                        json::quote(text, &mut stretch);
                    }
                }
            }
            if stretch.len() > STRETCH {
                self.text(&stretch);
                stretch.clear();
            }
        });
        self.text(&stretch);
        self.scratch = stretch;
    }

    /// A value of unknown meaning: the characters of its strings, without the names of its fields, at the
    /// server's own rate, and media in it as media.
    pub(super) fn unknown(&mut self, value: &Value) {
        let mut texts: u64 = 0;
        json::strings(value, |found| {
            let media = match found {
                Found::Fields(fields) => media::part(self.profile, fields),
                Found::Text(text) => {
                    let url = data_url(text);
                    let url = url.map(|(kind, base64)| media::url(self.profile, kind, base64));
                    if url.is_none() {
                        texts = texts.saturating_add(characters(text));
                    }
                    url
                }
            };
            self.tokens(media.unwrap_or(0));
            media.is_some()
        });
        self.tokens = self
            .tokens
            .saturating_add(texts.div_ceil(CHARACTERS_PER_TOKEN));
        self.characters = self.characters.saturating_add(texts);
    }
}

/// Characters as the server counts them: code points, not bytes.
pub(super) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

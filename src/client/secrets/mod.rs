//! Credentials, and how to hide them in everything that a server says: pure.
//!
//! A text is compared by its letters and digits alone, as it stands and with its escapes undone, with
//! each credential as it stands, in Base64 and in hexadecimal. Eight consecutive characters are
//! enough, so parts of a credential are found, too, across all fields of an error.

mod fields; //  every field of an error
mod patterns; // what is looked for
#[cfg(test)]
mod tests;
mod views; //   a text as it stands, and with its escapes undone

use std::borrow::Cow;
use std::ops::Range;

use patterns::Patterns;
use views::{plain, undone};

use super::authorization::{Secret, is_credential_header};

/// What stands in place of a credential.
const HIDDEN: &str = "[secret]";

/// How many layers of escapes are undone: a gateway may quote a server that quotes another one.
const MOST_LAYERS: usize = 4;

/// The longest `x-request-id` that is kept, in characters. Those of providers have at most 64.
const MAX_REQUEST_ID: usize = 200;

/// The credentials of a client.
#[derive(Default)]
pub(crate) struct Secrets {
    patterns: Patterns,
    /// As they are sent, for texts that are only looked through.
    exact: Vec<String>,
}

impl Secrets {
    /// Those in headers, and others: of the base URL's query and of a proxy.
    pub(super) fn new(headers: &[(String, Secret)], others: &[String]) -> Self {
        let mut secrets = Self::default();
        for (name, value) in headers {
            let value = match value.0.split_once(' ') {
                Some((scheme, value)) if is_scheme(scheme) => value.trim(),
                _ => value.0.as_str(),
            };
            match (is_credential_header(name), is_public(name)) {
                (true, _) => secrets.add(value),
                // Of any other header, which may hold ordinary words, the value as a whole.
                (false, false) => secrets.patterns.add_whole(value),
                (false, true) => {}
            }
        }
        for other in others {
            secrets.add(other);
        }
        secrets
    }

    fn add(&mut self, secret: &str) {
        self.patterns.add(secret);
        let pieces = [secret];
        if let Some(other) = undone(&plain(&pieces)) {
            let decoded: String = other.iter().map(|seen| seen.char).collect();
            self.patterns.add(&decoded);
        }
        if secret.len() >= 8 {
            self.exact.push(secret.to_owned());
            if secret.contains('/') {
                self.exact.push(secret.replace('/', "\\/"));
            }
        }
    }

    /// The text without credentials and parts of them.
    pub(super) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let marks = self.marks(&[text]);
        match marks.first() {
            Some(ranges) if !ranges.is_empty() => Cow::Owned(without(text, ranges)),
            _ => Cow::Borrowed(text),
        }
    }

    /// Hides credentials as they were sent in the body of a success, which is passed on as it
    /// came: a search of plain text, because each response goes through it.
    pub(super) fn hide_exact(&self, body: &mut String) {
        for secret in &self.exact {
            if body.contains(secret) {
                *body = body.replace(secret, HIDDEN);
            }
        }
    }

    /// The server's name for a request as it may be kept: short, in visible characters, and
    /// without credentials.
    pub(super) fn request_id(&self, id: &str) -> String {
        let id = self.hide(id);
        let visible = |char: char| match char.is_ascii_graphic() || char == ' ' {
            true => char,
            false => '\u{fffd}',
        };
        let mut kept: String = id.chars().take(MAX_REQUEST_ID).map(visible).collect();
        if id.chars().count() > MAX_REQUEST_ID {
            kept.push('…');
        }
        kept
    }

    /// Where credentials stand in texts that are read one after the other, by text.
    fn marks(&self, texts: &[&str]) -> Vec<Vec<Range<usize>>> {
        let mut marks = vec![Vec::new(); texts.len()];
        if self.patterns.is_empty() {
            return marks;
        }
        let mut view = plain(texts);
        for _ in 0..=MOST_LAYERS {
            self.patterns.mark(&view, &mut marks);
            match undone(&view) {
                Some(undone) => view = undone,
                None => break,
            }
        }
        for ranges in &mut marks {
            *ranges = merged(std::mem::take(ranges));
        }
        marks
    }
}

/// Ranges in order, those that overlap or touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The text with a mark in place of each range. Ranges are in order and end between characters.
fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        kept.push_str(text.get(at..range.start).unwrap_or_default());
        kept.push_str(HIDDEN);
        at = range.end;
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    kept
}

/// Whether the first word of a header's value names how the rest is to be read.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "apikey", "key"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether a header's value is quoted to help, and never a credential.
fn is_public(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("accept") || name.starts_with("content-") || name.ends_with("-version")
}

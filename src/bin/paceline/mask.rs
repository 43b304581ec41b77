//! Keys, kept off the screen wherever they come from: typed as a flag, named in place of a file, or
//! said by something on the way.

use std::borrow::Cow;
use std::env;
use std::sync::OnceLock;

/// What stands in place of a key.
const HIDDEN: &str = "[secret]";

/// How keys of providers begin, and how many letters, digits, `-` and `_` follow at least.
const BEGINNINGS: [(&str, usize); 14] = [
    ("sk-", 16),
    ("sk_", 16),
    ("pk-", 16),
    ("rk-", 16),
    ("gsk_", 16),
    ("hf_", 16),
    ("xai-", 16),
    ("pplx-", 16),
    ("nvapi-", 16),
    ("AIza", 20),
    ("ghp_", 16),
    ("github_pat_", 16),
    ("AKIA", 16),
    ("eyJ", 20),
];

/// Ends of names of environment variables that hold keys.
const NAMES: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD"];

/// The text without anything that looks like a key of a provider, and without what environment
/// variables for keys hold.
pub(crate) fn keys(text: &str) -> Cow<'_, str> {
    let text = without(Cow::Borrowed(text), begins_like_one);
    known()
        .iter()
        .fold(text, |text, key| match text.contains(key.as_str()) {
            true => Cow::Owned(text.replace(key.as_str(), HIDDEN)),
            false => text,
        })
}

/// The same for text that quotes what was typed, where also a long word at random may be a key.
pub(crate) fn typed(text: &str) -> String {
    let text = without(Cow::Borrowed(text), is_random);
    keys(&text).into_owned()
}

/// The values of environment variables that hold keys.
fn known() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let held = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?.to_ascii_uppercase();
            let value = value.into_string().ok()?.trim().to_owned();
            let last = name.rsplit('_').next().unwrap_or_default();
            let is_key = NAMES.iter().any(|end| last.ends_with(end));
            (is_key && is_no_word(&value)).then_some(value)
        });
        held.collect()
    })
}

/// Whether a value is long and mixed enough not to be an ordinary word or number.
fn is_no_word(value: &str) -> bool {
    let has = |is: fn(&char) -> bool| value.chars().any(|char| is(&char));
    value.len() >= 8
        && has(char::is_ascii_alphabetic)
        && (has(char::is_ascii_digit) || has(char::is_ascii_uppercase))
}

fn begins_like_one(word: &str) -> bool {
    BEGINNINGS.iter().any(|(beginning, rest)| {
        word.len() >= beginning.len() + rest && word.starts_with(beginning)
    })
}

/// Letters and digits in one piece, as long as no name is.
fn is_random(word: &str) -> bool {
    let mut pieces = word.split(['-', '_']);
    pieces.any(|piece| {
        let digits = piece.bytes().filter(u8::is_ascii_digit).count();
        piece.len() >= 16 && (3..piece.len()).contains(&digits)
    })
}

/// The text with a mark in place of each word that is a key. Words are letters, digits, `-`, `_`
/// and `.`, and what follows a beginning within one counts, too.
fn without(text: Cow<'_, str>, is_key: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let mut kept = String::new();
    let mut rest = &*text;
    let mut changed = false;
    while !rest.is_empty() {
        let start = rest.find(is_part).unwrap_or(rest.len());
        let (before, from) = rest.split_at(start);
        let end = from.find(|char| !is_part(char)).unwrap_or(from.len());
        let (word, behind) = from.split_at(end);
        kept.push_str(before);
        match word.split('.').any(&is_key) {
            true => {
                changed = true;
                kept.push_str(HIDDEN);
            }
            false => kept.push_str(word),
        }
        rest = behind;
    }
    match changed {
        true => Cow::Owned(kept),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_not_shown() {
        let table = [
            (
                "invalid value 'sk-proj-Zq81xT0pS3cr3tV7' for '--tpm'",
                "invalid value '[secret]' for '--tpm'",
            ),
            (
                "gsk_0123456789abcdefghij.jsonl: no such file",
                "[secret]: no such file",
            ),
            ("Bearer eyJhbGciOiJIUzI1NiIsInR5.eyJz.x", "Bearer [secret]"),
            (
                "task-force-one-of-many-words sk-short",
                "task-force-one-of-many-words sk-short",
            ),
            (
                "risk-assessment-of-everything.jsonl",
                "risk-assessment-of-everything.jsonl",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(keys(text), expected);
        }
    }

    #[test]
    fn a_long_word_at_random_is_not_shown_where_it_was_typed() {
        let table = [
            (
                "unexpected argument '0a1b2c3d4e5f60718293a4b5c6d7e8f9'",
                "unexpected argument '[secret]'",
            ),
            ("'Zq81xT0pS3cr3tV7'", "'[secret]'"),
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
            ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet-20241022"),
            (
                "550e8400-e29b-41d4-a716-446655440000",
                "550e8400-e29b-41d4-a716-446655440000",
            ),
            (
                "--max-completion-tokens 100000000000000000",
                "--max-completion-tokens 100000000000000000",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(typed(text), expected);
        }
    }
}

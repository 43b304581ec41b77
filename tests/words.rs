//! Docs, help and messages are in plain sentences: who does what to what.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Phrases that hide who does what, with what is better.
const PHRASES: [(&str, &str); 11] = [
    ("whoever", "name the thread, the caller, the request"),
    ("nobody", "no thread, no process, none"),
    ("somebody", "a caller, a reader"),
    ("that is none", "invalid"),
    ("is told of", "is called with, receives"),
    ("left at that", "skipped"),
    ("under way", "in flight, running"),
    ("goes on", "continues, resumes"),
    ("so many", "the number"),
    ("of late", "recently, in the last two minutes"),
    ("as it came", "unchanged"),
];

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What a user reads: pages, and of the source all but its tests.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "docs", "examples"] {
        walk(&root.join(folder), &mut found);
    }
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    found.extend(pages.map(|page| root.join(page)));
    let is_text = |path: &PathBuf| {
        let ends = |end| path.extension().is_some_and(|it| it == end);
        (ends("rs") || ends("md")) && !path.to_string_lossy().contains("tests")
    };
    let texts = found.into_iter().filter(is_text).map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let end = text.find("mod tests {").unwrap_or(text.len());
        (path, text[..end].to_ascii_lowercase())
    });
    texts.collect()
}

/// Whether a phrase stands in a line by itself, and not as part of other words.
fn has(line: &str, phrase: &str) -> bool {
    let is_letter = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + phrase.len()..].chars().next();
        !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
    })
}

#[test]
fn no_phrase_hides_who_does_what() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for (phrase, better) in PHRASES {
                if has(line, phrase) {
                    let (path, number) = (path.display(), number + 1);
                    found.push(format!("{path}:{number}: {phrase:?}; better: {better}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

//! What kind of character each one is: the categories that the expressions tell apart.
//!
//! They are taken from the same tables as the expressions of the reference, so both are of one
//! version of Unicode whatever that is.

use std::sync::OnceLock;

use regex_syntax::hir::{Class as Ranges, HirKind};

/// A set of categories, as bits.
pub(super) type Class = u8;

/// `\p{L}`
pub(super) const LETTER: Class = 1;
/// `\p{N}`
pub(super) const NUMBER: Class = 1 << 1;
/// `\s`
pub(super) const SPACE: Class = 1 << 2;
/// `[\r\n]`, which are spaces too.
pub(super) const BREAK: Class = 1 << 3;
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`: what the head of a word in `o200k_base` is made of.
pub(super) const HEAD: Class = 1 << 4;
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`: what its tail is made of.
pub(super) const TAIL: Class = 1 << 5;
/// `\p{M}`
pub(super) const MARK: Class = 1 << 6;
/// Behind the last character.
pub(super) const END: Class = 1 << 7;

const SETS: [(&str, Class); 6] = [
    (r"\p{L}", LETTER),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"[\r\n]", BREAK),
    (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", HEAD),
    (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", TAIL),
];

/// The class of every character: a megabyte, of which a script uses a few pages.
pub(super) struct Classes {
    ascii: [Class; 256],
    all: Vec<Class>,
}

impl Classes {
    pub(super) fn get() -> &'static Self {
        static CLASSES: OnceLock<Classes> = OnceLock::new();
        CLASSES.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut all = vec![0; char::MAX as usize + 1];
        for (set, bit) in SETS.into_iter().chain([(r"\p{M}", MARK)]) {
            for (first, last) in ranges(set) {
                for class in &mut all[first as usize..=last as usize] {
                    *class |= bit;
                }
            }
        }
        let mut ascii = [0; 256];
        ascii[..128].copy_from_slice(&all[..128]);
        Self { ascii, all }
    }

    /// The class of the character that begins there, and its length; `(END, 0)` at the end.
    /// `at` is the beginning of a character, as `text` is UTF-8.
    #[inline]
    pub(super) fn at(&self, text: &[u8], at: usize) -> (Class, usize) {
        match text.get(at) {
            None => (END, 0),
            Some(&byte) if byte < 128 => (self.ascii[usize::from(byte)], 1),
            Some(&byte) => self.beyond_ascii(byte, &text[at..]),
        }
    }

    fn beyond_ascii(&self, first: u8, text: &[u8]) -> (Class, usize) {
        let low = |at: usize| text.get(at).map_or(0, |byte| usize::from(byte & 0x3F));
        let first = usize::from(first);
        let (code, len) = match first {
            0..0xE0 => ((first & 0x1F) << 6 | low(1), 2),
            0xE0..0xF0 => ((first & 0x0F) << 12 | low(1) << 6 | low(2), 3),
            _ => (
                (first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3),
                4,
            ),
        };
        (self.all.get(code).copied().unwrap_or(0), len)
    }
}

/// The ranges of characters of a set of an expression.
fn ranges(set: &str) -> Vec<(char, char)> {
    let Ok(parsed) = regex_syntax::parse(set) else {
        return Vec::new(); // a constant, and tested
    };
    match parsed.into_kind() {
        HirKind::Class(Ranges::Unicode(class)) => class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect(),
        HirKind::Class(Ranges::Bytes(class)) => class
            .iter()
            .map(|range| (char::from(range.start()), char::from(range.end())))
            .collect(),
        _ => Vec::new(),
    }
}

//! What is looked for: every stretch of a credential that is long enough to tell it.

use std::collections::HashMap;
use std::ops::Range;

use super::views::Seen;

/// Characters of a credential that are found wherever they stand together. Fewer would be found in
/// ordinary words; eight of 36 stand somewhere by chance once in 3 · 10¹².
const WINDOW: usize = 8;

/// How a stretch is recognized.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It looks random, and is enough by itself.
    Telling,
    /// It may be part of a word, and counts beside one that tells.
    Beside,
}

#[derive(Default)]
pub(super) struct Patterns {
    windows: HashMap<u64, Kind>,
    /// Letters and digits of what is only found as a whole.
    whole: Vec<Vec<u8>>,
}

impl Patterns {
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.whole.is_empty()
    }

    /// Adds a credential, as it stands and encoded.
    pub(super) fn add(&mut self, secret: &str) {
        let tells = |window: &[u8]| {
            window.iter().any(u8::is_ascii_digit)
                || window.iter().any(u8::is_ascii_uppercase)
                    && window.iter().any(u8::is_ascii_lowercase)
        };
        let letters = letters(secret.as_bytes());
        match letters.windows(WINDOW).any(tells) {
            true => self.add_windows(&letters, tells),
            false => self.add_whole(secret),
        }
        // As part of something larger it begins at any of three places.
        for before in 0..3 {
            let encoded = base64(secret.as_bytes(), before);
            if encoded.len() > WINDOW {
                self.add_windows(&encoded, |_| true);
            }
        }
        if secret.len() >= WINDOW {
            let digits = secret.bytes().flat_map(|byte| [byte >> 4, byte & 0xf]);
            let digits = digits.map(|digit| b"0123456789abcdef"[usize::from(digit)]);
            self.add_windows(&digits.collect::<Vec<_>>(), |_| true);
        }
    }

    /// Adds a value that is only found as a whole. A short one without a digit would be found in
    /// ordinary words.
    pub(super) fn add_whole(&mut self, value: &str) {
        let letters = letters(value.as_bytes());
        let has_digit = letters.iter().any(u8::is_ascii_digit);
        if letters.len() >= 4 && (has_digit || value.len() >= WINDOW) {
            self.whole.push(letters.to_ascii_lowercase());
        }
    }

    fn add_windows(&mut self, letters: &[u8], tells: impl Fn(&[u8]) -> bool) {
        for window in letters.windows(WINDOW) {
            let kind = match tells(window) {
                true => Kind::Telling,
                false => Kind::Beside,
            };
            let packed = window.iter().fold(0, |packed, byte| pack(packed, *byte));
            let known = self.windows.entry(packed).or_insert(kind);
            if kind == Kind::Telling {
                *known = kind;
            }
        }
    }

    /// Adds the places where something of it stands.
    pub(super) fn mark(&self, view: &[Seen], marks: &mut [Vec<Range<usize>>]) {
        let letters: Vec<(u8, usize)> = view
            .iter()
            .enumerate()
            .filter_map(|(at, seen)| {
                let byte = u8::try_from(seen.char).ok()?;
                let is_letter = byte.is_ascii_alphanumeric();
                is_letter.then(|| (byte.to_ascii_lowercase(), at))
            })
            .collect();
        let mut found: Option<(usize, usize, bool)> = None; // first, behind the last, whether it tells
        let mut close = |found: Option<(usize, usize, bool)>| {
            if let Some((first, end, true)) = found {
                put(view, &letters[first..end], marks);
            }
        };
        let mut packed = 0;
        for (last, (byte, _)) in letters.iter().enumerate() {
            packed = pack(packed, *byte);
            let Some(first) = (last + 1).checked_sub(WINDOW) else {
                continue;
            };
            found = match (self.windows.get(&packed), found) {
                (Some(kind), Some((before, _, tells))) => {
                    Some((before, last + 1, tells || *kind == Kind::Telling))
                }
                (Some(kind), None) => Some((first, last + 1, *kind == Kind::Telling)),
                (None, found) => {
                    close(found);
                    None
                }
            };
        }
        close(found);
        let text: Vec<u8> = letters.iter().map(|(byte, _)| *byte).collect();
        for whole in &self.whole {
            for (first, window) in text.windows(whole.len()).enumerate() {
                let end = first + whole.len();
                if window == whole.as_slice() && is_apart(view, &letters, first, end) {
                    put(view, &letters[first..end], marks);
                }
            }
        }
    }
}

/// Whether letters `first` to `end` are no part of a longer word.
fn is_apart(view: &[Seen], letters: &[(u8, usize)], first: usize, end: usize) -> bool {
    let touches = |a: usize, b: usize| match (letters.get(a), letters.get(b)) {
        (Some((_, a)), Some((_, b))) => a + 1 == *b && view[*a].text == view[*b].text,
        _ => false,
    };
    !first
        .checked_sub(1)
        .is_some_and(|before| touches(before, first))
        && !touches(end - 1, end)
}

/// Marks what letters were read from, and what stands between them, in each text.
fn put(view: &[Seen], letters: &[(u8, usize)], marks: &mut [Vec<Range<usize>>]) {
    let mut open: Option<(u32, Range<usize>)> = None;
    let mut close = |open: Option<(u32, Range<usize>)>| {
        if let Some((text, range)) = open
            && let Some(ranges) = marks.get_mut(text as usize)
        {
            ranges.push(range);
        }
    };
    for (_, at) in letters {
        let Seen {
            text, start, end, ..
        } = view[*at];
        open = match open {
            Some((same, range)) if same == text => Some((same, range.start..end as usize)),
            other => {
                close(other);
                Some((text, start as usize..end as usize))
            }
        };
    }
    close(open);
}

fn pack(packed: u64, byte: u8) -> u64 {
    packed << 8 | u64::from(byte.to_ascii_lowercase())
}

fn letters(bytes: &[u8]) -> Vec<u8> {
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters.copied().collect()
}

/// The letters and digits of Base64 that these bytes alone decide, with `before` bytes before them.
fn base64(bytes: &[u8], before: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in std::iter::repeat_n(&0, before).chain(bytes) {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            encoded.push(DIGITS[(bits >> held & 0x3f) as usize]);
        }
    }
    let others = [0, 2, 3][before.min(2)];
    letters(encoded.get(others..).unwrap_or_default())
}

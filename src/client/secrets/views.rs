//! A text character by character, as it stands and with its escapes undone.

/// A character, and what it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) char: char,
    /// Which of the texts it stands in.
    pub(super) text: u32,
    /// Its bytes there.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Texts as they stand, one after the other.
pub(super) fn plain(texts: &[&str]) -> Vec<Seen> {
    let mut view = Vec::with_capacity(texts.iter().map(|text| text.len()).sum());
    for (number, text) in texts.iter().enumerate() {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        view.extend(text.char_indices().map(|(at, char)| Seen {
            char,
            text: narrow(number),
            start: narrow(at),
            end: narrow(at + char.len_utf8()),
        }));
    }
    view
}

/// The view with one layer of escapes undone: of JSON and programming languages, of URLs, of HTML
/// and of terminals. None if it has none.
pub(super) fn undone(view: &[Seen]) -> Option<Vec<Seen>> {
    let first = (0..view.len()).find(|at| escape(view, *at).is_some())?;
    let mut undone = Vec::with_capacity(view.len());
    undone.extend_from_slice(view.get(..first)?);
    let mut at = first;
    while let Some(seen) = view.get(at) {
        let (char, length) = escape(view, at).unwrap_or((seen.char, 1));
        let last = view.get(at + length - 1).unwrap_or(seen);
        undone.push(Seen {
            char,
            end: last.end,
            ..*seen
        });
        at += length;
    }
    Some(undone)
}

/// What the escape that begins here stands for, and its length of at least 1; none if none begins.
fn escape(view: &[Seen], at: usize) -> Option<(char, usize)> {
    let first = *view.get(at)?;
    // An escape stands in one text.
    let char = |ahead: usize| {
        let seen = view.get(at + ahead)?;
        (seen.text == first.text).then_some(seen.char)
    };
    match first.char {
        '\\' => backslash(char),
        '%' => number(&char, 1, 2..=2, 16).map(|(code, length)| (of_byte(code), 1 + length)),
        '&' => entity(&char),
        '\u{1b}' | '\u{9b}' => Some((' ', command(&char)?)),
        // The wide forms of East Asian typography.
        wide @ '\u{ff01}'..='\u{ff5e}' => Some((char::from_u32(u32::from(wide) - 0xfee0)?, 1)),
        _ => None,
    }
}

fn backslash(char: impl Fn(usize) -> Option<char>) -> Option<(char, usize)> {
    let code = |from, digits, radix| {
        let (code, length) = number(&char, from, digits, radix)?;
        Some((char::from_u32(code).unwrap_or('\u{fffd}'), from + length))
    };
    match char(1)? {
        'u' if char(2) == Some('{') => {
            let (char, length) = code(3, 1..=6, 16)?;
            Some((char, length + 1))
        }
        'u' => code(2, 4..=4, 16),
        'U' => code(2, 8..=8, 16),
        'x' => code(2, 2..=2, 16),
        '0'..='7' => code(1, 1..=3, 8),
        'n' | 'r' | 't' | 'b' | 'f' | 'v' | 'a' | 'e' => Some((' ', 2)),
        other => Some((other, 2)),
    }
}

fn entity(char: &impl Fn(usize) -> Option<char>) -> Option<(char, usize)> {
    let ends = |at| usize::from(char(at) == Some(';'));
    if char(1)? == '#' {
        let (digits, radix) = match char(2)? {
            'x' | 'X' => (3, 16),
            _ => (2, 10),
        };
        let (code, length) = number(char, digits, 1..=7, radix)?;
        let end = digits + length;
        let char = char::from_u32(code).unwrap_or('\u{fffd}');
        return Some((char, end + ends(end)));
    }
    let letters = (1..=8).take_while(|at| char(*at).is_some_and(|char| char.is_ascii_alphabetic()));
    let end = letters.last()? + 1;
    let is_ampersand = char(1) == Some('a') && char(2) == Some('m') && end == 4;
    (char(end) == Some(';')).then_some((if is_ampersand { '&' } else { ' ' }, end + 1))
}

/// The length of a command to a terminal: CSI with its parameters, or OSC with its text.
fn command(char: &impl Fn(usize) -> Option<char>) -> Option<usize> {
    let start = match (char(0)?, char(1)) {
        ('\u{9b}', _) => 1,
        (_, Some('[')) => 2,
        (_, Some(']')) => {
            let end = (2..256).find(|at| matches!(char(*at), Some('\u{7}' | '\u{1b}' | '\u{9c}')));
            return Some(end? + 1);
        }
        _ => return None,
    };
    let end = (start..start + 64).find(|at| !matches!(char(*at), Some(' '..='?')))?;
    char(end).map(|_| end + 1)
}

/// A number of this many digits, and how many there were.
fn number(
    char: &impl Fn(usize) -> Option<char>,
    from: usize,
    digits: std::ops::RangeInclusive<usize>,
    radix: u32,
) -> Option<(u32, usize)> {
    let (mut value, mut length) = (0_u32, 0);
    while length < *digits.end()
        && let Some(digit) = char(from + length).and_then(|char| char.to_digit(radix))
    {
        value = value.saturating_mul(radix).saturating_add(digit);
        length += 1;
    }
    digits.contains(&length).then_some((value, length))
}

fn of_byte(code: u32) -> char {
    let ascii = u8::try_from(code).ok().filter(u8::is_ascii);
    ascii.map_or('\u{fffd}', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let mut view = plain(&[text]);
        while let Some(next) = undone(&view) {
            view = next;
        }
        view.iter().map(|seen| seen.char).collect()
    }

    #[test]
    fn escapes_are_undone_layer_by_layer() {
        let table = [
            ("plain", "plain"),
            (r"\u0073k\/\x61\u{62}\U00000063", "sk/abc"),
            (r"\\u0073", "s"),
            (r"a\nb\055", "a b-"),
            ("%73%6B%2d%zz%f", "sk-%zz%f"),
            ("%2573", "s"),
            ("&#115;&#x6b;&amp;#45;&lt;", "sk- "),
            ("&#115k & co", "sk & co"),
            ("a\u{1b}[31;1mb\u{9b}0mc\u{1b}]0;title\u{7}d", "a b c d"),
            ("ｓｋ－ａ", "sk-a"),
            ("\\", "\\"),
            ("\\u12", "\\u12"),
            ("\u{1b}[", "\u{1b}["),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}

//! Text from elsewhere, made safe for a terminal: a server's message, a model's name or a file's
//! could otherwise clear the screen, set its title, or read from right to left.

use std::borrow::Cow;

/// Stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// The text on one line and without control characters: white space becomes a blank, and any
/// other control character U+FFFD.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    filtered(text, |char| match char {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => ' ',
        _ => HIDDEN,
    })
}

/// The same for text of several lines, whose line ends and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    filtered(text, |char| match char {
        '\t' | '\n' => char,
        _ => HIDDEN,
    })
}

/// The same for JSON and TOML, in whose strings such characters can be escaped.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\t' | '\n' => shown.push(char),
            char if is_control(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
            char => shown.push(char),
        }
    }
    Cow::Owned(shown)
}

fn filtered(text: &str, instead: impl Fn(char) -> char) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |char| match is_control(char) {
        true => instead(char),
        false => char,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// C0, DEL and C1, line separators, what changes the direction of text, and what is not seen at
/// all. Joiners (U+200C, U+200D) are parts of words and of pictures.
fn is_control(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// At most `width` characters, the last of which says that some are left out.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_commands_a_terminal_is_left() {
        let table = [
            ("plain “text”, ÄÖ 日本", "plain “text”, ÄÖ 日本"),
            (
                "a\u{1b}[2J\u{1b}]0;owned\u{7}b",
                "a\u{fffd}[2J\u{fffd}]0;owned\u{fffd}b",
            ),
            ("one\r\ntwo\tthree", "one  two three"),
            (
                "\u{9b}2J\u{7f}\u{202e}evil\u{2066}",
                "\u{fffd}2J\u{fffd}\u{fffd}evil\u{fffd}",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(line(text), expected);
        }
        assert_eq!(lines("a\tb\n\u{1b}c\n"), "a\tb\n\u{fffd}c\n");
        assert_eq!(
            escaped("\"a\u{9b}b\u{e0041}\"\n"),
            "\"a\\u009bb\\udb40\\udc41\"\n"
        );
        // Each character that Unicode calls a control or changes directions, by its number.
        let all = (0..=0x1f)
            .chain(0x7f..=0x9f)
            .chain(0x202a..=0x202e)
            .chain(0x2066..=0x2069);
        for code in all.chain([0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0xfeff]) {
            let text = format!("a{}b", char::from_u32(code).unwrap());
            assert!(
                !line(&text).contains(char::from_u32(code).unwrap()),
                "{code:x}"
            );
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        let table = [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("äöüß", 2, "ä…"),
            ("ab", 0, "…"),
        ];
        for (text, width, expected) in table {
            assert_eq!(cut(text, width), expected);
        }
    }
}

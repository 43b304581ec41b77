//! Lines of JSON for a terminal: what would command it is escaped, which JSON allows.

use std::borrow::Cow;

/// A line of JSON in which control characters behind ASCII are escaped; JSON has escaped those within.
pub(super) fn escaped(line: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Cow::Borrowed(line);
    };
    if !text.contains(is_command) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match is_command(char) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(char))),
            false => shown.push(char),
        }
    }
    Cow::Owned(shown.into_bytes())
}

/// DEL, C1 and what changes the direction of text: all within the first plane.
fn is_command(char: char) -> bool {
    matches!(char,
        '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_the_same_json() {
        let line = "{\"a\":\"x\u{9b}2J\u{202e}ä\u{7f}\"}\n".as_bytes();
        let shown = escaped(line);
        assert_eq!(
            &*shown,
            "{\"a\":\"x\\u009b2J\\u202eä\\u007f\"}\n".as_bytes()
        );
        let parse = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).unwrap();
        assert_eq!(parse(&shown), parse(line));
        assert_eq!(&*escaped(b"{}\xff\n"), b"{}\xff\n");
    }
}

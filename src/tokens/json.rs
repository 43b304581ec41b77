//! A value as the JSON that it is sent as, piece by piece: nothing is written down whole, and however deep
//! a value is nested, the stack is not.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A piece of a JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Text as it stands there: brackets, numbers.
    Plain(&'a str),
    /// A string that stands there in quotes, with its special characters escaped.
    Quoted(&'a str),
}

/// What is left to visit of a list or an object, and whether something of it has come.
enum Level<'a> {
    List(std::slice::Iter<'a, Value>, bool),
    Fields(serde_json::map::Iter<'a>, bool),
}

/// Shows the pieces of a value in their order.
pub(super) fn walk(value: &Value, mut see: impl FnMut(Piece<'_>)) {
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut number = String::new();
    let mut next = Some(value);
    loop {
        match next.take() {
            None => {}
            Some(Value::Null) => see(Piece::Plain("null")),
            Some(Value::Bool(true)) => see(Piece::Plain("true")),
            Some(Value::Bool(false)) => see(Piece::Plain("false")),
            Some(Value::Number(value)) => {
                number.clear();
                let _ = write!(number, "{value}"); // to a string: it does not fail
                see(Piece::Plain(&number));
            }
            Some(Value::String(text)) => see(Piece::Quoted(text)),
            Some(Value::Array(list)) => {
                see(Piece::Plain("["));
                levels.push(Level::List(list.iter(), false));
            }
            Some(Value::Object(fields)) => {
                see(Piece::Plain("{"));
                levels.push(Level::Fields(fields.iter(), false));
            }
        }
        match levels.last_mut() {
            None => return,
            Some(Level::List(list, begun)) => match list.next() {
                Some(value) => {
                    if std::mem::replace(begun, true) {
                        see(Piece::Plain(","));
                    }
                    next = Some(value);
                }
                None => {
                    see(Piece::Plain("]"));
                    levels.pop();
                }
            },
            Some(Level::Fields(fields, begun)) => match fields.next() {
                Some((name, value)) => {
                    if std::mem::replace(begun, true) {
                        see(Piece::Plain(","));
                    }
                    see(Piece::Quoted(name));
                    see(Piece::Plain(":"));
                    next = Some(value);
                }
                None => {
                    see(Piece::Plain("}"));
                    levels.pop();
                }
            },
        }
    }
}

/// Adds a string in quotes to a JSON text.
pub(super) fn quote(text: &str, to: &mut String) {
    to.push('"');
    let mut begin = 0;
    for (at, byte) in text.bytes().enumerate() {
        let Some(letter) = escape(byte) else {
            continue;
        };
        to.push_str(text.get(begin..at).unwrap_or_default());
        begin = at + 1;
        match letter {
            'u' => {
                let _ = write!(to, "\\u{byte:04x}");
            }
            letter => to.extend(['\\', letter]),
        }
    }
    to.push_str(text.get(begin..).unwrap_or_default());
    to.push('"');
}

/// What stands behind the backslash for a byte that cannot stand in a string.
fn escape(byte: u8) -> Option<char> {
    match byte {
        b'"' => Some('"'),
        b'\\' => Some('\\'),
        b'\n' => Some('n'),
        b'\r' => Some('r'),
        b'\t' => Some('t'),
        0x08 => Some('b'),
        0x0c => Some('f'),
        0..0x20 => Some('u'),
        _ => None,
    }
}

/// The characters of a value's JSON.
pub(super) fn characters(value: &Value) -> u64 {
    let mut sum: u64 = 0;
    walk(value, |piece| {
        sum += match piece {
            Piece::Plain(text) => text.len() as u64,
            Piece::Quoted(text) => {
                let escaped = text.bytes().filter_map(escape);
                let more: u64 = escaped
                    .map(|letter| if letter == 'u' { 5 } else { 1 })
                    .sum();
                2 + more + super::tally::characters(text)
            }
        };
    });
    sum
}

/// The objects and strings of a value, outermost first. An object of which `see` says that it has seen
/// to it is not gone into.
pub(super) fn strings<'a>(value: &'a Value, mut see: impl FnMut(Found<'a>) -> bool) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => {
                see(Found::Text(text));
            }
            Value::Array(list) => left.extend(list),
            Value::Object(fields) => {
                if !see(Found::Fields(fields)) {
                    left.extend(fields.values());
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// What [`strings`] finds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Text(&'a str),
    Fields(&'a Map<String, Value>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::any_json;
    use proptest::prelude::*;

    fn written(value: &Value) -> String {
        let mut text = String::new();
        walk(value, |piece| match piece {
            Piece::Plain(plain) => text.push_str(plain),
            Piece::Quoted(string) => quote(string, &mut text),
        });
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_pieces_are_what_serde_json_writes(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(written(&value), &*text);
            prop_assert_eq!(characters(&value), text.chars().count() as u64);
        }
    }

    #[test]
    fn every_character_is_escaped_as_serde_json_does() {
        let all: String = (0..0x2_000).filter_map(char::from_u32).collect();
        let value = Value::from(all);
        assert_eq!(written(&value), value.to_string());
        assert_eq!(characters(&value), value.to_string().chars().count() as u64);
    }
}

//! JSON as it stands, read no further than it is asked for.
//!
//! Answers are passed on as they came, and hold what most readers refuse: half of a character
//! (`\ud83d`), numbers that no type holds (`1e999`), hundreds of lists in one another. Here a piece of
//! JSON is its text; only strings that are asked for are decoded, and what is half of a character
//! becomes U+FFFD. Numbers keep their digits. Nothing recurs, so depth costs nothing.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A value, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    pub(super) const NULL: Self = Self("null");

    /// The value that a text is. `None` when it ends too early, or holds more.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let end = end_of(text.as_bytes(), 0)?;
        (end == text.len()).then_some(Self(text))
    }

    /// The same of a text that is JSON by its rules, but for the sizes of numbers and what characters
    /// there are.
    pub(super) fn read_strictly(text: &'a str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        Self::read(text)
    }

    pub(super) fn as_str(self) -> &'a str {
        self.0
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The fields of an object, in order. `None` of anything else.
    pub(super) fn fields(self) -> Option<Vec<(Cow<'a, str>, Self)>> {
        let mut fields = Vec::new();
        let mut at = self.inside(b'{')?;
        while let Some(next) = self.next(at, b'}', !fields.is_empty())? {
            let bytes = self.0.as_bytes();
            let end = end_of(bytes, next).filter(|_| bytes[next] == b'"')?;
            let name = decoded(&self.0[next + 1..end - 1]);
            let colon = after_space(bytes, end);
            if bytes.get(colon) != Some(&b':') {
                return None;
            }
            let start = after_space(bytes, colon + 1);
            at = end_of(bytes, start)?;
            fields.push((name, Self(&self.0[start..at])));
        }
        Some(fields)
    }

    /// The items of a list. `None` of anything else.
    pub(super) fn items(self) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        let mut at = self.inside(b'[')?;
        while let Some(next) = self.next(at, b']', !items.is_empty())? {
            at = end_of(self.0.as_bytes(), next)?;
            items.push(Self(&self.0[next..at]));
        }
        Some(items)
    }

    /// A field of an object. Of those of one name the last counts.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let fields = self.fields()?.into_iter();
        fields
            .rev()
            .find_map(|(field, value)| (field == name).then_some(value))
    }

    /// What a string says.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        let text = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(decoded(text))
    }

    /// The same value without white space, every string in it one that all readers take.
    pub(super) fn compact(self) -> String {
        self.with_numbers(|number| number)
    }

    /// The same, with others in the place of numbers.
    pub(super) fn with_numbers(self, mut change: impl FnMut(&'a str) -> &'a str) -> String {
        let bytes = self.0.as_bytes();
        let mut text = String::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let end = match byte {
                b'"' => end_of(bytes, at).unwrap_or(bytes.len()),
                byte if byte.is_ascii_whitespace() => {
                    at += 1;
                    continue;
                }
                b'{' | b'}' | b'[' | b']' | b',' | b':' => at + 1,
                _ => end_of_word(bytes, at),
            };
            let token = &self.0[at..end];
            at = end.max(at + 1);
            match token.strip_prefix('"') {
                Some(inner) if token.contains('\\') => {
                    text.push_str(&quoted(&decoded(inner.strip_suffix('"').unwrap_or(inner))));
                }
                _ if is_number(token) => text.push_str(change(token)),
                _ => text.push_str(token),
            }
        }
        text
    }

    /// Where the first item begins, or the end.
    fn inside(self, open: u8) -> Option<usize> {
        (self.0.as_bytes().first() == Some(&open)).then_some(1)
    }

    /// Where the next item begins, behind a comma if there was one before; nothing at the end.
    #[allow(clippy::option_option, reason = "it ends, continues, or is no JSON")]
    fn next(self, at: usize, close: u8, has_one: bool) -> Option<Option<usize>> {
        let bytes = self.0.as_bytes();
        let at = after_space(bytes, at);
        match *bytes.get(at)? {
            byte if byte == close => Some(None),
            b',' if has_one => Some(Some(after_space(bytes, at + 1))),
            _ if !has_one => Some(Some(at)),
            _ => None,
        }
    }
}

fn is_number(token: &str) -> bool {
    token.starts_with(|char: char| char == '-' || char.is_ascii_digit())
}

/// True for a number whose digits no 64 bits hold, be it an integer or not.
pub(super) fn is_beyond_64_bits(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return false;
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let digits: Vec<u8> = digits.skip_while(|digit| *digit == b'0').collect();
    let zeros = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    // 17 digits tell any two floats apart.
    digits.len() - zeros > 17 || number.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// A JSON text as a value to look into, which holds a large number where there is one that is too large.
pub(super) fn value_of(text: &str) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str(text).or_else(|error| {
        let is_too_large =
            error.is_syntax() && error.to_string().starts_with("number out of range");
        let Some(json) = Json::read(text).filter(|_| is_too_large) else {
            return Err(error);
        };
        let largest = |number: &str| number.parse::<f64>().is_ok_and(f64::is_infinite);
        let held = json.with_numbers(|number| if largest(number) { "1e308" } else { number });
        serde_json::from_str(&held).map_err(|_| error)
    })
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn after_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}

/// Where the number or word that begins here ends.
fn end_of_word(bytes: &[u8], at: usize) -> usize {
    let is_in = |byte: &&u8| {
        !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
            && !byte.is_ascii_whitespace()
    };
    at + bytes[at..].iter().take_while(is_in).count()
}

/// Where the value that begins here ends. `None` when it does not.
fn end_of(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match *bytes.get(at)? {
            b'"' => at = end_of_string(bytes, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' if depth > 0 => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end = end_of_word(bytes, at);
                if end == at {
                    return None;
                }
                at = end;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Behind the quote that ends a string.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// What stands between two quotes, without its escapes.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else {
            break;
        };
        rest = &rest[escape.len_utf8()..];
        plain.push(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => character(&mut rest),
            other => other,
        });
    }
    plain.push_str(rest);
    plain.into()
}

/// The character whose number stands here, in one part or in two.
fn character(rest: &mut &str) -> char {
    let Some(first) = unit(rest) else {
        return char::REPLACEMENT_CHARACTER;
    };
    *rest = &rest[4..];
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = rest.strip_prefix("\\u").and_then(unit)
        && (0xdc00..0xe000).contains(&second)
    {
        *rest = &rest[6..];
        let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn unit(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_readers_refuse_is_read() {
        let deep = format!(
            "{{\"deep\": {}{}, \"x\": 1.10}}",
            "[".repeat(5_000),
            "]".repeat(5_000)
        );
        let value = Json::read(&deep).unwrap();
        assert_eq!(value.field("x").unwrap().as_str(), "1.10");
        let text = r#" {"a\u00e9": "cut \ud83d", "b": "\ud83d\ude00 \udc00\ud83dx \uzz", "c": [ 1e999 , -0.1000,12345678901234567890123 ], "b": "last"} "#;
        let value = Json::read(text).unwrap();
        assert_eq!(value.field("aé").unwrap().text().unwrap(), "cut \u{fffd}");
        assert_eq!(value.field("b").unwrap().text().unwrap(), "last");
        let twice = value.fields().unwrap()[1].1.text().unwrap().into_owned();
        assert_eq!(twice, "😀 \u{fffd}\u{fffd}x \u{fffd}zz");
        let list = value.field("c").unwrap();
        assert_eq!(list.compact(), "[1e999,-0.1000,12345678901234567890123]");
        let items: Vec<_> = list.items().unwrap().iter().map(|it| it.as_str()).collect();
        assert_eq!(items, ["1e999", "-0.1000", "12345678901234567890123"]);
    }

    #[test]
    fn numbers_that_no_64_bits_hold_are_told() {
        for number in [
            "0",
            "-7",
            "1.10",
            "0.1000",
            "1e300",
            "18446744073709551615",
            "-0",
            "1e-400",
            "100000000000000000000000",
            "0.12345678901234567",
        ] {
            assert!(!is_beyond_64_bits(number), "{number}");
        }
        for number in [
            "1e400",
            "-1e999",
            "12345678901234567890123",
            "0.123456789012345678",
        ] {
            assert!(is_beyond_64_bits(number), "{number}");
        }
        let value = value_of(r#"{"a": [1e400, 1.10, "1e999"], "b": -1e999}"#).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a": [1e308, 1.1, "1e999"], "b": 1e308})
        );
        assert!(value_of("{\"a\": 1e400").is_err());
    }

    #[test]
    fn what_is_no_value_is_none() {
        for text in [
            "",
            "{",
            "{\"a\": 1",
            "[1, 2",
            "\"x",
            "\"x\\\"",
            "{} {}",
            "1 2",
            "]",
            ",",
            ":",
        ] {
            assert_eq!(Json::read(text), None, "{text}");
        }
        for text in ["{\"a\" 1}", "{1: 2}", "{\"a\": 1 \"b\": 2}", "[]", "7"] {
            assert_eq!(Json::read(text).and_then(Json::fields), None, "{text}");
        }
        for text in ["{}", "[1 2]", "[,]"] {
            assert_eq!(Json::read(text).and_then(Json::items), None, "{text}");
        }
        assert!(
            Json::read_strictly("[1, nan]").is_none() && Json::read_strictly("[1e999]").is_some()
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let fields = prop::collection::vec((".{0,4}", inner.clone()), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_others_read_it(value in any_json()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let json = Json::read(&text).unwrap();
            prop_assert_eq!(json.compact(), value.to_string());
            prop_assert_eq!(json.text().map(Cow::into_owned), value.as_str().map(str::to_owned));
            if let Value::Object(fields) = &value {
                for (name, field) in fields {
                    prop_assert_eq!(json.field(name).unwrap().compact(), field.to_string());
                }
            }
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}:,\"\\\\u0-9a-f é\u{1f600}]{0,40}") {
            if let Some(json) = Json::read(&text) {
                let _ = (json.fields(), json.items(), json.text(), json.compact());
            }
        }
    }
}

//! What tells a request from another under the same `custom_id`: a hash of its url and body.
//!
//! It is XXH3-64 of the url, a line feed and the body as compact JSON in the order of its keys, so
//! white space does not count. A number that is no integer goes into it as `f` and the 16 hex
//! digits of its bits: writers of JSON have not always agreed on its digits. A body in which a number has
//! more digits than 64 bits hold goes into it with all of its digits, as text. A fingerprint stays in
//! files for years, so neither the hash nor what goes into it may change.
//!
//! A finished line carries it in its own `id`, where the Batch output format leaves room:
//! `batch_req_` + 16 hex digits of it + `-` + 16 of chance. An `id` that looks otherwise, such as
//! those of the hosted service, carries none.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use twox_hash::XxHash3_64;

use super::json::{Json, is_beyond_64_bits};

/// How the `id` of each finished line begins.
const PREFIX: &str = "batch_req_";

/// Hex digits of a fingerprint, and of chance.
const DIGITS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) u64);

impl Fingerprint {
    pub(super) fn of(url: &str, body: &Value) -> Self {
        let mut bytes = format!("{url}\n").into_bytes();
        write(&mut bytes, body);
        Self(XxHash3_64::oneshot(&bytes))
    }

    /// The same, of a body of which there is the compact JSON already.
    pub(super) fn of_text(url: &str, body: &Value, text: &str) -> Self {
        if has_fraction(body) {
            return Self::of(url, body);
        }
        let bytes = [url, "\n", text].concat();
        Self(XxHash3_64::oneshot(bytes.as_bytes()))
    }

    /// The same, of the url, a line feed and a body that is compact JSON and in which no number is other
    /// than an integer.
    pub(super) fn of_compact(bytes: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(bytes))
    }

    /// The same, of a body that is sent as `exact` if that is said: where its numbers have more digits
    /// than 64 bits hold, they all count. What was sent before had fewer, and so another fingerprint.
    pub(super) fn of_exact(url: &str, body: &Value, text: &str, exact: Option<&str>) -> Self {
        if let Some(json) = exact.filter(|_| has_fraction(body)).and_then(Json::read) {
            let mut is_beyond = false;
            let compact = json.with_numbers(|number| {
                is_beyond |= is_beyond_64_bits(number);
                number
            });
            if is_beyond {
                let bytes = [url, "\n", &compact].concat();
                return Self(XxHash3_64::oneshot(bytes.as_bytes()));
            }
        }
        Self::of_text(url, body, text)
    }

    /// An `id` for a finished line that carries it.
    pub(super) fn line_id(self) -> String {
        format!("{PREFIX}{self}-{:016x}", fastrand::u64(..))
    }

    /// What the `id` of a finished line carries.
    pub(super) fn from_line_id(id: &str) -> Option<Self> {
        let (digits, chance) = id.strip_prefix(PREFIX)?.split_once('-')?;
        let is_hex = |part: &str| {
            let mut bytes = part.bytes();
            part.len() == DIGITS && bytes.all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_hex(digits) || !is_hex(chance) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether a number in it goes into a fingerprint otherwise than into JSON.
pub(super) fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Writes a value as the head of this file says.
fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => bytes.extend(format!("f{:016x}", float.to_bits()).bytes()),
            None => write_json(bytes, value),
        },
        Value::Array(items) => list(bytes, *b"[]", items, write),
        Value::Object(fields) => list(bytes, *b"{}", fields, |bytes, (name, value)| {
            write_json(bytes, name);
            bytes.push(b':');
            write(bytes, value);
        }),
        Value::Null | Value::Bool(_) | Value::String(_) => write_json(bytes, value),
    }
}

/// Writes what stands between two brackets, with commas.
fn list<T>(
    bytes: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    bytes.push(open);
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            bytes.push(b',');
        }
        write(bytes, item);
    }
    bytes.push(close);
}

fn write_json<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    // Memory takes everything, and these have a form in JSON.
    let _ = serde_json::to_writer(bytes, value);
}

/// An `id` for a line that tells of no request.
pub(super) fn bare_line_id() -> String {
    format!("{PREFIX}{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(url: &str, body: &str) -> Fingerprint {
        let body: Value = serde_json::from_str(body).unwrap();
        let print = Fingerprint::of(url, &body);
        assert_eq!(Fingerprint::of_text(url, &body, &body.to_string()), print);
        print
    }

    #[test]
    fn it_never_changes() {
        // From the reference implementation on the text that the head of this file describes.
        let table = [
            (
                "/v1/embeddings",
                r#"{"model":"m","input":"é \"x\""}"#,
                "a7cf50ed721b110a",
            ),
            (
                "/v1/chat/completions",
                r#"{"model":"m","temperature":0.7,"top_p":1.0,"seed":-3,"big":18446744073709551615,"logit_bias":{"50256":-100},"x":[1e-7,1e21,null,true,{},[]]}"#,
                "7fa8a05e62e2c963",
            ),
        ];
        for (url, body, expected) in table {
            assert_eq!(of(url, body).to_string(), expected, "{body}");
        }
    }

    #[test]
    fn digits_that_64_bits_do_not_hold_count_and_others_do_not() {
        let exact = |body: &str| {
            let value = super::super::json::value_of(body).unwrap();
            Fingerprint::of_exact("/v1/x", &value, &value.to_string(), Some(body))
        };
        let base = r#"{"model":"m","seed":1.5}"#;
        assert_eq!(exact(base), of("/v1/x", base));
        for same in [
            r#"{"model":"m","seed":1.50}"#,
            r#"{ "model": "m", "seed": 15e-1 }"#,
        ] {
            assert_eq!(exact(same), exact(base), "{same}");
        }
        let seeds = [
            "12345678901234567890123",
            "12345678901234567890124",
            "1e400",
            "1e401",
        ];
        let prints = seeds.map(|seed| exact(&base.replace("1.5", seed)).0);
        let prints: std::collections::HashSet<_> = prints.into_iter().collect();
        assert_eq!(prints.len(), seeds.len());
    }

    #[test]
    fn white_space_does_not_count_and_all_else_does() {
        let base = of("/v1/embeddings", r#"{"model":"m","input":"a b"}"#);
        assert_eq!(
            base,
            of(
                "/v1/embeddings",
                "{ \"model\" : \"m\",\t\"input\":\"a b\" }"
            )
        );
        for (url, body) in [
            ("/v1/embedding", r#"{"model":"m","input":"a b"}"#),
            ("/v1/embeddings", r#"{"model":"n","input":"a b"}"#),
            ("/v1/embeddings", r#"{"model":"m","input":"a  b"}"#),
            ("/v1/embeddings", r#"{"input":"a b","model":"m"}"#),
            ("/v1/embeddings", r#"{"model":"m","input":"a b","n":1}"#),
        ] {
            assert_ne!(base, of(url, body), "{url} {body}");
        }
    }

    #[test]
    fn an_id_carries_it_and_ids_of_others_carry_none() {
        for number in [0, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = Fingerprint(number).line_id();
            assert_eq!(Fingerprint::from_line_id(&id), Some(Fingerprint(number)));
            assert_ne!(id, Fingerprint(number).line_id());
        }
        let bare = bare_line_id();
        assert_eq!(Fingerprint::from_line_id(&bare), None, "{bare}");
        for id in [
            "",
            "batch_req_",
            "batch_req_-",
            "batch_req_6740c1ea3ea88190a4d1a0e0e5b2c6b1",
            "batch_req_0123456789abcdef",
            "batch_req_0123456789abcdef-",
            "batch_req_0123456789abcdef-0123456789abcde",
            "batch_req_0123456789abcdef-0123456789abcdef0",
            "batch_req_+123456789abcdef-0123456789abcdef",
            "batch_req_0123456789ABCDEF-0123456789abcdef",
            "resp_0123456789abcdef-0123456789abcdef",
            "batch_req_é123456789abcde-0123456789abcdef",
        ] {
            assert_eq!(Fingerprint::from_line_id(id), None, "{id}");
        }
    }

    #[test]
    fn bodies_that_differ_in_one_character_are_told_apart() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..20_000 {
            let body = json!({"model": "m", "input": format!("request {number}")});
            assert!(seen.insert(Fingerprint::of("/v1/embeddings", &body).0));
        }
    }
}

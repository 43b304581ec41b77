//! A line of the usual form, read no further than to know its request from another.
//!
//! Of a file of which most is done nearly all lines are looked at for that alone. A line of another form,
//! or with another fingerprint, is read in full.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::batch::fingerprint::Fingerprint;

/// What names a line and its request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::batch) struct Plain<'a> {
    pub(in crate::batch) id: &'a str,
    /// Of the request, if its body has the form in which fingerprints are taken, white space aside;
    /// otherwise one of no request.
    pub(in crate::batch) print: Fingerprint,
}

/// The fields of a line, without escapes in them and none of them twice.
#[derive(Deserialize)]
struct Fields<'a> {
    custom_id: &'a str,
    #[serde(borrow, default, deserialize_with = "stated")]
    method: Option<&'a RawValue>,
    url: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Null is something too.
fn stated<'de, D: Deserializer<'de>>(field: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(field).map(Some)
}

impl<'a> Plain<'a> {
    /// `buffer` is for the work, to be kept from line to line.
    pub(super) fn read(line: &'a [u8], buffer: &mut Vec<u8>) -> Option<Self> {
        // An array would be taken for one field after the other.
        if !line.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let fields: Fields<'_> = serde_json::from_slice(line).ok()?;
        if fields
            .method
            .is_some_and(|method| method.get() != "\"POST\"")
        {
            return None;
        }
        let body = fields.body.get();
        if !body.starts_with('{') {
            return None;
        }
        buffer.clear();
        buffer.extend_from_slice(fields.url.as_bytes());
        buffer.push(b'\n');
        push_without_space(buffer, body);
        Some(Self {
            id: fields.custom_id,
            print: Fingerprint::of_compact(buffer),
        })
    }
}

/// Adds JSON without the white space between its words.
fn push_without_space(buffer: &mut Vec<u8>, json: &str) {
    let mut rest = json.as_bytes();
    let mut is_inside = false;
    while let Some(at) = rest.iter().position(|byte| match is_inside {
        true => matches!(byte, b'"' | b'\\'),
        false => matches!(byte, b'"' | b' ' | b'\t' | b'\n' | b'\r'),
    }) {
        let (before, from) = rest.split_at(at);
        buffer.extend_from_slice(before);
        let taken = match (from[0], is_inside) {
            (b'"', _) => {
                is_inside = !is_inside;
                buffer.push(b'"');
                1
            }
            (_, true) => {
                let escape = &from[..from.len().min(2)];
                buffer.extend_from_slice(escape);
                escape.len()
            }
            (_, false) => 1,
        };
        rest = &from[taken..];
    }
    buffer.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn plain(line: &str) -> Option<(String, Fingerprint)> {
        let found = Plain::read(line.as_bytes(), &mut Vec::new());
        found.map(|it| (it.id.to_owned(), it.print))
    }

    fn line(body: &str) -> String {
        format!(r#"{{"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {body} }}"#)
    }

    #[test]
    fn white_space_does_not_count_but_in_strings() {
        let bodies = [
            r#"{"model":"m","text":"a \" b\\","list":[1,-2,{"a":null}],"ok":true}"#,
            "{\"model\": \"m\",\t\"text\": \"a \\\" b\\\\\",  \"list\":[1, -2 ,{\"a\" : null}], \"ok\": true }",
        ];
        for body in bodies {
            let value: Value = serde_json::from_str(body).unwrap();
            let expected = Fingerprint::of("/v1/x", &value);
            assert_eq!(
                plain(&line(body)),
                Some(("a".to_owned(), expected)),
                "{body}"
            );
        }
    }

    #[test]
    fn a_line_of_another_form_is_read_in_full() {
        let good = line(r#"{"model":"m"}"#);
        for (from, to) in [
            ("\"POST\"", "\"GET\""),
            ("\"POST\"", "null"),
            ("\"a\"", "7"),
            ("\"a\"", r#""\u0061""#),
            ("{\"model\":\"m\"}", "[]"),
            ("\"custom_id\": \"a\"", r#""custom_id":"a","custom_id":"b""#),
            ("\"url\"", "\"uri\""),
        ] {
            assert!(good.contains(from), "{from}");
            assert_eq!(plain(&good.replace(from, to)), None, "{to}");
        }
        assert!(plain(&good).is_some());
        assert_eq!(plain(r#"["a","POST","/v1/x",{}]"#), None);
        // Numbers that a fingerprint has otherwise, and escapes: nothing that is done has such a one.
        for body in [r#"{"n":1.5}"#, r#"{"n":1e3}"#, r#"{"n":"\u0061"}"#] {
            let value: Value = serde_json::from_str(body).unwrap();
            let (_, print) = plain(&line(body)).unwrap();
            assert_ne!(print, Fingerprint::of("/v1/x", &value), "{body}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(|text| json!(text)),
            Just(json!(null)),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| json!(fields)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_we_write_has_its_fingerprint(value in value()) {
            let body = json!({"model": "m", "value": value});
            let expected = Fingerprint::of("/v1/x", &body);
            for text in [body.to_string(), serde_json::to_string_pretty(&body).unwrap()] {
                let text = text.replace('\n', " "); // strings have it as an escape
                prop_assert_eq!(plain(&line(&text)).map(|(_, print)| print), Some(expected));
            }
        }
    }
}

//! Bodies as texts: JSON, nearly JSON, the beginning of some, and something else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn what_is_not_quite_json_is_repaired_and_says_so() {
    use Repair::{ByteOrderMark, ControlCharacter, Escape, InvalidUtf8, NotANumber};
    let table: [(&[u8], &str, &[Repair]); 12] = [
        (b"\xef\xbb\xbf{\"a\": 1}", "{\"a\": 1}", &[ByteOrderMark]),
        (
            b"{\"a\": \"caf\xe9\"}",
            "{\"a\": \"caf\u{fffd}\"}",
            &[InvalidUtf8],
        ),
        (b"{\"a\": NaN}", "{\"a\": null}", &[NotANumber]),
        (
            b"{\"a\": [-Infinity, Infinity,nan , -inf,-nan]}",
            "{\"a\": [null, null,null , null,null]}",
            &[NotANumber],
        ),
        (b"{\"NaN\": \"Infinity\"}", "{\"NaN\": \"Infinity\"}", &[]),
        (
            b"{\"a\": \"x\ny\"}",
            "{\"a\": \"x\\u000ay\"}",
            &[ControlCharacter],
        ),
        (b"{\"a\ty\": 1}", "{\"a\\u0009y\": 1}", &[ControlCharacter]),
        (b"{\"a\": \"\\d+\"}", "{\"a\": \"\\\\d+\"}", &[Escape]),
        (b"{\"a\": \"\\u12g4\"}", "{\"a\": \"\\\\u12g4\"}", &[Escape]),
        (b"\n\n \r\n{\"a\": 1}\n", "\n\n \r\n{\"a\": 1}\n", &[]),
        (
            b"{\"a\": 1e999, \"b\": \"\\ud83d\"}",
            "{\"a\": 1e999, \"b\": \"\\ud83d\"}",
            &[],
        ),
        (
            b"\xef\xbb\xbf{\"a\": NaN, \"b\": \"\xff\"}",
            "{\"a\": null, \"b\": \"\u{fffd}\"}",
            &[ByteOrderMark, InvalidUtf8, NotANumber],
        ),
    ];
    for (step, (bytes, expected, repaired)) in table.into_iter().enumerate() {
        let body = read(Other, bytes.to_vec()).unwrap();
        assert_eq!(body.text, expected, "step {step}");
        assert_eq!(body.repaired, repaired, "step {step}");
        assert!(value(&body.text).is_ok(), "step {step}");
    }
}

#[test]
fn what_breaks_off_is_told_from_what_is_something_else() {
    // Also in a string with what would be repaired, at which serde stops first.
    for begun in ["\"\\[ ]", "\"a\nb", "\"\\ud83d"] {
        let read = read_text(Other, begun);
        assert_eq!(
            read,
            Err(Unreadable::EndsEarly(begun.to_owned())),
            "{begun}"
        );
    }
    let whole = r#"{"a": [1, -2.5e+3, true, false, null, "\u00e9\n", NaN, -Infinity], "choices": [{"message": {"content": "x"}}]}"#;
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let begun = &whole[..end];
        assert_eq!(
            read_text(Other, begun),
            Err(Unreadable::EndsEarly(begun.to_owned())),
            "{begun}"
        );
    }
    for text in [
        "<html>",
        "upstream error",
        "Internal Server Error",
        "Not found",
        "no healthy upstream",
        "data: {\"choices\": []}\n\n",
        "{} {}",
        "{'a': 1}",
        "{\"a\": 1,}",
        "[1, 2",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\": 01}",
        "{\"a\": +1}",
        "{\"a\": nope}",
        "]",
        "{]",
    ] {
        let is_begun = text == "[1, 2";
        let read = read_text(Other, text);
        assert_eq!(
            matches!(read, Err(Unreadable::NotJson(_))),
            !is_begun,
            "{text}: {read:?}"
        );
    }
}

#[test]
fn depth_is_no_matter() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 1_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = read_text(Other, &format!("{{\"choices\": [{{}}], \"x\": {deep}}}"));
            assert_eq!(body.unwrap().fault, None, "{depth}");
            let mixed = format!("{}[1}}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(
                matches!(read_text(Other, &mixed), Err(Unreadable::NotJson(_))),
                "{depth}"
            );
            assert_eq!(value(&deep).is_ok(), depth <= 200, "{depth}");
        }
    }
}

#[test]
fn what_serde_refuses_becomes_a_value() {
    let read = value(r#"{"a": "x\ud83dy", "b": "\ud83d\ude00", "c": "\ude00\ud83d", "d": "é"}"#);
    let expected = json!({"a": "x\u{fffd}y", "b": "😀", "c": "\u{fffd}\u{fffd}", "d": "é"});
    assert_eq!(read.unwrap(), expected);
    assert_eq!(value("[1, 2.5]").unwrap(), json!([1, 2.5]));
    assert!(value("[1e999, -1E+400]").unwrap().is_array());
    assert!(value("[1").is_err());
}

/// JSON of every kind, and what is only nearly some.
fn any_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| Value::from(number).to_string()),
        "\\PC{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just("\"\\ud83d\\ude00\\/\"".to_owned()),
        Just("1E+2".to_owned()),
    ];
    let json = leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![
            Just("choices".to_owned()),
            Just("error".to_owned()),
            Just("output".to_owned()),
            Just("content".to_owned()),
            Just("message".to_owned()),
            Just("usage".to_owned()),
            "[a-z]{0,3}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[ {}]", items.join(" ,"))),
            prop::collection::vec((name, inner), 0..6).prop_map(|fields| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":\n{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    let broken = (json.clone(), any::<prop::sample::Index>(), "\\PC{0,2}").prop_map(
        |(mut text, at, with)| {
            let mut at = at.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, &with);
            text
        },
    );
    prop_oneof![json, broken]
}

proptest! {
    #[test]
    fn what_serde_takes_is_taken_and_what_is_passed_on_is_json(text in any_text()) {
        let serde = serde_json::from_str::<Value>(&text);
        match (serde, read_text(Chat, &text)) {
            (Ok(json), Ok(body)) => {
                prop_assert_eq!(&body.text, &text);
                prop_assert_eq!(value(&text).unwrap(), json);
            }
            (Ok(_), Err(error)) => prop_assert!(false, "{error:?}"),
            (Err(error), Err(Unreadable::EndsEarly(_))) => {
                // In a string without an end serde stops at the first control character or escape that it does
                // not take. Both are repaired here.
                let error_text = error.to_string();
                let is_repaired = ["control character", "escape"].iter().any(|it| error_text.contains(it));
                prop_assert!(error.is_eof() || is_repaired, "{error}");
            }
            (Err(_), Err(Unreadable::NotJson(_))) => {}
            (Err(_), Ok(body)) => {
                let is_strange = value(&text).is_ok();
                prop_assert!(is_strange || !body.repaired.is_empty(), "{text}");
                prop_assert!(value(&body.text).is_ok(), "{}", body.text);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(Chat, bytes);
    }
}

use serde_json::json;

use super::*;
use crate::error::{ApiError, ErrorKind};
use crate::{Error, TransportKind};

const KEY: &str = "sk-proj/9F3kQz-7LmT4xWb2";

fn secrets() -> Secrets {
    let headers = [("Authorization".to_owned(), Secret(format!("Bearer {KEY}")))];
    Secrets::new(&headers, &[])
}

/// Whether eight letters and digits of the key stand in a text, in any form that a reader would see.
fn shows(text: &str) -> bool {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let (text, key) = (letters(text), letters(KEY));
    (0..=key.len() - 8).any(|at| text.contains(&key[at..at + 8]))
}

fn base64_of(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let mut bits = 0_usize;
        for at in 0..3 {
            bits = bits << 8 | usize::from(three.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * at) & 0x3f];
            encoded.push(if at > three.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    encoded
}

#[test]
fn a_key_is_hidden_in_every_form() {
    let escaped: String = KEY
        .chars()
        .map(|char| format!("\\u{:04x}", u32::from(char)))
        .collect();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = percent.replace('%', "%25");
    let hexadecimal: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let entities: String = KEY.bytes().map(|byte| format!("&#{byte};")).collect();
    let coloured: String = KEY
        .chars()
        .map(|char| format!("\u{1b}[31m{char}\u{1b}[0m"))
        .collect();
    let spaced: String = KEY.chars().map(|char| format!("{char} \u{200b}")).collect();
    let forms = [
        KEY.to_owned(),
        KEY.to_ascii_uppercase(),
        KEY.replace('/', "\\/"),
        KEY.replace('/', "%2F"),
        KEY.replace('-', "\n"),
        escaped.clone(),
        escaped.replace('\\', "\\\\"),
        percent,
        twice,
        hexadecimal,
        entities,
        coloured,
        spaced,
        KEY.chars()
            .map(|char| char::from_u32(u32::from(char) + 0xfee0).unwrap())
            .collect(),
        base64_of(KEY),
        base64_of(&format!("user:{KEY}")),
        base64_of(&format!("ab{KEY}")),
        base64_of(KEY).replace('+', "-").replace('/', "_"),
        KEY[..12].to_owned(),
        KEY[10..].to_owned(),
    ];
    let secrets = secrets();
    for form in forms {
        let text = format!("Incorrect API key provided: {form}. See https://example.com/keys.");
        let hidden = secrets.hide(&text);
        assert!(hidden.contains("[secret]"), "{form}: {hidden}");
        assert!(
            hidden.ends_with("See https://example.com/keys."),
            "{hidden}"
        );
        assert!(!shows(&hidden), "{form}: {hidden}");
        assert!(hidden.len() < text.len() || form.len() < 10, "{hidden}");
    }
}

#[test]
fn a_key_that_is_split_over_the_fields_of_an_error_is_hidden_in_each() {
    let (first, second) = KEY.split_at(5);
    let pieces: Vec<String> = KEY.chars().map(String::from).collect();
    let mut error = Error::from(Box::new(ApiError {
        kind: ErrorKind::Account,
        status: 401,
        effective_status: None,
        message: first.to_owned(),
        code: Some(second.to_owned()),
        error_type: Some(base64_of(KEY)),
        request_id: Some(KEY.to_owned()),
        retry_after: None,
        body: Some(json!({"a": [pieces, 1], KEY: {"b": first, "c": second}, "d": "fine"})),
    }));
    secrets().hide_in_error(&mut error);
    let shown = format!("{error} {error:?}");
    assert!(!shows(&shown), "{shown}");
    assert!(
        shown.contains("fine") && shown.contains("[secret]"),
        "{shown}"
    );
    let mut error = Error::Transport {
        url: String::new(),
        kind: TransportKind::Other,
        message: format!("it says {KEY}"),
        unsent: false,
        source: None,
    };
    secrets().hide_in_error(&mut error);
    assert!(error.to_string().ends_with("it says [secret]"), "{error}");
}

#[test]
fn ordinary_words_stay() {
    let headers = [
        (
            "Authorization".to_owned(),
            Secret("Bearer not-needed-here".to_owned()),
        ),
        (
            "x-title".to_owned(),
            Secret("Great Application 2".to_owned()),
        ),
        (
            "anthropic-version".to_owned(),
            Secret("2023-06-01".to_owned()),
        ),
        ("api-key".to_owned(), Secret("abc12".to_owned())),
    ];
    let secrets = Secrets::new(&headers, &["sk-openrouter-0a9b8c7d".to_owned()]);
    let table = [
        (
            "openrouter says that it is not needed",
            "openrouter says that it is not needed",
        ),
        ("key not-needed-here.", "key [secret]."),
        ("a Great Application", "a Great Application"),
        (
            "a Great Application 2, version 2023-06-01",
            "a [secret], version 2023-06-01",
        ),
        ("key abc12, not abc123", "key [secret], not abc123"),
        ("sk-openrouter-0a9b8c7d!", "[secret]!"),
    ];
    for (text, expected) in table {
        assert_eq!(secrets.hide(text), expected);
    }
}

#[test]
fn what_is_long_is_cut_and_says_so() {
    let secrets = secrets();
    let id = secrets.request_id(&format!("{}\u{1b}\u{202e}", "r".repeat(300)));
    assert_eq!(id, format!("{}…", "r".repeat(200)));
    assert_eq!(secrets.request_id("a\u{1b}[2J"), "a\u{fffd}[2J");
    let mut error = Error::InvalidResponse {
        url: String::new(),
        message: "ä".repeat(5_000),
    };
    secrets.hide_in_error(&mut error);
    assert!(
        error.to_string().ends_with("ä… (2000 more bytes)"),
        "{error}"
    );
}

#[test]
fn the_body_of_a_success_is_only_searched_for_the_key_as_it_was_sent() {
    let body = json!({"headers": {"authorization": KEY}, "text": "hi"}).to_string();
    let escaped = body.replace('/', "\\/");
    for text in [&mut body.clone(), &mut escaped.clone()] {
        secrets().hide_exact(text);
        assert_eq!(
            *text,
            r#"{"headers":{"authorization":"[secret]"},"text":"hi"}"#
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_no_key_is_left(before in ".{0,40}", after in ".{0,40}", cut in 0_usize..24) {
        let text = format!("{before}{}{after}", &KEY[cut..]);
        let hidden = secrets().hide(&text).into_owned();
        proptest::prop_assert!(!shows(&hidden), "{hidden}");
    }
}

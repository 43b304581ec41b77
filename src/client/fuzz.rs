//! What a server sends, as inputs of a fuzzer.

use std::io::Cursor;
use std::time::{Duration, SystemTime};

use super::answer::{read, read_chunk, value};
use super::authorization::Secret;
use super::errors::{api_error, error_inside};
use super::events::next_event;
use super::secrets::Secrets;
use super::transport::{BaseUrl, Headers};
use crate::error::Error;
use crate::providers::{ProviderTable, Reading, quote};
use crate::tokens::Endpoint;

const ENDPOINTS: [Endpoint; 5] = [
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Completions,
    Endpoint::Embeddings,
    Endpoint::Other,
];

fn now() -> SystemTime {
    // 2026-11-25T08:00:00Z
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600)
}

/// Headers, one a line.
pub(crate) fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = Headers::of_lines(&text);
    let lines: Vec<(&str, &str)> = lines.iter().collect();
    let mut heard = ProviderTable::global().read(None, &lines, now());
    for status in [200, 429, 503] {
        heard.judge(status, None);
        let error = api_error(status, &heard, b"{}");
        heard.judge(status, Some(&error));
        let _ = (heard.wait(), error.to_string());
    }
    let base = text.lines().next().unwrap_or_default();
    let _ = BaseUrl::parse(base).map(|base| base.is_loopback());
}

/// The body of an error, behind a line with its status.
pub(crate) fn error_body(bytes: &[u8]) {
    let (status, body) = split(bytes);
    let mut heard = Reading::default();
    let api = api_error(status, &heard, body);
    heard.judge(status, Some(&api));
    let _ = (heard.wait(), quote(&String::from_utf8_lossy(body)));
    let mut error = Error::from(Box::new(api));
    let headers = [(
        "authorization".to_owned(),
        Secret("Bearer sk-proj-Zq81xT0pS3cr3tV7".to_owned()),
    )];
    Secrets::new(&headers, &[]).hide_in_error(&mut error);
    assert!(
        !format!("{error:?}").contains("Zq81xT0pS3cr3tV7"),
        "a key is left in {error:?}"
    );
}

/// The body of a success.
pub(crate) fn success_body(bytes: &[u8]) {
    for endpoint in ENDPOINTS {
        let Ok(body) = read(endpoint, bytes.to_vec()) else {
            continue;
        };
        assert_json(&body.text);
        if let Some(fault) = body.fault {
            let error = error_inside(200, &Reading::default(), &body.text, fault);
            Reading::default().judge(200, Some(&error));
        }
    }
}

/// A stream of events.
pub(crate) fn events(bytes: &[u8]) {
    let mut lines = Cursor::new(bytes);
    while let Ok(Some(event)) = next_event(&mut lines) {
        if let Ok(chunk) = read_chunk(&event) {
            assert_json(&chunk.text);
        }
    }
}

/// JSON, of which some readers refuse numbers that no double can hold.
fn assert_json(text: &str) {
    if let Err(error) = value(text) {
        let is_range = error.to_string().contains("number out of range");
        assert!(is_range, "not JSON: {text}");
    }
}

/// The number of the first line, and the rest.
fn split(bytes: &[u8]) -> (u16, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (first, rest) = bytes.split_at(end.unwrap_or(0));
    let status = std::str::from_utf8(first)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    (status.unwrap_or(400), rest)
}

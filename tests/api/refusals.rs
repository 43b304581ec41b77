//! Errors that no retry makes right.

use paceline::sim::SimConfig;
use paceline::{Error, ErrorKind, Limits, Unit};
use serde_json::json;

use super::scripted::{Scripted, Step};
use super::support::{KEY, builder, client, free_simulator, simulator};

#[test]
fn a_wrong_key_is_an_account_error() {
    let simulator = simulator(SimConfig::new().api_key(Some("another".to_owned())));
    let error = client(simulator.base_url()).chat("a").unwrap_err();
    assert!(error.is_account_error(), "{error}");
    assert!(!error.is_retryable(), "{error}");
    assert_eq!(simulator.report().received, 1);
}

#[test]
fn what_can_never_fit_is_refused_before_it_is_sent() {
    let simulator = free_simulator();
    let limits = Limits::tokens_per_minute(1_000).unwrap();
    let client = builder(simulator.base_url()).limits(limits);
    let error = client.build().unwrap().chat("a").unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                unit: Unit::Tokens,
                cost: 1_008,
                amount: 1_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(simulator.report().received, 0);
}

#[test]
fn a_closed_limiter_sends_nothing() {
    let simulator = free_simulator();
    let client = client(simulator.base_url());
    client.registry().limiter_for(client.model()).close();
    assert!(matches!(client.chat("a"), Err(Error::Closed)));
    assert_eq!(simulator.report().received, 0);
}

#[test]
fn requests_that_cannot_be_sent_are_refused_at_once() {
    let server = Scripted::start([]);
    let client = client(server.base_url());
    let table = [
        ("/embeddings", json!([1]), "object"),
        ("/embeddings", json!("a"), "object"),
        ("/embeddings", json!({"stream": true}), "stream"),
        ("/chat/completions", json!({"stream": true}), "stream"),
        ("/two words", json!({}), "path"),
        ("/\u{0}", json!({}), "path"),
    ];
    for (step, (path, body, word)) in table.into_iter().enumerate() {
        let error = client.post(path, &body).unwrap_err();
        assert!(
            matches!(error, Error::InvalidRequest(_)),
            "step {step}: {error}"
        );
        assert!(error.to_string().contains(word), "step {step}: {error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn final_errors_are_sent_once() {
    let later = ["retry-after-ms: 1"];
    let never = ["x-should-retry: false"];
    let found = ["location: /v1/chat/completions"];
    let table: [(u16, &str, &[&str], ErrorKind); 11] = [
        (400, "invalid_value", &later, ErrorKind::Request),
        (401, "invalid_api_key", &later, ErrorKind::Account),
        (403, "forbidden", &later, ErrorKind::Forbidden),
        (404, "model_not_found", &[], ErrorKind::Request),
        (429, "insufficient_quota", &later, ErrorKind::Account),
        (429, "rate_limit_exceeded", &never, ErrorKind::RateLimited),
        (500, "", &never, ErrorKind::Server),
        (501, "", &later, ErrorKind::Request),
        (505, "", &[], ErrorKind::Request),
        // Followed, they would go out a second time past the limiter.
        (302, "", &found, ErrorKind::Request),
        (307, "", &found, ErrorKind::Request),
    ];
    for (step, (status, code, headers, kind)) in table.into_iter().enumerate() {
        let server = Scripted::start([Step::error(status, code, headers)]);
        let client = client(server.base_url());
        let error = client.chat("a").unwrap_err();
        let Error::Api(api) = &error else {
            panic!("step {step}: {error}");
        };
        assert_eq!((api.status, api.kind), (status, kind), "step {step}");
        assert_eq!(server.requests().len(), 1, "step {step}");
        assert_eq!(client.stats().retries, 0, "step {step}");
        assert_eq!(
            error.is_account_error(),
            kind == ErrorKind::Account,
            "step {step}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_refused_when_the_client_is_built() {
    let table = [
        (builder("ftp://host/v1"), "base URL"),
        (builder("http://"), "base URL"),
        (builder("http://user:s3cret@host/v1"), "base URL"),
        (builder("http://host").header("two words", "x"), "header"),
        (builder("http://host").header("x", "s3cret\nword"), "header"),
        (builder("http://host").api_key(" \n"), "key"),
        (builder("http://host").api_key("s3cret\nword"), "key"),
        (
            builder("http://host").timeout(std::time::Duration::ZERO),
            "timeout",
        ),
    ];
    for (step, (builder, word)) in table.into_iter().enumerate() {
        let Err(error) = builder.build() else {
            panic!("step {step}: it was built");
        };
        let error = error.to_string();
        assert!(error.contains(word), "step {step}: {error}");
        assert!(!error.contains("s3cret"), "step {step}: {error}");
    }
}

#[test]
fn a_caller_s_own_authorization_is_the_only_one() {
    let server = Scripted::start([Step::chat(1, 1)]);
    let client = builder(server.base_url()).header("authorization", "Basic abc");
    client.build().unwrap().chat("a").unwrap();
    let sent: Vec<_> = server.requests()[0]
        .headers
        .iter()
        .filter(|header| header.to_ascii_lowercase().starts_with("authorization:"))
        .cloned()
        .collect();
    assert_eq!(sent, ["authorization: Basic abc"]);
    assert!(!server.requests()[0].headers.concat().contains(KEY));
}

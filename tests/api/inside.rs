//! Failures with a status of success, and answers that are not quite JSON.

use std::thread;
use std::time::Instant;

use paceline::{Completion, Error, ErrorKind, Repair, Response, Result, TransportKind};
use serde_json::{Value, json};

use super::scripted::{Scripted, Step};
use super::support::{KEY, SECOND, builder, client};

const CHAT: &str = "/chat/completions";

fn json_step(body: &Value) -> Step {
    Step::json(200, &[], &body.to_string())
}

/// A whole answer of these bytes.
fn bytes(kind: &str, body: &[u8]) -> Step {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    Step::Bytes([head.as_bytes(), body].concat())
}

fn good(path: &str) -> Value {
    match path {
        "/embeddings" => json!({"data": [{"index": 0, "embedding": [0.5]}]}),
        "/moderations" => json!({"results": [{"flagged": false}]}),
        "/responses" => json!({"object": "response", "output": [{"type": "message"}]}),
        "/images/generations" => json!({"data": [{"b64_json": "AA=="}]}),
        "/messages" => json!({"type": "message", "content": [{"type": "text", "text": "a"}]}),
        _ => json!({"choices": [{"text": "a", "message": {"content": "a"}}]}),
    }
}

fn post(server: &Scripted, path: &str) -> Result<Response> {
    client(server.base_url()).post(path, &json!({"model": "m"}))
}

#[test]
fn a_failure_with_a_status_of_success_is_retried() {
    let error = json!({"error": {"message": "Provider returned error", "code": 502}});
    let failed = json!({"object": "response", "status": "failed", "output": [],
        "error": {"code": "server_error", "message": "An error occurred"}});
    let table = [
        (CHAT, error.clone()),
        (CHAT, json!([error])),
        (
            CHAT,
            json!({"error": {"message": "Rate limit exceeded", "code": 429}}),
        ),
        (
            CHAT,
            json!({"error": {"message": "no server", "type": "overloaded_error"}}),
        ),
        (
            CHAT,
            json!({"choices": [{"finish_reason": "error", "error": {"code": 502}}]}),
        ),
        (CHAT, json!({"choices": null, "usage": null})),
        (CHAT, json!({"choices": []})),
        (CHAT, json!({})),
        (CHAT, json!(null)),
        (CHAT, json!("upstream error")),
        (CHAT, json!([])),
        ("/completions", json!({"detail": "busy"})),
        ("/responses", failed),
        ("/responses", json!({"status": "cancelled", "output": []})),
        ("/embeddings", json!({"data": null})),
        ("/moderations", json!({})),
        ("/images/generations", error.clone()),
        (
            "/messages",
            json!({"type": "error", "error": {"type": "api_error", "message": "m"}}),
        ),
    ];
    thread::scope(|scope| {
        for (step, (path, body)) in table.into_iter().enumerate() {
            scope.spawn(move || {
                let server = Scripted::start([json_step(&body), json_step(&good(path))]);
                let answer = post(&server, path);
                let answer = answer.unwrap_or_else(|error| panic!("step {step}: {error}"));
                assert_eq!(answer.attempts, 2, "step {step}: {body}");
                assert_eq!(answer.body, good(path), "step {step}");
            });
        }
    });
}

#[test]
fn a_failure_with_a_status_of_success_acts_as_what_it_names() {
    let table = [
        (
            json!({"code": 400, "message": "m"}),
            Some(400),
            ErrorKind::Request,
        ),
        (
            json!({"code": "403", "message": "flagged"}),
            Some(403),
            ErrorKind::Forbidden,
        ),
        (
            json!({"code": 402, "message": "no credits"}),
            Some(402),
            ErrorKind::Account,
        ),
        (
            json!({"code": 501, "message": "m"}),
            Some(501),
            ErrorKind::Request,
        ),
        (
            json!({"code": "insufficient_quota", "message": "m"}),
            Some(429),
            ErrorKind::Account,
        ),
        (
            json!({"code": "invalid_prompt", "message": "m"}),
            Some(400),
            ErrorKind::Request,
        ),
    ];
    for (step, (error, status, kind)) in table.into_iter().enumerate() {
        let server = Scripted::start([json_step(&json!({"error": error}))]);
        let Err(Error::Api(api)) = post(&server, CHAT) else {
            panic!("step {step}");
        };
        assert_eq!(
            (api.status, api.effective_status),
            (200, status),
            "step {step}"
        );
        assert_eq!(api.kind, kind, "step {step}");
        assert_eq!(server.requests().len(), 1, "step {step}");
        let shown = format!(
            "the server answered 200, but failed with {}",
            status.unwrap()
        );
        assert!(api.to_string().starts_with(&shown), "step {step}: {api}");
    }
}

#[test]
fn a_failure_that_says_nothing_of_itself_is_quoted() {
    let body = json!({"choices": null, "usage": null});
    let server = Scripted::start([json_step(&body)]);
    let client = builder(server.base_url()).max_retries(0).build().unwrap();
    let error = client.chat("a").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the server answered 200, but failed: the response has no choices: {body}")
    );
}

#[test]
fn a_rate_limit_with_a_status_of_success_holds_back_every_sharer() {
    let message = "Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 90s.";
    for (step, error) in [
        json!({"error": {"code": 429, "message": message}}),
        json!({"error": {"code": "rate_limit_exceeded", "message": message}}),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Scripted::start([json_step(&error)]);
        let client = builder(server.base_url()).max_retries(0).build().unwrap();
        assert!(client.chat("a").is_err());
        assert_eq!(client.stats().rate_limited, 1, "step {step}");
        let limiter = client.registry().limiter_for(client.model());
        let left = limiter.snapshot().paused_for;
        assert!(left > 60 * SECOND, "step {step}: {left:?}");
    }
}

#[test]
fn what_is_no_json_is_asked_for_once_more_and_quoted_without_secrets() {
    let page = format!("<html>\n<title>Log in to Guest\u{1b}[31m Wi-Fi {KEY}</title></html>");
    let table = [
        (
            "text/html",
            page.as_bytes(),
            "a page where JSON is due: <html> <title>Log in to Guest [31m Wi-Fi [secret]",
        ),
        (
            "text/plain",
            b"upstream error",
            "text where JSON is due: upstream error",
        ),
        (
            "application/json",
            b"data: {\"choices\": []}\n\n",
            "text where JSON is due: data: {",
        ),
    ];
    for (step, (kind, body, expected)) in table.into_iter().enumerate() {
        let server = Scripted::start(vec![bytes(kind, body); 9]);
        let client = builder(server.base_url()).max_retries(8).build().unwrap();
        let error = client.chat("a").unwrap_err();
        assert!(
            matches!(error, Error::InvalidResponse { .. }),
            "step {step}: {error}"
        );
        assert!(error.to_string().contains(expected), "step {step}: {error}");
        assert_eq!(server.requests().len(), 2, "step {step}");
    }
}

#[test]
fn what_breaks_off_is_a_lost_connection_and_quoted() {
    let begun = r#"{"choices": [{"message": {"content": "half of it"#;
    let head =
        |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{begun}");
    let chunk = format!("{:x}\r\n{begun}\r\n", begun.len());
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    let table = [
        (Step::Last(head(500)), "half of it"),
        (Step::Answer(head(begun.len())), "half of it"),
        (Step::Last(chunked.clone()), "half of it"),
        (Step::Answer(chunked + "0\r\n\r\n"), "half of it"),
        (bytes("application/json", b""), "no body"),
        (bytes("application/json", b"\n\n"), "after 2 bytes"),
    ];
    thread::scope(|scope| {
        for (step, (first, expected)) in table.into_iter().enumerate() {
            scope.spawn(move || {
                let server = Scripted::start([first.clone()]);
                let client = builder(server.base_url()).max_retries(0).build().unwrap();
                let error = client.chat("a").unwrap_err();
                let Error::Transport { kind, unsent, .. } = &error else {
                    panic!("step {step}: {error}");
                };
                assert_eq!(
                    (*kind, *unsent),
                    (TransportKind::Disconnected, false),
                    "step {step}: {error}"
                );
                assert!(error.to_string().contains(expected), "step {step}: {error}");
                let server = Scripted::start([first.clone(), first, Step::chat(1, 1)]);
                assert_eq!(post(&server, CHAT).unwrap().attempts, 3, "step {step}");
            });
        }
    });
}

#[test]
fn an_answer_that_is_not_quite_json_is_not_bought_again() {
    let body = br#"{"id": "x", "choices": [{"message": {"content": "paid for"}, "n": 0}]}"#;
    let with = |from: &[u8], to: &[u8]| {
        let at = body
            .windows(from.len())
            .position(|part| part == from)
            .unwrap();
        [&body[..at], to, &body[at + from.len()..]].concat()
    };
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let table = [
        (
            [b"\xef\xbb\xbf", &body[..]].concat(),
            vec![Repair::ByteOrderMark],
        ),
        (with(b"0", b"-Infinity"), vec![Repair::NotANumber]),
        (with(b"0", b"NaN"), vec![Repair::NotANumber]),
        (with(b"\"x\"", b"\"caf\xe9\""), vec![Repair::InvalidUtf8]),
        (with(b"\"x\"", b"\"a\nb\""), vec![Repair::ControlCharacter]),
        (with(b"\"x\"", b"\"\\_\""), vec![Repair::Escape]),
        // JSON, though not to every reader.
        (with(b"\"x\"", b"\"\\ud83d\""), vec![]),
        (with(b"0", b"1e999"), vec![]),
        (with(b"0", deep.as_bytes()), vec![]),
        // Waiting by blank lines.
        ([b"\n\n\n \r\n", &body[..]].concat(), vec![]),
    ];
    for (step, (body, repaired)) in table.into_iter().enumerate() {
        let server = Scripted::start([bytes("application/json", &body)]);
        let answer = client(server.base_url()).chat("a");
        let answer = answer.unwrap_or_else(|error| panic!("step {step}: {error}"));
        assert_eq!(answer.text(), "paid for", "step {step}");
        assert_eq!(answer.response().repaired, repaired, "step {step}");
        assert_eq!(
            answer.response().completion,
            Completion::Complete,
            "step {step}"
        );
    }
}

#[test]
fn a_response_without_a_body_is_an_answer_only_where_none_is_due() {
    let nothing = || Step::Answer("HTTP/1.1 204 No Content\r\n\r\n".to_owned());
    let server = Scripted::start([nothing()]);
    assert_eq!(post(&server, "/notes").unwrap().body, Value::Null);
    let server = Scripted::start([nothing(), nothing(), nothing()]);
    let error = post(&server, CHAT).unwrap_err();
    assert!(error.to_string().contains("204 without a body"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_error_in_a_list_is_opened_under_any_status() {
    let body = json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Please retry in 0.3s"}}]);
    for (step, status) in [200, 429].into_iter().enumerate() {
        let refusal = Step::json(status, &["retry-after-ms: 300"], &body.to_string());
        let server = Scripted::start([refusal, Step::chat(1, 1)]);
        let client = client(server.base_url());
        let start = Instant::now();
        assert_eq!(client.chat("a").unwrap().text(), "fine", "step {step}");
        assert!(start.elapsed() >= SECOND * 3 / 10, "step {step}");
        assert_eq!(client.stats().rate_limited, 1, "step {step}");
    }
    let body =
        json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "too long"}}]);
    let server = Scripted::start([Step::json(400, &[], &body.to_string())]);
    let Err(Error::Api(error)) = post(&server, CHAT) else {
        panic!("it was refused");
    };
    assert_eq!(error.message, "too long");
    assert_eq!(error.error_type.as_deref(), Some("INVALID_ARGUMENT"));
}

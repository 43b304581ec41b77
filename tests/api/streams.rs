//! Answers piece by piece.

use std::sync::Arc;
use std::thread;

use paceline::sim::Simulator;
use paceline::{
    Accounting, ChatStream, Completion, Error, ErrorKind, Limits, RateLimitedClient, Registry,
};

use serde_json::json;

use super::scripted::{Scripted, Step};
use super::support::{builder, client, free_simulator, left_by, level, still};

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/// A stream of these events, sent whole and in chunks as the API does.
fn events(events: &[&str]) -> Step {
    let mut text = format!("{EVENTS}Transfer-Encoding: chunked\r\n\r\n");
    for event in events {
        let event = format!("data: {event}\n\n");
        text.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
    }
    Step::Answer(format!("{text}0\r\n\r\n"))
}

fn piece(text: &str) -> String {
    format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"error":null}}"#)
}

fn text(stream: &mut ChatStream) -> String {
    stream
        .map(|piece| piece.unwrap().text().to_owned())
        .collect()
}

fn paying_by_usage(simulator: &Simulator, registry: &Arc<Registry>) -> RateLimitedClient {
    let client = builder(simulator.base_url()).registry(Arc::clone(registry));
    client.accounting(Accounting::Actual).build().unwrap()
}

#[test]
fn pieces_join_to_the_text_and_the_end_settles() {
    let simulator = free_simulator();
    let registry = still();
    let client = paying_by_usage(&simulator, &registry);
    let limiter = registry.limiter_for(client.model());
    let mut stream = client.chat_stream("Tell me a story.").unwrap();
    assert_eq!(
        level(&limiter),
        left_by(Accounting::Actual.reserve(12, 1_000))
    );
    let text = text(&mut stream);

    let usage = stream.usage().unwrap();
    assert_eq!(text.split(' ').count() as u64, usage.output_tokens);
    let used = Accounting::Actual.reserve(usage.input_tokens, usage.output_tokens);
    assert_eq!(level(&limiter), left_by(used));
    assert!(stream.next().is_none(), "an ended stream stays ended");
}

#[test]
fn a_stream_dropped_early_keeps_its_charge() {
    let simulator = free_simulator();
    let registry = still();
    let client = paying_by_usage(&simulator, &registry);
    let mut stream = client.chat_stream("Tell me a story.").unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    let reserved = Accounting::Actual.reserve(12, 1_000);
    assert_eq!(
        level(&registry.limiter_for(client.model())),
        left_by(reserved)
    );
}

#[test]
fn a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next() {
    let story = events(&[&piece("a"), &piece("b"), "[DONE]"]);
    let server = Scripted::start([story.clone(), story]);
    let client = client(server.base_url());
    for step in 0..2 {
        let mut stream = client.chat_stream("a").unwrap();
        assert_eq!(text(&mut stream), "ab", "step {step}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_and_is_not_sent_again() {
    let cut = format!(
        "{EVENTS}Transfer-Encoding: chunked\r\n\r\n1000\r\ndata: {}\n\n",
        piece("a")
    );
    let table = [
        (Step::Last(cut), "connection closed before"),
        (events(&[&piece("a")]), "without [DONE]"),
        (
            events(&[&piece("a"), "{\"choices\""]),
            "an event that is no JSON: {\"choices\"",
        ),
        (
            events(&[&piece("a"), r#"{"error":{"message":"overloaded"}}"#]),
            "overloaded",
        ),
    ];
    for (step, (answer, message)) in table.into_iter().enumerate() {
        let server = Scripted::start([answer]);
        let mut stream = client(server.base_url()).chat_stream("a").unwrap();
        assert_eq!(stream.next().unwrap().unwrap().text(), "a", "step {step}");
        let error = stream.next().unwrap().unwrap_err();
        assert!(error.to_string().contains(message), "step {step}: {error}");
        assert!(stream.next().is_none(), "step {step}: an error is the end");
        assert_eq!(server.requests().len(), 1, "step {step}");
    }
}

#[test]
fn an_error_before_the_stream_begins_is_retried() {
    let server = Scripted::start([
        Step::error(429, "rate_limit_exceeded", &["retry-after-ms: 1"]),
        events(&[&piece("a"), "[DONE]"]),
    ]);
    let client = client(server.base_url());
    assert_eq!(text(&mut client.chat_stream("a").unwrap()), "a");
    let body = &server.requests()[1].body;
    assert!(body.contains(r#""stream":true"#), "{body}");
    assert!(body.contains(r#""include_usage":true"#), "{body}");
}

#[test]
fn a_failure_before_the_first_piece_is_retried_whatever_the_status() {
    let json = |body: &str| Step::json(200, &[], body);
    let table = [
        events(&[r#"{"error":{"message":"busy","code":502}}"#]),
        events(&[r#"{"error":{"message":"slow down","code":"429"},"choices":null}"#]),
        events(&[r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#]),
        // Not as an event, and not as a stream.
        Step::Answer(format!(
            "{EVENTS}Content-Length: 17\r\n\r\n{{\"error\":\"busy\"}}\n"
        )),
        json(r#"{"error":{"message":"busy","code":502}}"#),
        json(r#"{"choices":null}"#),
        // Nothing at all.
        Step::Answer(format!("{EVENTS}Content-Length: 0\r\n\r\n")),
        Step::Last(EVENTS.to_owned() + "\r\n"),
    ];
    thread::scope(|scope| {
        for (step, first) in table.into_iter().enumerate() {
            scope.spawn(move || {
                let server = Scripted::start([first, events(&[&piece("a"), "[DONE]"])]);
                let stream = client(server.base_url()).chat_stream("a");
                let mut stream = stream.unwrap_or_else(|error| panic!("step {step}: {error}"));
                assert_eq!(text(&mut stream), "a", "step {step}");
                assert_eq!(stream.completion(), Completion::Complete, "step {step}");
                assert_eq!(server.requests().len(), 2, "step {step}");
            });
        }
    });
}

#[test]
fn an_error_in_a_stream_is_one_of_the_server_s() {
    let limited = r#"{"error":{"code":429,"message":"Rate limit reached. Try again in 90s"}}"#;
    let ended = r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":"server_error","message":"gone"}}"#;
    let table = [
        (limited, Some(429), ErrorKind::RateLimited, true),
        (ended, None, ErrorKind::Server, false),
    ];
    for (step, (event, status, kind, is_paused)) in table.into_iter().enumerate() {
        let server = Scripted::start([events(&[&piece("a"), event])]);
        let client = client(server.base_url());
        let mut stream = client.chat_stream("a").unwrap();
        assert_eq!(stream.next().unwrap().unwrap().text(), "a", "step {step}");
        let Error::Api(error) = stream.next().unwrap().unwrap_err() else {
            panic!("step {step}");
        };
        assert_eq!(
            (error.status, error.effective_status, error.kind),
            (200, status, kind),
            "step {step}"
        );
        let limiter = client.registry().limiter_for(client.model());
        assert_eq!(
            !limiter.snapshot().paused_for.is_zero(),
            is_paused,
            "step {step}"
        );
    }
}

#[test]
fn how_a_stream_ended_is_known_in_the_end() {
    let ends =
        |reason: &str| format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let table = [
        (Some("a"), "stop", Completion::Complete),
        (Some("a"), "length", Completion::CutOff),
        (None, "content_filter", Completion::Refused),
        (None, "stop", Completion::Empty),
    ];
    for (step, (content, reason, expected)) in table.into_iter().enumerate() {
        let pieces = content
            .map(piece)
            .into_iter()
            .chain([ends(reason), usage.to_owned()]);
        let pieces: Vec<String> = pieces.chain(["[DONE]".to_owned()]).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let server = Scripted::start([events(&pieces)]);
        let mut stream = client(server.base_url()).chat_stream("a").unwrap();
        assert_eq!(
            text(&mut stream),
            content.unwrap_or_default(),
            "step {step}"
        );
        assert_eq!(stream.completion(), expected, "step {step}");
        assert_eq!(stream.usage().unwrap().output_tokens, 2, "step {step}");
    }
}

#[test]
fn a_server_that_does_not_stream_is_read_all_the_same() {
    let server = Scripted::start([Step::chat(3, 4)]);
    let mut stream = client(server.base_url()).chat_stream("a").unwrap();
    assert_eq!(text(&mut stream), "fine");
    assert_eq!(stream.usage().unwrap().output_tokens, 4);
}

#[test]
fn a_whole_answer_cannot_be_asked_for_as_a_stream() {
    let server = Scripted::start([]);
    let client = client(server.base_url());
    let streamed = paceline::ChatRequest::from("a").set("stream", true);
    let error = client.chat(streamed).unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
    assert!(error.to_string().contains("chat_stream"), "{error}");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_request_has_its_place_in_flight_until_its_answer_has_ended() {
    let simulator = free_simulator();
    let limits = Limits::builder().tokens_per_minute(1_000_000).in_flight(1);
    let client = builder(simulator.base_url()).limits(limits.build().unwrap());
    let client = client.build().unwrap();
    let limiter = client.registry().limiter_for(client.model());
    let in_flight = || limiter.snapshot().in_flight;
    client.chat("One.").unwrap();
    assert_eq!(in_flight(), 0);
    let mut stream = client.chat_stream("Two.").unwrap();
    assert!(stream.next().is_some());
    assert_eq!(in_flight(), 1, "more of it is to come");
    assert!(stream.by_ref().all(|piece| piece.is_ok()));
    assert_eq!(in_flight(), 0);
    let stream = client.chat_stream("Three.").unwrap();
    assert_eq!(in_flight(), 1);
    drop(stream);
    assert_eq!(in_flight(), 0);
}

#[test]
fn a_response_streams_its_text_and_ends_with_all_of_it() {
    let simulator = free_simulator();
    let registry = still();
    let client = paying_by_usage(&simulator, &registry);
    let limiter = registry.limiter_for("gpt-4o-mini");
    let before = level(&limiter);
    let body =
        json!({"model": "gpt-4o-mini", "input": "Tell me a story.", "max_output_tokens": 50});
    let mut stream = client.post_stream("/responses", &body).unwrap();
    let (mut text, mut last) = (String::new(), None);
    for event in stream.by_ref() {
        let event = event.unwrap();
        text.push_str(event.text());
        last = Some(event);
    }
    let last = last.unwrap();
    let whole = &last.body()["response"]["output"][0]["content"][0]["text"];
    assert_eq!(whole.as_str(), Some(text.as_str()));
    let usage = stream.usage().unwrap();
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    let used = i64::try_from(usage.total()).unwrap();
    assert_eq!(level(&limiter), before - used);
    let ends = [Completion::Complete, Completion::CutOff];
    assert!(ends.contains(&stream.completion()));
}

#[test]
fn numbers_of_a_streamed_request_keep_their_digits() {
    #[derive(serde::Serialize)]
    struct Body {
        model: &'static str,
        messages: Vec<serde_json::Value>,
        seed: u128,
        temperature: Box<serde_json::value::RawValue>,
    }
    let server = Scripted::start([events(&[&piece("a"), "[DONE]"])]);
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    let body = Body {
        model: "gpt-4o-mini",
        messages: vec![json!({"role": "user", "content": "a"})],
        seed: 340_282_366_920_938_463_463,
        temperature: raw("1.10"),
    };
    let client = client(server.base_url());
    let mut stream = client.post_stream("/chat/completions", &body).unwrap();
    assert_eq!(text(&mut stream), "a");
    let sent = &server.requests()[0].body;
    assert!(
        sent.starts_with(r#"{"stream":true,"model""#)
            && sent.contains(r#""seed":340282366920938463463,"temperature":1.10}"#),
        "{sent}"
    );
}

#[test]
fn a_response_that_fails_in_its_stream_is_an_error() {
    let begun = r#"{"type":"response.created","response":{"status":"in_progress","output":[],"error":null}}"#;
    let delta = r#"{"type":"response.output_text.delta","delta":"a"}"#;
    let table = [
        r#"{"type":"response.failed","response":{"status":"failed","output":[],"error":{"code":"server_error","message":"no luck"}}}"#,
        r#"{"type":"error","code":"server_error","message":"no luck"}"#,
    ];
    for failed in table {
        let server = Scripted::start([events(&[begun, delta, failed])]);
        let client = client(server.base_url());
        let stream = client.post_stream("/responses", &json!({"model": "m", "input": "a"}));
        let mut found: Vec<_> = stream.unwrap().collect();
        let error = found.pop().unwrap().unwrap_err();
        assert!(error.to_string().contains("no luck"), "{error}");
        assert_eq!(found.len(), 2, "{found:?}");
    }
    // One that was cut short by its cap is an answer.
    let cut = r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}],"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let server = Scripted::start([events(&[begun, delta, cut])]);
    let client = client(server.base_url());
    let mut stream = client
        .post_stream("/responses", &json!({"input": "a"}))
        .unwrap();
    assert_eq!(text(&mut stream), "a");
    assert_eq!(stream.completion(), Completion::CutOff);
    assert_eq!(stream.usage().unwrap().total(), 4);
}

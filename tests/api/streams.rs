//! Answers piece by piece.

use std::sync::Arc;

use paceline::sim::Simulator;
use paceline::{Charge, ChatStream, Error, Limits, RateLimitedClient, Registry};

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
    client.charge(Charge::Usage).build().unwrap()
}

#[test]
fn pieces_join_to_the_text_and_the_end_settles() {
    let simulator = free_simulator();
    let registry = still();
    let client = paying_by_usage(&simulator, &registry);
    let limiter = registry.limiter_for(client.model());
    let mut stream = client.chat_stream("Tell me a story.").unwrap();
    assert_eq!(level(&limiter), left_by(Charge::Usage.reserve(12, 1_000)));
    let text = text(&mut stream);

    let usage = stream.usage().unwrap();
    assert_eq!(text.split(' ').count() as u64, usage.output_tokens);
    let used = Charge::Usage.reserve(usage.input_tokens, usage.output_tokens);
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
    let reserved = Charge::Usage.reserve(12, 1_000);
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
        (Step::Last(cut), "disconnected"),
        (events(&[&piece("a")]), "without [DONE]"),
        (events(&[&piece("a"), "{\"choices\""]), "EOF"),
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

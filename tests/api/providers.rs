//! Providers other than OpenAI, spoken to in their own forms.

use std::fs;
use std::io::Cursor;

use paceline::batch::{Input, Prices, Prompt, RowFormat, Run, StopReason};
use paceline::providers::ProviderTable;
use paceline::{ErrorKind, ServiceTier, Usage};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scripted::{Arrived, Scripted, Step};
use crate::support::builder;

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5",
    "content":[{"type":"text","text":"Titan."}],"stop_reason":"end_turn",
    "usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":5,"service_tier":"standard"}}"#;

fn header<'a>(arrived: &'a Arrived, name: &str) -> Option<&'a str> {
    let mut lines = arrived
        .headers
        .iter()
        .filter_map(|line| line.split_once(": "));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn body(arrived: &Arrived) -> Value {
    serde_json::from_str(&arrived.body).unwrap()
}

#[test]
fn a_chat_with_anthropic_is_a_message_with_its_headers_and_its_usage() {
    let server = Scripted::start([Step::json(200, &["request-id: req_9"], MESSAGE)]);
    let client = builder(server.base_url())
        .provider("anthropic")
        .build()
        .unwrap();
    let answer = client.chat("Name the largest moon of Saturn.").unwrap();
    assert_eq!(answer.text(), "Titan.");
    assert_eq!(answer.finish_reason(), Some("end_turn"));
    let used = Usage::new(60, 5).with_cached(30).with_cache_writes(20);
    assert_eq!(answer.usage(), Some(used));
    let response = answer.into_response();
    assert_eq!(response.request_id.as_deref(), Some("req_9"));
    assert_eq!(response.service_tier, Some(ServiceTier::Standard));
    // What a cache held does not count, nor does what was reserved for the answer and not used.
    assert_eq!(
        (
            response.charged.input_tokens,
            response.charged.output_tokens
        ),
        (30, 5)
    );
    let [arrived] = &server.requests()[..] else {
        panic!("one request")
    };
    assert!(
        arrived.line.starts_with("POST /v1/messages "),
        "{}",
        arrived.line
    );
    assert_eq!(header(arrived, "anthropic-version"), Some("2023-06-01"));
    assert!(header(arrived, "x-api-key").is_some() && header(arrived, "authorization").is_none());
    assert!(body(arrived)["max_tokens"].is_u64());
}

#[test]
fn a_stream_of_messages_is_read_to_its_end_and_settled_with_its_usage() {
    let events = [
        r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Ti"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"tan."}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":15}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let text: String = events
        .iter()
        .map(|event| format!("event: x\ndata: {event}\n\n"))
        .collect();
    let head = "HTTP/1.1 200 Scripted\r\nContent-Type: text/event-stream\r\n\r\n";
    let server = Scripted::start([Step::Last(format!("{head}{text}"))]);
    let client = builder(server.base_url())
        .provider("anthropic")
        .build()
        .unwrap();
    let mut stream = client.chat_stream("Hi").unwrap();
    let pieces: Vec<_> = stream
        .by_ref()
        .map(|piece| piece.unwrap().text().to_owned())
        .collect();
    assert_eq!(pieces.concat(), "Titan.");
    let used = Usage::new(30, 15).with_cached(5);
    assert_eq!(stream.usage(), Some(used));
    assert_eq!(stream.completion(), paceline::Completion::CutOff);
    assert_eq!(body(&server.requests()[0])["stream"], true);
}

#[test]
fn azure_is_asked_by_deployment_where_its_url_has_a_version_and_by_v1_where_not() {
    let table = [
        (
            "?api-version=2024-10-21",
            "POST /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21 ",
        ),
        ("/openai/v1", "POST /openai/v1/chat/completions "),
        ("", "POST /openai/v1/chat/completions "),
    ];
    for (end, line) in table {
        let server = Scripted::start([Step::chat(9, 3)]);
        let url = server.base_url();
        let root = url.trim_end_matches("/v1");
        let client = builder(format!("{root}{end}"))
            .provider("azure")
            .model("gpt-4o");
        client.build().unwrap().chat("Hi").unwrap();
        let [arrived] = &server.requests()[..] else {
            panic!("one request")
        };
        assert!(arrived.line.starts_with(line), "{end}: {}", arrived.line);
        assert!(header(arrived, "api-key").is_some(), "{end}");
    }
}

#[test]
fn mistral_gets_the_cap_that_it_takes() {
    let server = Scripted::start([Step::chat(9, 3)]);
    let client = builder(server.base_url())
        .provider("mistral")
        .build()
        .unwrap();
    client.chat("Hi").unwrap();
    let body = body(&server.requests()[0]);
    assert!(
        body["max_tokens"].is_u64() && body.get("max_completion_tokens").is_none(),
        "{body}"
    );
}

#[test]
fn an_unknown_provider_is_named_with_those_that_there_are() {
    let error = builder("http://127.0.0.1:1")
        .provider("nobody")
        .build()
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("\"nobody\"") && message.contains("anthropic"),
        "{message}"
    );
}

fn line(id: usize, url: &str, body: &Value) -> String {
    format!(
        "{}\n",
        json!({"custom_id": format!("r{id}"), "method": "POST", "url": url, "body": body})
    )
}

#[test]
fn a_spend_limit_stops_the_run_and_not_each_request() {
    let words =
        "You have reached your specified API usage limits. You will regain access on 2026-12-01.";
    let refused =
        json!({"type": "error", "error": {"type": "invalid_request_error", "message": words}});
    let server = Scripted::start([Step::json(400, &[], &refused.to_string())]);
    let client = builder(server.base_url())
        .provider("anthropic")
        .build()
        .unwrap();
    let message = json!({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]});
    let lines: String = (0..50)
        .map(|id| line(id, "/v1/messages", &message))
        .collect();
    let folder = TempDir::new().unwrap();
    let run = Run::new(client, Input::reader("in", Cursor::new(lines)))
        .max_in_flight(1)
        .output(folder.path().join("out.jsonl"))
        .errors(folder.path().join("err.jsonl"));
    let summary = run.run().unwrap();
    assert!(
        matches!(summary.ending, StopReason::AccountError(_)),
        "{:?}",
        summary.ending
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_table_is_written_in_the_form_of_its_provider() {
    let server = Scripted::start([Step::json(200, &[], MESSAGE)]);
    let client = builder(server.base_url())
        .provider("anthropic")
        .build()
        .unwrap();
    let table = ProviderTable::global();
    let prompt = Prompt::new("claude-haiku-4-5", "Say {word}").unwrap();
    let prompt = prompt.system("Be short.").unwrap().max_completion_tokens(7);
    let prompt = prompt.provider(table.get("anthropic").unwrap());
    let input = Input::rows_reader("in", Cursor::new("word\nhi\n"), RowFormat::Csv, prompt);
    let folder = TempDir::new().unwrap();
    let results = folder.path().join("out.jsonl");
    let run = Run::new(client, input)
        .output(&results)
        .errors(folder.path().join("err.jsonl"));
    assert_eq!(run.run().unwrap().succeeded, 1);
    let arrived = &server.requests()[0];
    assert!(arrived.line.starts_with("POST /v1/messages "));
    let expected = json!({
        "model": "claude-haiku-4-5",
        "system": "Be short.",
        "messages": [{"role": "user", "content": "Say hi"}],
        "max_tokens": 7,
    });
    assert_eq!(body(arrived), expected);
    // Without a name of the server's the result has one all the same, which is a text.
    let result: Value = serde_json::from_str(&fs::read_to_string(results).unwrap()).unwrap();
    let id = result["response"]["request_id"].as_str().unwrap();
    assert!(id.starts_with("paceline-"), "{id}");
}

/// A run of one request in the flex tier, which has no room for it, and what it cost.
fn flex(fallback: bool, max_cost: &str, steps: Vec<Step>) -> (Scripted, paceline::batch::Summary) {
    let server = Scripted::start(steps);
    let client = builder(server.base_url()).max_retries(1).build().unwrap();
    let chat = json!({
        "model": "m", "service_tier": "flex", "max_completion_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    });
    let prices = "[models.m]\ninput = 10\noutput = 10\nflex_input = 5\nflex_output = 5";
    let folder = TempDir::new().unwrap();
    let input = Input::reader("in", Cursor::new(line(0, "/v1/chat/completions", &chat)));
    let run = Run::new(client, input)
        .output(folder.path().join("out.jsonl"))
        .errors(folder.path().join("err.jsonl"))
        .prices(Prices::from_toml(prices).unwrap())
        .max_cost(max_cost.parse().unwrap())
        .flex_fallback(fallback);
    let summary = run.run().unwrap();
    (server, summary)
}

#[test]
fn what_the_flex_tier_has_no_room_for_is_sent_as_usual_where_that_is_wanted_and_paid_for() {
    let full = || Step::error(429, "resource_unavailable", &[]);
    let (server, summary) = flex(true, "1", vec![full(), full(), Step::chat(10, 10)]);
    assert_eq!((summary.succeeded, summary.rate_limited), (1, 0));
    let tiers: Vec<_> = server
        .requests()
        .iter()
        .map(|it| body(it)["service_tier"].clone())
        .collect();
    assert_eq!(tiers, ["flex", "flex", "default"]);
    assert_eq!(
        summary.cost.unwrap().to_string(),
        "0.0002",
        "the usual price"
    );

    let (server, summary) = flex(false, "1", vec![full(), full()]);
    assert_eq!((summary.succeeded, summary.failed), (0, 1));
    assert_eq!(server.requests().len(), 2);

    // 100 tokens of answer and a few of prompt are below this at the flex price alone.
    let (server, summary) = flex(true, "0.0008", vec![full(), full()]);
    assert_eq!(server.requests().len(), 2);
    assert!(
        matches!(summary.ending, StopReason::Bound(_)),
        "{:?}",
        summary.ending
    );

    let (_, summary) = flex(
        true,
        "1",
        vec![Step::json(
            200,
            &[],
            r#"{"service_tier":"flex","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":10,"completion_tokens":10}}"#,
        )],
    );
    assert_eq!(
        summary.cost.unwrap().to_string(),
        "0.0001",
        "the flex price"
    );
}

#[test]
fn groq_without_room_is_tried_again() {
    let full = Step::error(498, "capacity_exceeded", &[]);
    let server = Scripted::start([full, Step::chat(1, 1)]);
    let client = builder(server.base_url()).provider("groq").build().unwrap();
    assert!(client.chat("Hi").is_ok());
    let server = Scripted::start([Step::error(498, "capacity_exceeded", &[])]);
    let client = builder(server.base_url())
        .provider("groq")
        .max_retries(0)
        .build()
        .unwrap();
    let error = client.chat("Hi").unwrap_err();
    assert!(
        matches!(&error, paceline::Error::Api(api) if api.kind == ErrorKind::Capacity),
        "{error}"
    );
}

#[test]
fn requests_that_need_no_model_run() {
    let moderation = json!({"input": "Hi"});
    let stored = json!({"prompt": {"id": "pmpt_1"}});
    let chat = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let lines = [
        line(0, "/v1/moderations", &moderation),
        line(1, "/v1/responses", &stored),
        line(2, "/v1/chat/completions", &chat),
    ];
    let flagged = r#"{"results":[{"flagged":false}]}"#;
    let output = r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]}"#;
    let answers = [
        Step::json(200, &[], flagged),
        Step::json(200, &[], output),
        Step::chat(1, 1),
    ];
    // One run each: those of different limiters go in no fixed order.
    for (line, answer) in lines.into_iter().zip(answers) {
        let server = Scripted::start([answer]);
        let client = builder(server.base_url()).build().unwrap();
        let folder = TempDir::new().unwrap();
        let run = Run::new(client, Input::reader("in", Cursor::new(line.clone())))
            .output(folder.path().join("out.jsonl"))
            .errors(folder.path().join("err.jsonl"));
        let summary = run.run().unwrap();
        let counts = (summary.succeeded, server.requests().len());
        assert_eq!(counts, (1, 1), "{line}");
    }
}
